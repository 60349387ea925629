from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from deliveries import LENIENT, check, history, row
from stdnum import luhn

from cardwatch.config import ContractConfig
from cardwatch.contract.cards import find_card_numbers, mask_card_numbers
from cardwatch.engine import Engine
from cardwatch.errors import ContractError

VISA = "4111111111111111"
TOKENS = ContractConfig(ids_are_tokens=True, on_unusable="warn")


def digits(count: int, *, prefix: str = "4", length: int = 16, seed: int = 1) -> list[str]:
    """Random digits that look like ids: one in ten passes Luhn by chance."""
    random = Random(seed)
    return [
        prefix + "".join(random.choices("0123456789", k=length - len(prefix))) for _ in range(count)
    ]


def cards(count: int) -> list[str]:
    return [text[:-1] + luhn.calc_check_digit(text[:-1]) for text in digits(count)]


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4222222222222",
        "378282246310005",
        "5555555555554444",
        "2221000000000009",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "6200000000000005",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "3782 822463 10005",
        "CUST4111111111111111",
        "paid with 4111111111111111 on 2025-11-17",
        "paid with 4111 1111 1111 1111 12/28",
        "4111\u00a01111\u00a01111\u00a01111",
        "4111111111111111.0",
    ],
)
def test_card_numbers_are_found_and_masked(text: str) -> None:
    assert len(list(find_card_numbers(text))) == 1
    masked = mask_card_numbers(text)
    assert not list(find_card_numbers(masked))
    assert "*" * 4 in masked.replace(" ", "").replace("-", "").replace("\u00a0", "")
    assert len(masked) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "0000000000000000",
        "1234567812345670",
        "411111111111",
        "41111111111111111111111",
        "550e8400-e29b-41d4-a716-446655440000",
        "5500840041111111111111111a716446",
        "DE89 3704 0044 0532 0130 00",
        "2025-11-17 10:15:30",
        "20251117101530",
        "+44 20 7946 0958",
        "CUST00000001",
    ],
)
def test_other_long_numbers_are_left_alone(text: str) -> None:
    assert list(find_card_numbers(text)) == []
    assert mask_card_numbers(text) == text


@pytest.mark.system
def test_random_uuids_hold_no_card_numbers() -> None:
    random = Random(5)
    ids = [UUID(int=random.getrandbits(128), version=4) for _ in range(20_000)]
    assert not [1 for one in ids if list(find_card_numbers(str(one)))]
    assert not [1 for one in ids if list(find_card_numbers(one.hex))]


def ids(engine: Engine, names: Sequence[str], rules: ContractConfig = LENIENT) -> None:
    check(engine, [row(customer_id=name) for name in names], rules)


def test_one_card_number_among_other_ids_stops_without_printing_it(engine: Engine) -> None:
    with pytest.raises(ContractError) as caught:
        ids(engine, ["A", "B", VISA])
    assert caught.value.exit_code == 4
    assert "column customer_id" in caught.value.message
    assert "contract.ids_are_tokens" in caught.value.message
    assert VISA[4:-4] not in repr(vars(caught.value)) + caught.value.message


def test_a_column_of_card_numbers_stops(engine: Engine) -> None:
    with pytest.raises(ContractError, match="CARD_NUMBER"):
        ids(engine, cards(50))


def test_a_column_of_mostly_card_numbers_stops(engine: Engine) -> None:
    with pytest.raises(ContractError, match="CARD_NUMBER"):
        ids(engine, [*cards(100), *digits(200, seed=2)])


@pytest.mark.parametrize("prefix", ["", "4", "51"])
def test_surrogate_digits_that_pass_luhn_by_chance_do_not_stop(engine: Engine, prefix: str) -> None:
    names = digits(2000, prefix=prefix)
    assert 150 < sum(luhn.is_valid(name) for name in names) < 250
    ids(engine, names)


def test_consecutive_surrogate_digits_do_not_stop(engine: Engine) -> None:
    ids(engine, [str(4_000_000_000_000_000 + n) for n in range(500)])


def test_whole_numbers_and_fractions_are_searched_as_text(engine: Engine) -> None:
    for kind in (pa.int64(), pa.float64()):
        rows = [row(customer_id=n) for n in (1, 2, int(VISA))]
        with pytest.raises(ContractError, match="CARD_NUMBER"):
            check(engine, rows, types={"customer_id": kind})


def test_a_number_in_groups_stops_even_among_declared_tokens(engine: Engine) -> None:
    for name in ("4111 1111 1111 1111", "4111-1111-1111-1111"):
        with pytest.raises(ContractError, match="CARD_NUMBER"):
            ids(engine, [name, *digits(500)], TOKENS)


@pytest.mark.parametrize("value", ["4111 1111 1111 1111", "4111-1111-1111-1111"])
@pytest.mark.parametrize("column", ["customer_id", "note"])
def test_the_first_number_in_groups_stops(engine: Engine, column: str, value: str) -> None:
    values: dict[str, Any] = {column: value}
    rows = [*history(), row(**values), row(customer_id="B")]
    with pytest.raises(ContractError, match=f"column {column}") as raised:
        check(engine, rows, extra=["note"])
    assert "1111" not in raised.value.message


def test_declared_tokens_may_look_like_card_numbers_and_are_shown(engine: Engine) -> None:
    names = cards(30)
    found = check(engine, [row(customer_id=name, mcc="x") for name in names], TOKENS)
    assert {r["customer_id"] for r in found.quarantine} == set(names)


def test_tokens_are_declared_for_ids_and_for_nothing_else(engine: Engine) -> None:
    with pytest.raises(ContractError, match="column memo"):
        check(engine, [row(memo=VISA), row(customer_id="B", memo="-")], TOKENS, extra=["memo"])


@pytest.mark.parametrize(
    "values",
    [
        {"mcc": VISA},
        {"week_start": None, "week_value": VISA},
        {"spend_amount": VISA},
        {"transaction_count": VISA},
        {"avg_ticket_amount": VISA},
        {"currency": VISA},
        {"memo": f"card {VISA} paid"},
    ],
)
def test_every_text_column_is_searched(engine: Engine, values: dict[str, Any]) -> None:
    rows = [*history(), row(), row(customer_id="B", **values)]
    with pytest.raises(ContractError, match="CARD_NUMBER") as caught:
        check(engine, rows, extra=["memo", "currency"])
    assert f"column {list(values)[-1]}" in caught.value.message
    assert VISA not in caught.value.message


def test_what_looks_like_a_card_number_is_masked_in_the_quarantine(engine: Engine) -> None:
    names = digits(300)
    rows = [row(customer_id=name, mcc="x") for name in names]
    rows += [row(customer_id=name) for name in digits(300, seed=7)]
    found = check(engine, rows)
    shown = {r["customer_id"] for r in found.quarantine}
    lucky = {name for name in names if luhn.is_valid(name)}
    assert lucky and not shown & lucky
    assert shown - set(names) == {"*" * 12 + name[-4:] for name in lucky}
    assert found.checked.coverage.customers_unscored == {"MALFORMED_MCC": 300}

    types = {"mcc": pa.int64(), "spend_amount": pa.float64()}
    found = check(engine, [row(mcc=int(VISA), spend_amount=float(VISA))], types=types)
    assert found.quarantine[0]["mcc"] == "*" * 12 + "1111"
    assert found.quarantine[0]["amount"] == "*" * 12 + "1111.0"


def test_digits_that_are_the_rule_in_a_free_column_are_judged_by_share(engine: Engine) -> None:
    rows = [row(customer_id=f"c{n}", ean=ean) for n, ean in enumerate(digits(400, length=13))]
    check(engine, rows, extra=["ean"])
