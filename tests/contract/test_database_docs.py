"""The page on connecting a database says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cardwatch.config import Config
from cardwatch.database import causes
from cardwatch.database.address import DatabaseAddress
from cardwatch.database.causes import Cause

PAGE = (Path(__file__).parents[2] / "docs/how-to/connect-a-database.md").read_text(encoding="utf-8")
CAUSES = [each for each in vars(causes).values() if isinstance(each, Cause)]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its own heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", section, re.M)
    return [line.split(" | ") for line in lines[1:]]


def test_every_message_is_explained_and_says_whether_it_is_tried_again() -> None:
    said = {message: again for message, _, again in rows("What each message means")}
    assert said == {
        re.sub(r"\{\w+\}", "…", cause.what): "yes" if cause.is_transient else "no"
        for cause in CAUSES
    }


@pytest.mark.parametrize("row", rows("The address"), ids=lambda row: str(row[0]))
def test_every_form_of_an_address_is_understood(row: list[str]) -> None:
    for url in re.findall(r"`([^`…]+)`", row[0]):
        assert DatabaseAddress.parse(url.replace(":port", ":5432")).name in ("name", "cards.db")


def test_the_connection_string_of_the_page_is_that_of_its_variables() -> None:
    (url,) = re.findall(r"^DB_CONNECTION_STRING=(.*)$", PAGE, re.M)
    address = DatabaseAddress.parse(url)
    variables = dict(re.findall(r"^(DB_\w+)=(.*)$", PAGE, re.M))
    assert (address.host, address.port) == (variables["DB_HOST"], variables["DB_PORT"])
    assert (address.name, address.user) == (variables["DB_NAME"], variables["DB_USER"])


def test_the_defaults_of_the_page_are_those_of_the_settings() -> None:
    source, output = Config().data_source, Config().output.database
    defaults = {row[0].strip("`"): row[1] for row in rows("Time-outs and attempts")}
    assert defaults == {
        "connect_timeout_seconds": f"{source.connect_timeout_seconds:.0f}",
        "statement_timeout_seconds": f"{source.statement_timeout_seconds:.0f} (source),"
        f" {output.statement_timeout_seconds:.0f} (output)",
        "attempts": f"{source.attempts}",
    }
    assert source.connect_timeout_seconds == output.connect_timeout_seconds
    assert source.attempts == output.attempts
