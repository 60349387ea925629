"""Cardwatch: a weekly list of the card customers whose spending does not look like itself."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "1.0.0"
__all__ = ["ReportingWeek", "__version__", "load_config", "run_week"]

if TYPE_CHECKING:
    from cardwatch.config import load_config
    from cardwatch.pipeline import run_week
    from cardwatch.week import ReportingWeek

_HOMES = {
    "ReportingWeek": "cardwatch.week",
    "load_config": "cardwatch.config",
    "run_week": "cardwatch.pipeline",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for, so that ``cardwatch --help`` answers at once."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
