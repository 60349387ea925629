"""Draws the README's picture: what `make run` prints, from a run on a generated portfolio.

``python -m docs.picture`` writes ``docs/images/run.svg`` again.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from cardwatch import console
from cardwatch.config import Config, load_config
from cardwatch.pipeline import run_week
from cardwatch.session import open_session
from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek

PICTURE = Path(__file__).parent / "images" / "run.svg"
LAST_WEEK = ReportingWeek.parse("2025-46")
TOP = 8
WIDTH = 118


def main() -> None:
    """Make a portfolio, score its last week and draw the printed list."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(SamplePortfolio(last_week=LAST_WEEK), Path(folder) / "data")
        config = load_config(
            environ={},
            overrides={
                "data_source.path": f"{folder}/data",
                "output.directory": f"{folder}/outputs",
                "logging.level": "ERROR",
                "ranking.top_n": TOP,
            },
        )
        PICTURE.write_text(_draw(config), encoding="utf-8")


def _draw(config: Config) -> str:
    with open_session(config, lambda source, today: LAST_WEEK) as session:
        report = run_week(session.chosen, config, session.parts()).report
    screen = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.out = screen
    console.show_list(report)
    console.show_coverage(report)
    # rich's own frame loads a font from the network; the picture asks nobody for anything.
    frame = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return screen.export_svg(
        title="make run", theme=DIMMED_MONOKAI, code_format=frame, unique_id="cardwatch"
    )


if __name__ == "__main__":
    main()
