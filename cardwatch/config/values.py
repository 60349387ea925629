"""Checks of single values that a type and a range cannot express, each saying what it expected."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from pydantic_core import PydanticCustomError

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?[KMGT]i?B", re.IGNORECASE)
_TABLE_PART = re.compile(r'"(?:[^"]|"")+"|[^".]+')
_TABLE = re.compile(rf"(?:{_TABLE_PART.pattern})(?:\.(?:{_TABLE_PART.pattern}))?")
_READING = re.compile(
    r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:(?:SELECT|WITH|VALUES|TABLE)\b|\()", re.I | re.S
)
_MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_LINK = re.compile(r"https?://[!-~]+")
_CREDENTIALS = re.compile(r"(?<=://)\S*@")


def expected(text: str) -> PydanticCustomError:
    """Return the error of a value that is not what `text` describes."""
    return PydanticCustomError("expected", "{expected}", {"expected": text})


def without_credentials(text: str) -> str:
    """Mask user and password of any URL in a text.

    Examples
    --------
    >>> without_credentials("postgresql://reader:secret@db/cards")
    'postgresql://***@db/cards'
    """
    return _CREDENTIALS.sub("***@", text)


def is_currency(text: str) -> str:
    """Accept an ISO 4217 code in capitals, or nothing."""
    if text and not re.fullmatch("[A-Z]{3}", text):
        raise expected("three capital letters such as EUR, or nothing")
    return text


def is_time_zone(text: str) -> str:
    """Accept the name of a time zone in the IANA database."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise expected("a time zone name such as UTC or Europe/Berlin") from error
    return text


def is_path(value: object) -> object:
    """Refuse a path that is empty, carries credentials, or begins with a tilde nobody expands."""
    text = str(value)
    if not text or "\0" in text:
        raise expected("a path")
    if text.startswith("~"):
        raise expected("a path without ~; ${HOME} stands for the home folder")
    if re.search(r"://[^/\s]*:[^\s]*@", text):
        raise expected("a path; a database URL belongs in data_source.connection_string")
    return value


def is_mail_address(text: str) -> str:
    """Accept one mail address, and nothing else that a header could hold.

    References
    ----------
    The WHATWG's HTML standard, "valid e-mail address": RFC 5322 without comments and quoted parts.

    Examples
    --------
    >>> is_mail_address("risk.team@bank.example")
    'risk.team@bank.example'
    """
    if len(text) > 254 or not _MAIL_ADDRESS.fullmatch(text):
        raise expected("a mail address such as risk.team@bank.example")
    return text


def is_address_or_nothing(text: str) -> str:
    """Accept one mail address, or nothing."""
    return is_mail_address(text) if text else text


def are_different(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a mail address that is named twice, whatever its letters' case."""
    if len({each.lower() for each in addresses}) < len(addresses):
        raise expected("every mail address once")
    return addresses


def is_link(text: str) -> str:
    """Accept a web address without credentials, or nothing."""
    if text and (not _LINK.fullmatch(text) or _CREDENTIALS.search(text)):
        raise expected("a web address such as https://files.bank.example/anomalies_{label}.csv")
    return text


def is_distinct(columns: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse a mapping that reads one column of the data twice, or one without a name."""
    if "" in columns.values() or len(set(columns.values())) < len(columns):
        raise expected("a different column of the data for each name")
    return columns


def table_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a table's name, the schema first where there is one.

    Raises
    ------
    ValueError
        If it is not one or two names with a dot between them.

    Examples
    --------
    >>> table_parts("cards.weekly")
    ('cards', 'weekly')
    >>> table_parts('"weekly.2025"')
    ('weekly.2025',)
    """
    if not _TABLE.fullmatch(name):
        raise ValueError("not a table name")
    parts = [part for part in _TABLE_PART.findall(name) if part]
    return tuple(part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts)


def is_table_name(text: str) -> str:
    """Accept the name of a table, with its schema or without."""
    if not _TABLE.fullmatch(text) or "\0" in text:
        raise expected('a table or schema.table; a name with a dot in it is written "in.quotes"')
    return text


def is_query(text: str) -> str:
    """Accept one statement that reads, without the semicolon that would end it."""
    statement = text.strip().removesuffix(";").rstrip()
    if not _READING.match(statement):
        raise expected("one SELECT")
    return statement


def is_date_format(text: str) -> str:
    """Accept a format with at least one directive."""
    if not re.search("%[a-zA-Z]", text):
        raise expected("a format such as %d.%m.%Y")
    return text


def as_separator(value: object) -> object:
    r"""Accept one character; a typed ``\t`` means a tab."""
    if value == r"\t":
        return "\t"
    if isinstance(value, str) and (len(value) != 1 or value in "\r\n\"'"):
        raise expected("one character such as ; or \\t, or null to find it out")
    return value


def is_encoding(text: str) -> str:
    """Accept an encoding that Python knows by this name."""
    try:
        codecs.lookup(text)
    except (LookupError, ValueError) as error:
        raise expected("an encoding such as utf-8 or latin-1") from error
    return text


def is_rising(pair: tuple[float, float]) -> tuple[float, float]:
    """Accept two numbers above 1, the smaller one first."""
    if not 1 < pair[0] < pair[1]:
        raise expected("two numbers above 1, the smaller one first")
    return pair


def as_mcc(value: object) -> object:
    """Accept a merchant category code: four digits, quoted or not."""
    text = str(value) if isinstance(value, int) else value
    if isinstance(text, str) and not re.fullmatch("[0-9]{4}", text):
        raise expected("four digits such as 7995")
    return text


def as_level(value: object) -> object:
    """Read a level in any case; WARN is WARNING."""
    if not isinstance(value, str):
        return value
    name = value.strip().upper()
    return "WARNING" if name == "WARN" else name


def is_size(text: str) -> str:
    """Accept a size with a unit."""
    match = _SIZE.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise expected("a size such as 800MB or 4GB")
    return text
