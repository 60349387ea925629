"""Pages of weeks as they were published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages import PageReader
from published_weeks import WEEK, publish

from cardwatch.config import Config
from cardwatch.engine import Engine
from cardwatch.outputs import OutputFile
from cardwatch.pages import WeekPages

BEFORE = WEEK - 1
PAGE = OutputFile.REPORT.of(WEEK)


def pages(**report: Any) -> WeekPages:
    return WeekPages(Config.model_validate({"report": report}))


def read(outputs: Path, name: str = PAGE) -> PageReader:
    return PageReader.of((outputs / name).read_bytes())


def two_weeks(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"stays": 1, "leaves": 2}, week=BEFORE, pages=pages())
    publish(
        outputs, engine, {"comes": 1, "stays": 2}, others={"leaves": 77}, counts=None, pages=pages()
    )


def edited(outputs: Path, **customer: Any) -> None:
    """Change the first customer of the week's JSON list."""
    path = outputs / OutputFile.LIST_JSON.of(WEEK)
    document = json.loads(path.read_bytes())
    document["customers"][0] |= customer
    path.write_text(json.dumps(document), encoding="utf-8")
