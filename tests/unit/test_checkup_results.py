from __future__ import annotations

import json

from cardwatch.checkup import CheckResult, document, exit_code
from cardwatch.checkup.results import attempt, failed
from cardwatch.errors import PublishError, SourceError
from cardwatch.week import ReportingWeek

OK = CheckResult("a", "ok", "fine")
WARN = CheckResult("b", "warn", "late", "look")


def test_the_exit_code_is_that_of_the_first_failure_else_one_for_warnings() -> None:
    source = failed("source", SourceError("No file", where="data", next_step="Bring it"))
    full = failed("folder", PublishError("Full"), ReportingWeek.parse("2025-46"))
    assert exit_code([OK]) == exit_code([]) == 0
    assert exit_code([OK, WARN]) == 1
    assert exit_code([WARN, full, source]) == 6
    assert (source.measured, source.advice) == ("No file (data)", "Bring it")
    assert (full.measured, full.advice, full.week) == ("Full", "", "2025-46")


def test_an_error_of_cardwatchs_own_is_a_failed_check() -> None:
    def broken() -> CheckResult:
        raise SourceError("No rows")

    assert attempt("source", broken).exit_code == 3
    assert attempt("source", lambda: OK) is OK


def test_the_document_holds_plain_data_and_the_worst_status() -> None:
    found = json.loads(json.dumps(document([OK, WARN])))
    assert (found["status"], found["exit_code"]) == ("warn", 1)
    assert found["checks"][1] == {
        "name": "b",
        "status": "warn",
        "measured": "late",
        "advice": "look",
        "week": "",
        "exit_code": 0,
    }
