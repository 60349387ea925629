from __future__ import annotations

import pytest
from deliveries import WEEK, check, history, monday, row

from cardwatch.config import ContractConfig
from cardwatch.contract.usability import expected_volume
from cardwatch.engine import Engine
from cardwatch.errors import ContractError

STRICT = ContractConfig()
FOUR = ("A", "B", "C", "D")
FORTY = [f"customer {n}" for n in range(40)]


def this_week(count: int) -> list[dict[str, object]]:
    return [row(customer_id=f"customer {n}") for n in range(count)]


def test_a_usual_week_passes_without_a_word(engine: Engine) -> None:
    found = check(engine, [*history(FOUR), *this_week(4)], STRICT)
    assert found.checked.findings == ()
    assert found.checked.warnings == ()
    assert len(found.checked.weeks_present) == 5


def test_a_scored_week_without_usable_rows_stops(engine: Engine) -> None:
    with pytest.raises(ContractError, match="EMPTY_WEEK.*0 usable of 0 delivered rows") as caught:
        check(engine, history(FOUR), STRICT)
    assert caught.value.exit_code == 4
    assert WEEK.dates in caught.value.message
    assert caught.value.next_step.startswith("`cardwatch weeks`")


def test_a_scored_week_of_which_every_row_is_set_aside_wants_another_delivery(
    engine: Engine,
) -> None:
    with pytest.raises(ContractError, match="EMPTY_WEEK.*0 usable of 1 delivered row") as caught:
        check(engine, [*history(FOUR), row(mcc="x")], STRICT)
    assert caught.value.next_step.startswith("Mend the delivery")


def test_too_large_a_share_set_aside_stops_with_counts_and_reasons(engine: Engine) -> None:
    rows = [*history(FOUR), *this_week(4), row(customer_id="x", mcc="x")]
    with pytest.raises(ContractError) as caught:
        check(engine, rows, STRICT)
    assert "TOO_MUCH_QUARANTINED" in caught.value.message
    assert (
        "1 of 5 rows of the scored week set aside (20.0%; MALFORMED_MCC 1)" in caught.value.message
    )
    assert "at most 5.0%" in caught.value.message
    assert engine.scalar("SELECT count(*) FROM quarantine") == 1


def test_a_bad_scored_week_is_not_hidden_by_good_reference_weeks(engine: Engine) -> None:
    many = [f"customer {n}" for n in range(20)]
    rows = [
        *history(many),
        *this_week(18),
        row(customer_id="x", mcc="x"),
        row(customer_id="y", mcc="y"),
    ]
    with pytest.raises(ContractError, match="2 of 20 rows of the scored week"):
        check(engine, rows, STRICT)


def test_folded_copies_do_not_count_into_the_share_or_the_volume(engine: Engine) -> None:
    rows = [*history(FOUR), *this_week(4)]
    found = check(engine, [*rows, *rows], STRICT)
    assert found.reasons == {"DUPLICATE_COPY": len(rows)}


@pytest.mark.parametrize("count", [1, 20, 68, 80])
def test_half_a_feed_or_a_feed_twice_stops(engine: Engine, count: int) -> None:
    with pytest.raises(ContractError, match="VOLUME_OUTSIDE_RANGE") as caught:
        check(engine, [*history(FORTY), *this_week(count)], STRICT)
    assert f"{count} rows in the scored week" in caught.value.message
    assert "22 to 68" in caught.value.message


@pytest.mark.parametrize("count", [22, 40, 67])
def test_a_volume_inside_the_tolerance_passes(engine: Engine, count: int) -> None:
    check(engine, [*history(FORTY), *this_week(count)], STRICT)


def test_the_ordinary_noise_of_a_few_rows_stops_nothing(engine: Engine) -> None:
    check(engine, [*history(FOUR), *this_week(8)], STRICT)


def test_a_volume_is_not_judged_by_two_weeks(engine: Engine) -> None:
    rows = [r for r in history(FOUR) if r["week_start"] >= monday(2)]
    found = check(engine, [*rows, *this_week(1)], STRICT)
    assert found.checked.warnings == (
        "2 of 4 reference weeks have no usable row: 2025-42, 2025-43.",
    )


def test_the_configuration_can_ask_for_a_warning_instead(engine: Engine) -> None:
    found = check(engine, [*history(FOUR), row(mcc="x")], ContractConfig(on_unusable="warn"))
    assert found.reasons == {
        "MALFORMED_MCC": 1,
        "EMPTY_WEEK": 1,
        "TOO_MUCH_QUARANTINED": 1,
        "VOLUME_OUTSIDE_RANGE": 1,
    }
    assert len(found.checked.warnings) == 3
    assert all("Found" in sentence for sentence in found.checked.warnings)
    overall = [each for each in found.checked.findings if each.reason != "MALFORMED_MCC"]
    assert {each.action for each in overall} == {"warn"}, "what was done, not what might have been"
    assert {each.customers for each in overall} == {0}, "of the delivery, and of nobody"


def test_an_empty_week_is_said_with_what_became_of_its_rows_and_no_more(engine: Engine) -> None:
    with pytest.raises(ContractError) as caught:
        check(engine, [*history(FORTY), row(mcc="x")], STRICT)
    assert (
        "found 0 usable of 1 delivered rows; 1 of 1 rows of the scored week set aside "
        f"(100.0%; MALFORMED_MCC 1), expected rows for {WEEK.dates}."
    ) in caught.value.message


@pytest.mark.parametrize("weekly_growth", [0.8, 1.0, 1.05, 1.25, 1.5])
def test_a_steadily_changing_portfolio_passes_and_half_of_its_feed_does_not(
    weekly_growth: float,
) -> None:
    weeks = [round(10_000 * weekly_growth**week) for week in range(12)]
    expected = expected_volume(weeks)
    assert expected is not None
    coming = 10_000 * weekly_growth**12
    assert expected[0] / 1.5 <= coming <= expected[1] * 1.5
    if weekly_growth <= 1.1:
        assert coming / 2 < expected[0] / 1.5


def test_a_portfolio_that_stops_growing_passes() -> None:
    expected = expected_volume([round(10_000 * 1.25**week) for week in range(12)])
    assert expected is not None
    assert expected[0] / 1.5 <= 10_000 * 1.25**11


def test_one_odd_reference_week_changes_nothing() -> None:
    assert expected_volume([100, 100, 100, 100, 20, 100]) == (100.0, 100.0)
    assert expected_volume([100, 0, 0, 100, 0]) is None
