from __future__ import annotations

import pytest

from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.schema import TRANSACTION_COLUMNS, WEEKLY_COLUMNS
from cardwatch.sources.columns import ColumnSettings, find_layout, safe_names, shown_names

PLAIN = ColumnSettings("auto", {})


def message(names: list[str], settings: ColumnSettings = PLAIN) -> str:
    with pytest.raises((SourceError, ConfigurationError)) as error:
        find_layout(names, settings, "a.csv")
    return error.value.message


def test_shape_is_found_by_columns_in_any_order_and_case() -> None:
    weekly = find_layout([name.upper() for name in reversed(WEEKLY_COLUMNS)], PLAIN, "a.csv")
    assert weekly.shape == "weekly"
    assert weekly.positions["customer_id"] == 4
    transactions = find_layout([*TRANSACTION_COLUMNS, "Currency "], PLAIN, "a.csv")
    assert transactions.shape == "transactions"
    assert transactions.positions["currency"] == 4


def test_a_mapped_column_is_taken_from_its_name_in_the_data() -> None:
    names = ["Kunde", *WEEKLY_COLUMNS[1:]]
    layout = find_layout(names, ColumnSettings("auto", {"customer_id": "kunde"}), "a.csv")
    assert layout.positions["customer_id"] == 0


def test_a_mapped_column_is_preferred_to_one_of_our_name() -> None:
    names = [*WEEKLY_COLUMNS, "net_spend"]
    layout = find_layout(names, ColumnSettings("auto", {"spend_amount": "net_spend"}), "a.csv")
    assert layout.positions["spend_amount"] == 5


def test_of_two_names_that_differ_in_case_the_exact_one_is_taken() -> None:
    assert find_layout(["MCC", *WEEKLY_COLUMNS], PLAIN, "a.csv").positions["mcc"] == 3


def test_a_column_that_is_there_twice_is_an_error() -> None:
    assert "'mcc' is there 2 times" in message([*WEEKLY_COLUMNS, "mcc"])


def test_missing_columns_are_named_with_what_was_found_and_a_guess() -> None:
    text = message(["Customer ID", "reporting_week", "mcc", "spend_amount", "n"])
    assert "missing: customer_id, transaction_count" in text
    assert "found Customer ID, reporting_week, mcc, spend_amount, n" in text
    assert "Did you mean 'Customer ID'? Set data_source.columns.customer_id: Customer ID" in text


def test_missing_columns_without_a_guess_name_the_setting_all_the_same() -> None:
    text = message(["client", "reporting_week", "mcc", "spend_amount", "transaction_count"])
    assert "Say which they are in data_source.columns" in text


def test_a_mapped_name_that_is_not_there_is_an_error_with_a_guess() -> None:
    settings = ColumnSettings("auto", {"avg_ticket_amount": "average"})
    text = message([*WEEKLY_COLUMNS, "averag"], settings)
    assert "'average' is missing" in text
    assert "data_source.columns.avg_ticket_amount" in text
    assert "Did you mean 'averag'?" in text


def test_both_shapes_at_once_need_a_decision() -> None:
    names = [*WEEKLY_COLUMNS, "transaction_time", "amount"]
    assert "data_source.shape" in message(names)
    chosen = ColumnSettings("transactions", {})
    assert find_layout(names, chosen, "a.csv").shape == "transactions"


def test_a_configured_shape_is_held_to() -> None:
    text = message([*TRANSACTION_COLUMNS], ColumnSettings("weekly", {}))
    assert "missing: reporting_week, spend_amount, transaction_count" in text


def test_a_file_without_column_names_is_recognised_and_not_quoted() -> None:
    text = message(["CUST00001", "2025-11-18", "5999", "486.29", "11", "44.21"])
    assert "looks like data" in text
    assert "CUST" not in text
    assert "486" not in text


def test_an_unknown_name_in_the_mapping_is_an_error() -> None:
    settings = ColumnSettings("auto", {"customer": "kunde"})
    assert "data_source.columns" in message([*WEEKLY_COLUMNS], settings)


def test_a_thousand_columns_are_listed_in_short() -> None:
    text = message([f"c{n}" for n in range(1000)])
    assert "and 988 more" in text
    assert len(text) < 600


def test_what_may_be_a_value_is_counted_and_not_shown() -> None:
    assert shown_names(["4111111111111111", "someone@example.org", "x" * 200]) == (
        "3 columns without usable names"
    )


def test_safe_names_are_distinct_whatever_was_delivered() -> None:
    names = {2: "column_7", 6: "-", 7: "column_7", 8: "week_start", 9: ""}
    chosen = safe_names(names, taken=["week_start"])
    assert len({name.casefold() for name in chosen.values()}) == 5
    assert chosen[8] != "week_start"
