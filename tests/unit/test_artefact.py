from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardwatch.detection.artefact import Artefact, pack, unpack
from cardwatch.errors import ModelError

COLUMNS = ("spend", "count")


def example(**changes: Any) -> Artefact:
    parts: dict[str, Any] = {
        "kind": "surprise",
        "version": 1,
        "columns": COLUMNS,
        "seed": 42,
        "state": {"slopes": [0.1, 1 / 3], "note": "é", "array": pack([1.5, 2.5], "<f8")},
    }
    return Artefact(**parts | changes)


def altered(**changes: Any) -> str:
    document = example().document() | changes
    return json.dumps({key: value for key, value in document.items() if value != "removed"})


def test_an_artefact_reads_back_equal_from_text_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "surprise.json"
    example().dump(path)
    assert Artefact.load(path) == example()
    assert Artefact.loads(example().dumps()) == example()
    assert [entry.name for entry in tmp_path.iterdir()] == ["surprise.json"]


def test_the_same_state_gives_the_same_bytes_whatever_the_order_of_its_keys() -> None:
    state = example().state
    assert example(state=dict(reversed(list(state.items())))).dumps() == example().dumps()


@pytest.mark.parametrize(
    ("text", "observed"),
    [
        ("", "no JSON"),
        (example().dumps()[:-30], "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1, 2]", "no mapping"),
        ("{}", "keys: none"),
        (altered(seed="removed"), "keys: columns, kind"),
        (altered(more=1), "keys: columns, kind"),
        (altered(version=True), "other types"),
        (altered(columns="spend"), "other types"),
        (altered(state=[]), "other types"),
        (altered(seed=43), "sha256"),
        (altered(state={"slopes": [0.1, 0.33]}), "sha256"),
        (example().dumps().replace("0.1", "NaN"), "no JSON of finite numbers"),
        (example().dumps().replace("0.1", "1e999"), "not finite"),
    ],
)
def test_damaged_text_is_refused_with_what_was_found_and_what_to_do(
    text: str, observed: str
) -> None:
    with pytest.raises(ModelError) as caught:
        Artefact.loads(text, where="model.json")
    assert observed in caught.value.observed
    assert caught.value.expected
    assert "(model.json)" in caught.value.message
    assert "Fit the detector again" in caught.value.message


def test_a_number_that_is_not_finite_is_never_stored() -> None:
    with pytest.raises(ModelError, match="not finite"):
        example(state={"nested": [{"slope": float("inf")}]})


@pytest.mark.parametrize(
    ("kind", "version", "columns", "observed"),
    [
        ("isolation_forest", 1, COLUMNS, "surprise version 1"),
        ("surprise", 2, COLUMNS, "surprise version 1"),
        ("surprise", 1, ("spend",), r"1 missing \(count\), none unknown"),
        ("surprise", 1, (*COLUMNS, "gap"), r"none missing, 1 unknown \(gap\)"),
    ],
)
def test_state_of_another_detector_version_or_columns_does_not_fit(
    kind: str, version: int, columns: tuple[str, ...], observed: str
) -> None:
    with pytest.raises(ModelError, match=observed):
        example().require(kind, version, columns)


def test_state_fits_the_same_columns_in_another_order() -> None:
    example().require("surprise", 1, tuple(reversed(COLUMNS)))


def test_a_file_that_is_missing_or_no_text_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        Artefact.load(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="not UTF-8"):
        Artefact.load(tmp_path / "bytes.json")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.mkdir()
    with pytest.raises(ModelError, match="could not be written"):
        example().dump(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize("kind", ["<f8", "<i4", "|u1"])
def test_packed_arrays_read_back_exactly(kind: str) -> None:
    values = np.array([0, 1, 2, 255]).astype(kind)
    assert np.array_equal(unpack(pack(values, kind)), values)


@pytest.mark.parametrize(
    "packed",
    [
        None,
        {},
        {"dtype": "<f8"},
        {"dtype": "O", "base64": ""},
        {"dtype": "<f8", "base64": "AQI="},
        {"dtype": "<f8", "base64": "é"},
        {"dtype": "<f8", "base64": 5},
        pack([float("nan")], "<f8"),
    ],
)
def test_a_damaged_array_is_a_model_error(packed: object) -> None:
    with pytest.raises(ModelError):
        unpack(packed)
