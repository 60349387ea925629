"""`make run-postgres`, on a smaller portfolio: the first that a newcomer sees of the database."""

from __future__ import annotations

import pytest

from demo import run_postgres

pytestmark = pytest.mark.system


def test_the_demonstration_answers_every_question_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_postgres, "CUSTOMERS", 800)
    run_postgres.main()
    told = capfd.readouterr().out
    for question, query in run_postgres.QUESTIONS.items():
        answer = told.partition(question)[2].partition("\n== ")[0]
        assert query.strip() in answer
        assert " rows)" in answer
        assert "(0 rows)" not in answer
    assert run_postgres.SECRET not in told.replace("a throw-away", "")
    assert "stopped" in told.splitlines()[-1]
