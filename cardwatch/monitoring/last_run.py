"""How the last command that makes results ended, for whoever looks later."""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from cardwatch.whole_files import write_whole

NAME = "last_run.json"


class LastRun(BaseModel):
    """One command that ended.

    Attributes
    ----------
    command : str
        For people, such as ``cardwatch run``.
    reporting_week : str
        The label of its week; empty where it had none.
    message : str
        What an error said; empty where all went well.
    seconds : float
        How long it took.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    command: str
    reporting_week: str = ""
    finished_at: AwareDatetime
    exit_code: int
    message: str = ""
    seconds: float = 0.0


def read_last_run(folder: Path) -> LastRun | None:
    """Return how the last command ended, None where that is not recorded or not readable."""
    try:
        return LastRun.model_validate_json((folder / NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def write_last_run(folder: Path, last: LastRun) -> None:
    """Record how a command ended.

    Raises
    ------
    PublishError
        If the folder cannot be written.
    """
    write_whole(folder / NAME, last.model_dump_json(indent=2) + "\n")
