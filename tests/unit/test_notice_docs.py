"""What the documentation says of notices is what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from cardwatch.notify.base import Status
from cardwatch.notify.letter import HTML_LIMIT_BYTES
from cardwatch.notify.record import Entry, Record

DOCS = Path(__file__).parents[2] / "docs"


def test_every_field_of_the_record_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "outputs.md").read_text(encoding="utf-8")
    section = page.split("\n## Who was told")[1]
    named = re.findall(r"^\| `([\w.\[\]]+)` \|", section, re.M)
    fields = [each for each in Record.model_fields if each != "notices"]
    assert named == [*fields, *(f"notices[].{each}" for each in Entry.model_fields)]


def test_the_statuses_and_the_size_of_the_how_to_are_those_of_the_code() -> None:
    page = (DOCS / "how-to" / "mail-the-list.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(sent|failed|unsure)` \|", page, re.M)) == get_args(Status)
    assert f"at most {HTML_LIMIT_BYTES // 1000} KB" in page
