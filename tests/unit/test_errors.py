from __future__ import annotations

import re

import pytest

from cardwatch import errors
from cardwatch.errors import CardwatchError, SourceError, WeekNotAvailableError

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, CardwatchError)
]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "It broke"),
        ({"where": "a.csv"}, "It broke (a.csv)"),
        ({"observed": "3"}, "It broke: found 3"),
        ({"expected": "4"}, "It broke: expected 4"),
        ({"observed": "3", "expected": "4"}, "It broke: found 3, expected 4"),
        ({"next_step": "Mend it"}, "It broke. Mend it"),
        (
            {"where": "a.csv", "observed": "3", "expected": "4", "next_step": "Mend it"},
            "It broke (a.csv): found 3, expected 4. Mend it",
        ),
    ],
)
def test_the_message_says_what_where_observed_expected_and_next(
    parts: dict[str, str], message: str
) -> None:
    error = CardwatchError("It broke", **parts)
    assert str(error) == error.message == message


def test_the_message_is_one_line_whatever_its_parts_hold() -> None:
    error = CardwatchError("It\nbroke", observed="a\r\n\tb", next_step="  Mend\n\nit ")
    assert error.message == "It broke: found a b. Mend it"
    assert str(error) == error.message


def test_the_evidence_stays_on_the_error() -> None:
    error = SourceError("It broke", where="a.csv", observed="3", expected="4", next_step="Mend it")
    evidence = (error.what, error.where, error.observed, error.expected, error.next_step)
    assert evidence == ("It broke", "a.csv", "3", "4", "Mend it")


def test_exit_codes_are_those_of_the_tree_in_the_docstring() -> None:
    drawn = re.findall(r"(\w+Error)\s+exit (\d)", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == {
        each.__name__: each.exit_code for each in CLASSES
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_can_be_raised_with_only_what_happened(kind: type[CardwatchError]) -> None:
    with pytest.raises(CardwatchError, match="It broke"):
        raise kind("It broke")


def test_only_what_may_pass_by_itself_is_worth_a_retry() -> None:
    assert {each.__name__ for each in CLASSES if each.retryable} == {
        "SourceError",
        "WeekNotAvailableError",
        "PublishError",
        "NotifyError",
    }


def test_a_missing_week_is_caught_as_a_source_error() -> None:
    with pytest.raises(SourceError):
        raise WeekNotAvailableError("No such week")
