"""The statements that add transactions up in PostgreSQL, as text.

A row is added up only where it is certain, from its values alone, that it breaks no rule of the
contract. Of a customer with a row of which that is not certain, or with two transactions at one
moment in one category, none is: which of them are copies is for the contract to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from cardwatch.sources.postgres_sql import (
    Statements,
    Typed,
    all_of,
    array_literal,
    typed_literal,
)
from cardwatch.sources.snapshots import IS_DOUBTFUL, SUMMED, Sums, Wanted, Where

_INTEGERS = ("int2", "int4", "int8")
_TEXTS = ("text", "varchar", "bpchar")
_LARGEST_SCALE = 2
_DIGITS = 13
"""Digits of the shortest card number."""


def can_sum(statements: Statements, sums: Sums) -> bool:
    """Whether the types of the columns let the server judge and add up exactly."""
    customer, mcc, amount = (
        statements.columns[each.at] for each in (sums.customer, sums.mcc, sums.amount)
    )
    currency = statements.columns[sums.currency.at].type_name if sums.currency else "text"
    return (
        customer.type_name in (*_INTEGERS, "text", "varchar")
        and mcc.type_name in (*_INTEGERS, *_TEXTS)
        and currency in _TEXTS
        and (
            amount.type_name in _INTEGERS
            or (amount.scale is not None and 0 <= amount.scale <= _LARGEST_SCALE)
        )
    )


def sums_statement(statements: Statements, sums: Sums) -> Composable:
    """Add up the rows of each customer, week and category, and say where one may not be."""
    who, moment, code, amount = (
        Identifier(each.name) for each in (sums.customer, sums.time, sums.mcc, sums.amount)
    )
    each_moment = SQL(
        "SELECT {who} AS who, {moment} AS moment, {code} AS code, count(*) AS rows,"
        " sum({amount}) FILTER (WHERE {sound}) AS amount, bool_and({sound}) AS is_sound"
        " FROM {source} WHERE {chosen} GROUP BY 1, 2, 3"
    ).format(
        who=who,
        moment=moment,
        code=code,
        amount=amount,
        source=statements.named_source(),
        sound=SQL("coalesce({}, false)").format(_is_sound(statements, sums)),
        chosen=_is_in_weeks(statements, sums),
    )
    values = (
        SQL("who::text"),
        _week(statements, sums, SQL("moment")),
        SQL("code::text"),
        SQL("(sum(amount) * 100)::bigint"),
        SQL("sum(rows)::integer"),
        SQL("bool_or({})").format(_has_seconds(statements, sums)),
        _may_repeat(statements, sums),
    )
    names = (*SUMMED, IS_DOUBTFUL)
    listed = SQL(", ").join(
        SQL("{} AS {}").format(value, Identifier(name))
        for value, name in zip(values, names, strict=True)
    )
    return SQL("SELECT {} FROM ({}) AS at_moment GROUP BY who, 2, code").format(listed, each_moment)


def remainder_statement(
    statements: Statements,
    wanted: Sequence[Wanted],
    where: Where,
    sums: Sums,
    customers: Sequence[str],
) -> Composable:
    """Select the rows that are not added up, and all rows of some customers."""
    whole = SQL("{} = ANY({})").format(
        Identifier(sums.customer.name), Literal(array_literal(customers))
    )
    summed = all_of([_is_in_weeks(statements, sums), _is_sound(statements, sums)])
    left = SQL("NOT coalesce({} AND NOT {}, false)").format(summed, whole)
    return statements.rows(wanted, where, hashed=False, besides=left)


def _is_in_weeks(statements: Statements, sums: Sums) -> Composable:
    kind = statements.columns[sums.time.at].field.kind
    moment = Identifier(sums.time.name)
    weeks = Literal(array_literal([str(week) for week in sums.weeks]))
    bounds = (sums.bounds[min(sums.weeks) - 1], sums.bounds[max(sums.weeks)])
    first, after = (typed_literal(bound.isoformat(), kind) for bound in bounds)
    return all_of(
        [
            SQL("{} >= {}").format(moment, first),
            SQL("{} < {}").format(moment, after),
            SQL("{} = ANY({})").format(_week(statements, sums, moment), weeks),
        ]
    )


def _is_sound(statements: Statements, sums: Sums) -> Composable:
    """Return whether a row may be added up; not TRUE where that is not certain."""
    return all_of(
        [
            *_is_customer(statements.columns[sums.customer.at], sums),
            _is_code(statements.columns[sums.mcc.at], sums),
            _is_amount(sums),
            *_is_own_currency(sums),
            *(_has_few_digits(statements, each) for each in sums.texts),
        ]
    )


def _week(statements: Statements, sums: Sums, moment: Composable) -> Composable:
    kind = statements.columns[sums.time.at].field.kind
    bounds = SQL(", ").join(typed_literal(bound.isoformat(), kind) for bound in sums.bounds)
    return SQL("width_bucket({}, ARRAY[{}])").format(moment, bounds)


def _has_seconds(statements: Statements, sums: Sums) -> Composable:
    if statements.columns[sums.time.at].field.kind == "DATE":
        return SQL("false")
    return SQL("date_trunc('minute', moment) <> moment")


def _may_repeat(statements: Statements, sums: Sums) -> Composable:
    if statements.columns[sums.time.at].field.kind == "DATE":
        # Days have no seconds: equal rows are purchases of their own.
        return SQL("NOT bool_and(is_sound)")
    return SQL("max(rows) > 1 OR NOT bool_and(is_sound)")


def _is_customer(typed: Typed, sums: Sums) -> list[Composable]:
    bare = Identifier(sums.customer.name)
    if typed.type_name in _INTEGERS:
        return [SQL("{} IS NOT NULL").format(bare)]
    longest = SQL(str(sums.sound.longest_id))
    return [
        SQL("btrim({}) <> ''").format(bare),
        SQL("length({}) <= {}").format(bare, longest),
    ]


def _is_code(typed: Typed, sums: Sums) -> Composable:
    bare = Identifier(sums.mcc.name)
    if typed.type_name in _INTEGERS:
        return SQL("{} BETWEEN 0 AND 9999").format(bare)
    return SQL("{}::text ~ '^[0-9]{{4}}$'").format(bare)


def _is_amount(sums: Sums) -> Composable:
    limit = SQL("{}::numeric").format(Literal(repr(sums.sound.largest_amount)))
    return SQL("{bare} > -{limit} AND {bare} < {limit}").format(
        bare=Identifier(sums.amount.name), limit=limit
    )


def _is_own_currency(sums: Sums) -> list[Composable]:
    if sums.currency is None:
        return []
    text = SQL("coalesce({}::text, '')").format(Identifier(sums.currency.name))
    return [SQL("({} = '' OR {} = {})").format(text, text, Literal(sums.sound.currency))]


def _has_few_digits(statements: Statements, wanted: Wanted) -> Composable:
    text = statements.read(wanted)
    short = SQL(str(_DIGITS))
    return SQL(
        "(coalesce(length({text}), 0) < {short} OR length({text})"
        " - length(translate({text}, '0123456789', '')) < {short})"
    ).format(text=text, short=short)
