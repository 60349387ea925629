"""Takes the pictures of the report, of a page for the last of some generated weeks.

``python -m docs.report_picture /usr/bin/chromium`` writes ``docs/images/report*.png`` again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from cardwatch.config import Config, load_config
from cardwatch.outputs import OutputFile
from cardwatch.pipeline import publish, run_week
from cardwatch.session import open_session
from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_sinks

IMAGES = Path(__file__).parent / "images"
PARTS = {
    "report-customer.png": "#customer-1",
    "report-portfolio.png": "section.portfolio",
    "report-quality.png": "section.quality",
}
"""What is shown beside the first screen, which is ``report.png``."""
LAST_WEEK = ReportingWeek.parse("2025-46")
WEEKS = 13
TOP = 4
WIDTH, HEIGHT = 1240, 1180


def main() -> None:
    """Make a portfolio, run its last weeks, and take the pictures of the last one's page."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(SamplePortfolio(last_week=LAST_WEEK), Path(folder) / "data")
        config = load_config(
            environ={},
            overrides={
                "portfolio.currency": "EUR",
                "data_source.path": f"{folder}/data",
                "output.directory": f"{folder}/outputs",
                "logging.level": "ERROR",
                "logging.file": None,
                "ranking.top_n": TOP,
            },
        )
        for week in (*LAST_WEEK.window(WEEKS - 1), LAST_WEEK):
            _run(week, config)
        _take(Path(folder) / "outputs" / OutputFile.REPORT.of(LAST_WEEK))


def _run(week: ReportingWeek, config: Config) -> None:
    with open_session(config, lambda source, today: week) as session:
        parts = session.parts()
        result = run_week(week, config, parts)
        list(publish(result, session.manifest(result), parts, open_sinks(config)))


def _take(page: Path) -> None:
    with sync_playwright() as driver:
        # Chromium's own sandbox refuses root; the page is our own.
        browser = driver.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
        screen = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        screen.goto(page.as_uri())
        screen.screenshot(path=IMAGES / "report.png")
        for name, part in PARTS.items():
            screen.locator(part).screenshot(path=IMAGES / name)
        browser.close()


if __name__ == "__main__":
    main()
