from __future__ import annotations

import iso18245
import pytest

from cardwatch.merchant_categories import MAX_NAME_LENGTH, mcc_name
from cardwatch.sources.sample_categories import categories


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("5411", "Grocery stores and supermarkets"),
        ("0742", "Veterinary services"),
        ("5085", "Industrial supplies (other)"),
        ("5552", "Electric vehicle charging"),
        ("3355", "SIXT Car Rental"),
        ("3692", "Doubletree (hotel)"),
        ("3000", "United Airlines"),
    ],
)
def test_known_codes_have_short_readable_names(code: str, name: str) -> None:
    assert mcc_name(code) == name


def test_an_integer_code_is_padded_with_zeros() -> None:
    assert mcc_name(742) == mcc_name("0742")


@pytest.mark.parametrize(
    ("code", "name"),
    [("6543", "MCC 6543"), (6543, "MCC 6543"), ("9999", "MCC 9999"), ("12", "MCC 12")],
)
def test_an_unknown_code_is_named_after_itself(code: str | int, name: str) -> None:
    assert mcc_name(code) == name


def test_every_code_of_the_library_has_a_name_that_fits_a_table() -> None:
    names = [mcc_name(entry.mcc) for entry in iso18245.get_all_mccs()]
    assert all(0 < len(name) <= MAX_NAME_LENGTH for name in names)
    assert all(name == name.strip() and "--" not in name for name in names)


def test_every_category_of_the_sample_has_a_name_of_its_own() -> None:
    names = [mcc_name(code) for code in categories().codes]
    assert not [name for name in names if name.startswith("MCC ")]
    assert len(set(names)) == len(names)
