"""How each delivered column is read, and which rule a row breaks: the view ``delivered_row``.

A column keeps the type it was delivered in, and how a value is read depends on that type: text is
parsed exactly, binary fractions are rounded half away from zero to whole cents. Its columns::

    customer_id VARCHAR, week_start DATE, week_index TINYINT, mcc SMALLINT, spend_cents BIGINT,
    transaction_count INTEGER, ticket_disagrees BOOLEAN     what is accepted
    problem VARCHAR                                         the first rule broken, or NULL
    has_seconds BOOLEAN, moment, extra_hash UBIGINT         what makes transactions the same
    text_suspect, refused_text_suspect BOOLEAN              a text might hold a card number: one
        that no rule forbids it, or one in which it always breaks a rule
    week_value, mcc_given, amount_given, count_given, detail, source     as delivered
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cardwatch.config import ContractConfig
from cardwatch.contract.cards import PREFILTER
from cardwatch.contract.rules import ReasonCode
from cardwatch.schema import Delivery
from cardwatch.week import ReportingWeek

LARGEST_AMOUNT = 1e12
"""Whatever the setting says: sums of smaller amounts cannot overflow a week's cents."""
LARGEST_COUNT = 2**31 - 1

_INTEGERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_FRACTIONS = re.compile(r"DECIMAL.*|DOUBLE|FLOAT")
_DECIMAL = re.compile(r"DECIMAL.*")
_LONGEST_NUMBER = 50
_TIMES = re.compile(r"TIMESTAMP.*")
_TIME_COLUMNS = ("week_value", "transaction_time")
_JUDGED_COLUMNS = (*_TIME_COLUMNS, "mcc", "amount", "spend_amount", "transaction_count")
"""Text columns in which a card number always breaks a rule, so that accepted rows hold none."""


@dataclass(frozen=True)
class Column:
    """A delivered column: its SQL name and DuckDB type; absent ones read as NULL text."""

    sql: str
    type: str

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers by type."""
        return _INTEGERS.fullmatch(self.type) is not None

    @property
    def is_number(self) -> bool:
        """Whether values are numbers by type."""
        return self.is_integer or _FRACTIONS.fullmatch(self.type) is not None

    @property
    def is_exact(self) -> bool:
        """Whether cents come from decimal digits rather than from a binary fraction."""
        return self.type not in ("DOUBLE", "FLOAT")

    @property
    def text(self) -> str:
        """The value as text; whole numbers held as fractions lose their ``.0``."""
        if self.type == "VARCHAR":
            return self.sql
        plain = f"CAST({self.sql} AS VARCHAR)"
        if self.type in ("DOUBLE", "FLOAT"):
            whole = f"abs({self.sql}) < 1e18 AND {self.sql} = trunc({self.sql})"
            integer = f"CAST(CAST({self.sql} AS BIGINT) AS VARCHAR)"
            return f"CASE WHEN {whole} THEN {integer} ELSE {plain} END"
        return plain

    @property
    def missing(self) -> str:
        """Whether there is no value; blank text is none."""
        if self.is_number:
            return f"{self.sql} IS NULL"
        return f"({self.sql} IS NULL OR trim({self.text}) = '')"

    @property
    def number(self) -> str:
        """The value as DOUBLE; NULL where it is no number."""
        return f"TRY_CAST({self.sql if self.is_number else self.text} AS DOUBLE)"


@dataclass(frozen=True)
class Columns:
    """The columns of a delivery by the names of the schema."""

    found: Mapping[str, Column]
    extra: tuple[Column, ...]

    def __getitem__(self, name: str) -> Column:
        return self.found.get(name, Column("CAST(NULL AS VARCHAR)", "VARCHAR"))

    def __contains__(self, name: str) -> bool:
        return name in self.found

    @property
    def texts(self) -> Mapping[str, str]:
        """Name and SQL of each delivered text column but the customer id, for the card scan.

        A week or time that could be read holds no card number, and is not searched for one.
        """
        unread = "CASE WHEN d.week_start IS NULL THEN {} END"
        return {
            name: unread.format(column.text) if name in _TIME_COLUMNS else column.text
            for name, column in self.found.items()
            if name not in ("customer_id", "source_file") and not _has_no_text(column)
        }


def _has_no_text(column: Column) -> bool:
    return column.is_number or re.fullmatch(r"DATE|TIME.*|BOOLEAN", column.type) is not None


def read_columns(described: Sequence[tuple[str, str]], delivery: Delivery) -> Columns:
    """Return the delivery's columns from a DESCRIBE of its SELECT (names and types)."""
    found = {name: Column(f"d.{_quoted(name)}", kind) for name, kind in described}
    extra = tuple(found[name] for name in delivery.extra_columns if name in found)
    return Columns(found, extra)


def row_rules(
    columns: Columns, delivery: Delivery, weeks: Sequence[ReportingWeek], rules: ContractConfig
) -> list[tuple[ReasonCode, str]]:
    """Return each rule on single rows with its condition in SQL, first come, first counted."""
    customer, mcc = columns["customer_id"], columns["mcc"]
    checks = [
        (ReasonCode.MISSING_KEY, f"{_id_missing(customer)} OR {_mcc_missing(mcc)}"),
        (ReasonCode.ID_TOO_LONG, _id_too_long(customer, rules.max_id_length)),
        (ReasonCode.WEEK_UNREADABLE, "d.week_start IS NULL"),
        (ReasonCode.WEEK_OUTSIDE_REQUEST, f"NOT ({_asked(weeks)})"),
        (ReasonCode.MALFORMED_MCC, "d.mcc_number IS NULL"),
    ]
    if delivery.shape == "transactions":
        return checks + _amount_rules(columns["amount"], rules) + _currency_rule(columns)
    count = columns["transaction_count"]
    amounts = _amount_rules(columns["spend_amount"], rules)
    return checks + amounts + _count_rules(count) + _currency_rule(columns)


def view_sql(
    select: str,
    columns: Columns,
    delivery: Delivery,
    weeks: Sequence[ReportingWeek],
    rules: ContractConfig,
) -> str:
    """Return the SELECT behind the view ``delivered_row`` over the source's own SELECT."""
    weekly = delivery.shape == "weekly"
    amount = columns["spend_amount" if weekly else "amount"]
    count = columns["transaction_count"]
    oldest = (delivery.reference_weeks or (delivery.week,))[0]
    fields = {
        "customer_id": columns["customer_id"].text,
        "week_start": "d.week_start",
        "week_index": f"TRY_CAST((d.week_start - DATE '{oldest.monday}') // 7 AS TINYINT)",
        "mcc": "d.mcc_number",
        "spend_cents": _cents(amount, rules),
        "transaction_count": "coalesce(TRY_CAST(d.count_number AS INTEGER), 0)" if weekly else "1",
        "ticket_disagrees": _ticket_disagrees(columns["avg_ticket_amount"]) if weekly else "false",
        "problem": "d.problem",
        "has_seconds": _has_seconds(columns["transaction_time"]),
        "moment": columns["transaction_time"].sql,
        "extra_hash": f"hash({', '.join(c.sql for c in columns.extra)})" if columns.extra else "0",
        "text_suspect": _suspects(columns, judged=False),
        "refused_text_suspect": _suspects(columns, judged=True),
        "week_value": columns["week_value"].text,
        "mcc_given": columns["mcc"].sql,
        "amount_given": amount.sql,
        "count_given": count.sql,
        "detail": _detail(columns),
        "source": columns["source_file"].text,
    }
    body = ",\n    ".join(f"{sql} AS {name}" for name, sql in fields.items())
    numbers = (
        f"{_mcc_number(columns['mcc'])} AS mcc_number, {amount.number} AS amount_number,"
        f" {count.number} AS count_number"
    )
    checks = row_rules(columns, delivery, weeks, rules)
    problem = "CASE " + " ".join(f"WHEN {sql} THEN '{c.name}'" for c, sql in checks) + " END"
    numbered = f"SELECT d.*, {numbers} FROM ({select}) AS d"
    judged = f"SELECT d.*, {problem} AS problem FROM ({numbered}) AS d"
    return f"SELECT\n    {body}\nFROM ({judged}) AS d"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _id_missing(customer: Column) -> str:
    if customer.type != "VARCHAR":
        return f"{customer.sql} IS NULL"
    # Only texts before '!' can be blank; a CASE spares the others the trimming, an AND would not.
    blank = f"CASE WHEN {customer.sql} < '!' THEN trim({customer.sql}) = '' ELSE false END"
    return f"{customer.sql} IS NULL OR {blank}"


def _id_too_long(customer: Column, longest: int) -> str:
    if customer.is_number and longest > _LONGEST_NUMBER:
        return "false"
    characters = f"length({customer.text}) > {longest}"
    return f"CASE WHEN strlen({customer.text}) > {longest} THEN {characters} ELSE false END"


def _asked(weeks: Sequence[ReportingWeek]) -> str:
    first, last = min(weeks), max(weeks)
    if last - first == len(weeks) - 1:
        return f"d.week_start BETWEEN DATE '{first.monday}' AND DATE '{last.monday}'"
    mondays = ", ".join(f"DATE '{week.monday}'" for week in weeks)
    return f"d.week_start IN ({mondays})"


def _mcc_number(mcc: Column) -> str:
    if mcc.is_integer:
        valid = f"{mcc.sql} BETWEEN 0 AND 9999"
    elif mcc.is_number:
        valid = f"{mcc.sql} BETWEEN 0 AND 9999 AND {mcc.sql} = trunc({mcc.sql})"
    else:
        valid = f"regexp_full_match({mcc.text}, ' *[0-9]{{4}} *')"
    return f"CASE WHEN {valid} THEN TRY_CAST({mcc.text} AS SMALLINT) END"


def _mcc_missing(mcc: Column) -> str:
    return f"CASE WHEN d.mcc_number IS NULL THEN {mcc.missing} ELSE false END"


def _amount_rules(amount: Column, rules: ContractConfig) -> list[tuple[ReasonCode, str]]:
    limit = min(rules.max_amount, LARGEST_AMOUNT)
    return [
        (
            ReasonCode.MISSING_AMOUNT,
            f"CASE WHEN d.amount_number IS NULL THEN {amount.missing} ELSE false END",
        ),
        (ReasonCode.AMOUNT_NOT_A_NUMBER, "d.amount_number IS NULL"),
        (ReasonCode.AMOUNT_NOT_FINITE, "NOT isfinite(d.amount_number)"),
        (ReasonCode.AMOUNT_ABSURD, f"abs(d.amount_number) > {limit!r}"),
    ]


def _count_rules(count: Column) -> list[tuple[ReasonCode, str]]:
    fraction = "NOT isfinite(d.count_number) OR d.count_number <> trunc(d.count_number)"
    unread = f"CASE WHEN d.count_number IS NULL THEN NOT {count.missing} ELSE {fraction} END"
    return [
        (ReasonCode.COUNT_NOT_WHOLE, "false" if count.is_integer else unread),
        (ReasonCode.COUNT_NEGATIVE, "d.count_number < 0"),
        (ReasonCode.COUNT_TOO_LARGE, f"d.count_number > {LARGEST_COUNT}"),
        (
            ReasonCode.SPEND_WITHOUT_COUNT,
            "d.amount_number <> 0 AND coalesce(d.count_number, 0) = 0",
        ),
    ]


def _currency_rule(columns: Columns) -> list[tuple[ReasonCode, str]]:
    if "currency" not in columns:
        return []
    own = currency_sql(columns)
    differs = f"{own} <> '' AND {own} <> (SELECT currency FROM contract_currency)"
    return [(ReasonCode.OTHER_CURRENCY, differs)]


def currency_sql(columns: Columns) -> str:
    """Return the SQL of a row's currency code, upper case without blanks; empty where missing."""
    return f"upper(trim(coalesce({columns['currency'].text}, '')))"


def _cents(amount: Column, rules: ContractConfig) -> str:
    limit = min(rules.max_amount, LARGEST_AMOUNT)
    rounded = "CAST(round(d.amount_number * 100) AS BIGINT)"
    if amount.is_exact:
        source = amount.sql if amount.is_number else amount.text
        exact = f"CAST(TRY_CAST({source} AS DECIMAL(18, 2)) * 100 AS BIGINT)"
        rounded = f"coalesce({exact}, {rounded})"
    return f"CASE WHEN abs(d.amount_number) <= {limit!r} THEN {rounded} END"


def _ticket_disagrees(average: Column) -> str:
    apart = f"abs({average.number} * d.count_number - d.amount_number)"
    allowed = "0.010000001 * d.count_number + 0.001 * abs(d.amount_number)"
    unread = "false" if average.is_number else f"NOT {average.missing} AND {average.number} IS NULL"
    return f"coalesce({apart} > {allowed} AND NOT isnan({average.number}), {unread})"


def _has_seconds(time: Column) -> str:
    if _TIMES.fullmatch(time.type):
        return f"epoch_us(CAST({time.sql} AS TIMESTAMP)) % 60000000 <> 0"
    if time.is_integer:
        return f"{time.sql} % 60 <> 0"
    if time.type == "VARCHAR":
        return f"regexp_matches({time.sql}, ':[0-5][0-9]:(0[1-9]|[1-5][0-9])')"
    return "false"


def _detail(columns: Columns) -> str:
    cases = [
        f"WHEN {_id_missing(columns['customer_id'])} THEN 'customer_id is missing'",
        f"WHEN {_mcc_missing(columns['mcc'])} THEN 'mcc is missing'",
    ]
    if "currency" in columns:
        own = currency_sql(columns)
        cases.append(f"WHEN {own} <> '' THEN 'currency ' || {own}")
    return f"CASE {' '.join(cases)} ELSE '' END"


def _suspects(columns: Columns, *, judged: bool) -> str:
    texts = [
        _suspect(text)
        for name, text in columns.texts.items()
        if (name in _JUDGED_COLUMNS) is judged
    ]
    return " OR ".join(texts) or "false"


def _suspect(text: str) -> str:
    return (
        f"CASE WHEN strlen({text}) >= 13 THEN regexp_matches({text}, '{PREFILTER}') ELSE false END"
    )
