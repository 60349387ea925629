from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from deliveries import LENIENT, WEEK, deliver, row

from cardwatch.contract import RULES, Action, ReasonCode, check_contract
from cardwatch.contract.rules import reference_page
from cardwatch.engine import Engine
from cardwatch.errors import SourceError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "contract.md"
COLUMNS = (
    "'A' AS customer_id, '' AS week_value, DATE '{monday}' AS week_start, '5411' AS mcc,"
    " {amount} AS spend_amount, '2' AS transaction_count, '' AS avg_ticket_amount,"
    " '' AS source_file"
)


def test_rows_that_cannot_be_read_to_the_end_are_the_sources_fault(
    engine: Engine, tmp_path: Path
) -> None:
    broken = tmp_path / "rows.csv"
    broken.write_text("amount\n1\n2\nsecret,4111\n")
    scan = f"read_csv('{broken}', columns={{'amount': 'DOUBLE'}}, header=true, auto_detect=false)"
    columns = COLUMNS.format(monday=WEEK.monday, amount="amount")
    delivery = replace(
        deliver(engine, [row()]), select=lambda weeks: f"SELECT {columns} FROM {scan}"
    )
    with pytest.raises(SourceError) as caught:
        check_contract(delivery, LENIENT, engine)
    assert caught.value.exit_code == 3
    assert "rows of a test" in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


def test_a_cast_that_the_source_asked_for_names_no_value(engine: Engine) -> None:
    columns = COLUMNS.format(monday=WEEK.monday, amount="CAST(word AS DOUBLE)")
    text = f"SELECT {columns} FROM (SELECT 'secret' || range AS word FROM range(3))"
    delivery = replace(deliver(engine, [row()]), select=lambda weeks: text)
    with pytest.raises(SourceError, match=r"a failed read \(Conversion\)") as caught:
        check_contract(delivery, LENIENT, engine)
    assert "secret" not in caught.value.message


def test_a_delivery_may_lack_the_optional_columns(engine: Engine) -> None:
    columns = COLUMNS.format(monday=WEEK.monday, amount="12.5").replace(
        " '' AS avg_ticket_amount,", ""
    )
    delivery = replace(deliver(engine, []), select=lambda weeks: f"SELECT {columns}")
    check_contract(delivery, LENIENT, engine)
    assert engine.execute("SELECT spend_cents FROM cell").fetchall() == [(1250,)]


def test_an_empty_delivery_leaves_empty_tables(engine: Engine) -> None:
    checked = check_contract(deliver(engine, []), LENIENT, engine)
    assert [f.reason for f in checked.findings] == ["EMPTY_WEEK"]
    assert checked.weeks_present == ()
    for table in ("customer", "cell", "quarantine"):
        assert engine.scalar(f"SELECT count(*) FROM {table}") == 0


def test_a_run_without_reference_weeks_checks_the_scored_week_alone(engine: Engine) -> None:
    delivery = replace(deliver(engine, [row(), row(3)]), reference_weeks=())
    checked = check_contract(delivery, LENIENT, engine)
    assert engine.execute("SELECT week_index, spend_cents FROM cell").fetchall() == [(0, 1000)]
    assert list(checked.week_fingerprints) == [WEEK.label]


def test_every_code_has_one_rule_and_one_sentence() -> None:
    assert tuple(RULES) == tuple(ReasonCode)
    assert len({code.value for code in ReasonCode}) == len(ReasonCode)
    assert all(code.value.endswith(".") for code in ReasonCode)
    assert {rule.action for rule in RULES.values()} == set(Action)


def test_the_reference_page_is_the_one_made_from_the_rules() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page()
