from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.config.environment import Variables, read_dotenv, replace
from cardwatch.errors import ConfigurationError

PARTS = {"DB_HOST": "db.bank.com", "DB_NAME": "cards", "DB_USER": "reader", "DB_PASSWORD": "pw"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_the_process_environment_comes_before_the_env_file() -> None:
    variables = Variables(process={"A": "process"}, dotenv={"A": "file", "B": "file"})
    assert (variables.get("A"), variables.origin("A")) == ("process", "environment")
    assert (variables.get("B"), variables.origin("B")) == ("file", ".env")
    assert variables.get("C") is None


def test_a_variable_set_to_nothing_counts_as_not_set() -> None:
    assert Variables(process={"A": ""}, dotenv={"A": "file"}).get("A") == "file"
    assert replace("${A:-default}", Variables(process={"A": ""})).value == "default"


def test_a_connection_string_is_made_from_its_parts() -> None:
    variables = Variables(dotenv=PARTS)
    expected = "postgresql://reader:pw@db.bank.com:5432/cards"
    assert variables.get("DB_CONNECTION_STRING") == expected
    assert variables.origin("DB_CONNECTION_STRING") == ".env"
    with_port = Variables(process={"DB_PORT": "6000"}, dotenv=PARTS)
    assert str(with_port.get("DB_CONNECTION_STRING")).endswith(":6000/cards")
    assert with_port.origin("DB_CONNECTION_STRING") == "environment"


def test_a_connection_string_that_is_set_is_used_as_it_is() -> None:
    variables = Variables(dotenv={**PARTS, "DB_CONNECTION_STRING": "postgresql://other/db"})
    assert variables.get("DB_CONNECTION_STRING") == "postgresql://other/db"


@pytest.mark.parametrize("part", sorted(PARTS))
def test_without_one_of_its_parts_there_is_no_connection_string(part: str) -> None:
    variables = Variables(dotenv={name: value for name, value in PARTS.items() if name != part})
    assert variables.get("DB_CONNECTION_STRING") is None
    assert variables.missing_for_connection() == [part]


@pytest.mark.parametrize("password", ["p@ss:w/o#r%d&", "a b", '"quo\'te"', "${HOME}", "ü€😀", "\\"])
def test_a_password_with_special_characters_survives(password: str) -> None:
    url = Variables(dotenv={**PARTS, "DB_PASSWORD": password}).get("DB_CONNECTION_STRING")
    assert unquote(urlsplit(str(url)).password or "") == password


@given(user=TEXT, password=TEXT, database=TEXT)
def test_any_user_password_and_database_survive(user: str, password: str, database: str) -> None:
    parts = {**PARTS, "DB_USER": user, "DB_PASSWORD": password, "DB_NAME": database}
    url = urlsplit(str(Variables(process=parts).get("DB_CONNECTION_STRING")))
    assert unquote(url.username or "") == user
    assert unquote(url.password or "") == password
    assert unquote(url.path[1:]) == database
    assert (url.hostname, url.port) == ("db.bank.com", 5432)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("::1", "[::1]:5432"), ("[::1]", "[::1]:5432"), ("/var/run/pg", "%2Fvar%2Frun%2Fpg:5432")],
)
def test_ipv6_and_socket_hosts_are_written_as_urls_want_them(host: str, expected: str) -> None:
    url = Variables(process={**PARTS, "DB_HOST": host}).get("DB_CONNECTION_STRING")
    assert f"@{expected}/" in str(url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME}", "value"),
        ("a/${NAME}/b", "a/value/b"),
        ("${NAME}${OTHER}", "valuex"),
        ("${NONE:-default}", "default"),
        ("${NONE:-}", ""),
        ("${NAME:-default}", "value"),
        ("$NAME $ {NAME} $$", "$NAME $ {NAME} $$"),
        ("$${NAME}", "${NAME}"),
        ("$${", "${"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    assert replace(text, Variables(process={"NAME": "value", "OTHER": "x"})).value == expected


def test_a_replacement_is_neither_parsed_nor_replaced_again() -> None:
    evil = "x\nmodel: {contamination: 0.5} # ${HOME} ['"
    replaced = replace(
        ["${EVIL}", {"k": "${EVIL}"}], Variables(process={"EVIL": evil, "HOME": "h"})
    )
    assert replaced.value == [evil, {"k": evil}]


@given(st.text())
def test_any_variable_arrives_as_it_is(value: str) -> None:
    replaced = replace("<${X:-}>", Variables(process={"X": value}))
    assert replaced.value == f"<{value}>"


def test_missing_and_confidential_variables_are_reported() -> None:
    replaced = replace("${A}${B_TOKEN}", Variables(process={"B_TOKEN": "t"}))
    assert replaced.missing == ("A",)
    assert replaced.names == ("B_TOKEN",)
    assert replaced.is_confidential


@pytest.mark.parametrize("text", ["${", "${A", "${1A}", "${A:?}", "${A-b}", "${A:-${B}}", "${ A }"])
def test_a_reference_of_another_form_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        replace(text, Variables())


def test_an_env_file_is_read_without_expanding_anything(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# comment\nexport A=1\nB='b c'\nC=\"x # y\"\nD=p#q # comment\nE=${A}\nF\nG=\n",
        encoding="utf-8",
    )
    found = read_dotenv(path, required=True)
    assert (found["A"], found["B"]) == ("1", "b c")
    assert found["C"] == "x # y"
    assert found["D"] == "p#q"
    assert found["E"] == "${A}"
    assert "F" not in found and "G" not in found


def test_an_env_file_need_not_exist_unless_it_was_named(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env", required=False) == {}
    with pytest.raises(ConfigurationError, match="no such environment file"):
        read_dotenv(tmp_path / ".env", required=True)


def test_a_broken_env_line_is_named_by_number_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('A=1\nDB_PASSWORD="hunter2\nB=2\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_dotenv(path, required=False)
    assert ".env line 2" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("kind", ["folder", "latin-1"])
def test_an_env_file_that_cannot_be_read_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".env"
    path.mkdir() if kind == "folder" else path.write_bytes(b"A=\xe9\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_dotenv(path, required=False)
