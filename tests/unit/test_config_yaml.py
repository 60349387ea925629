from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cardwatch.config.yaml_file import MAX_BYTES, read_yaml
from cardwatch.errors import ConfigurationError


def _read(folder: Path, content: str | bytes) -> Any:
    path = folder / "config.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_yaml(path)


def _refusal(folder: Path, content: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        _read(folder, content)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("0742", "0742"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("12:30:45", "12:30:45"),
        ("2025-11-17", "2025-11-17"),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("", None),
        ("null", None),
        ("text", "text"),
        ("'5'", "5"),
        ('"${DB_CONNECTION_STRING}"', "${DB_CONNECTION_STRING}"),
        ("${NAME:-a:b}", "${NAME:-a:b}"),
        ("[1, a]", [1, "a"]),
        ("{b: 1}", {"b": 1}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    assert _read(tmp_path, f"a: {text}\n").values == {"a": value}


@pytest.mark.parametrize("content", ["", "# only a comment\n", "---\n", "null\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, content: str) -> None:
    assert _read(tmp_path, content).values == {}


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    assert _read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: x\r\n").values == {"a": 1, "b": "x"}


def test_every_key_has_its_line(tmp_path: Path) -> None:
    file = _read(tmp_path, "# head\na:\n  b: 1\n  c:\n    - x\n    - y\n")
    assert file.place(("a", "b")).endswith("config.yaml line 3")
    assert file.place(("a", "c", 1)).endswith("line 6")
    assert file.place(("a", "c", 1, "deeper")).endswith("line 6")
    assert file.place(()) == str(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("content", "phrases"),
    [
        ("a: 1\nb: 2\na: 3\n", ["line 3", "a is given twice, first in line 1", "Keep one"]),
        ("s:\n  a: 1\n  a: 1\n", ["line 3", "s.a is given twice, first in line 2"]),
        ("a: [1\n", ["not valid YAML"]),
        ("a: 1\n\tb: 2\n", ["line 2", "not valid YAML", "Indent with spaces"]),
        ("a: b: c\n", ["line 1", "not valid YAML", "need quotes"]),
        ("a: 1\n---\nb: 2\n", ["line 2", "single document"]),
        ("a: &x 1\nb: *x\n", ["line 1", "needs quotes"]),
        ("a: &a [*a]\n", ["line 1", "needs quotes"]),
        ("a: !!python/object/apply:os.system [ls]\n", ["line 1", "needs quotes"]),
        ("? [1, 2]\n: 3\n", ["line 1", "a key is not a name"]),
        ("- a\n- b\n", ["not a mapping", "a list"]),
        ("just text\n", ["not a mapping", "a single value"]),
        (b"a: caf\xe9\n", ["line 1", "not UTF-8", "Save it as UTF-8"]),
        (b"a: 1\nb: \x00\n", ["character"]),
        ("[" * 20_000, ["inside each other"]),
        ("a: " + "9" * 5_000, ["digits"]),
        (b"#" * (MAX_BYTES + 1), ["larger than 1,000,000 bytes"]),
    ],
)
def test_a_broken_file_is_one_line(
    tmp_path: Path, content: str | bytes, phrases: list[str]
) -> None:
    message = _refusal(tmp_path, content)
    assert "config.yaml" in message
    for phrase in phrases:
        assert phrase in message


@pytest.mark.parametrize("value", ["!hunter2", "*hunter2", "&hunter2", "!a!hunter2 x", "@hunter2"])
def test_an_unquoted_password_is_not_repeated(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _read(tmp_path, f"notify:\n  smtp_password: {value}\n")
    assert "hunter2" not in caught.value.message
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="config.example.yaml") as caught:
        read_yaml(tmp_path / "none.yaml")
    assert str(tmp_path / "none.yaml") in caught.value.message


@pytest.mark.parametrize("name", ["", "bad\0name"])
def test_a_folder_or_an_impossible_path_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_yaml(tmp_path / name)


def test_an_unreadable_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match="cannot be read .*: found Permission denied"):
        read_yaml(tmp_path / "config.yaml")
