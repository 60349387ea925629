"""Statements of the steps in Spark's SQL, translated by SQLGlot.

The steps write DuckDB's. What of it reaches Spark filters, joins, counts and orders; sums are of
whole numbers. Arithmetic with fractions is never left to a statement that may run in either: two
engines need not agree in the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import sqlglot
from sqlglot import exp


@dataclass(frozen=True)
class Statement:
    """A statement of a step, understood.

    Attributes
    ----------
    kind : str
        ``query``; ``table``, ``temporary`` and ``view`` for what a query makes; or ``other``.
    name : str
        Of what is made; empty for a query.
    tables : frozenset of str
        The tables that it reads.
    """

    kind: str
    name: str
    tables: frozenset[str]
    _query: exp.Expr = field(repr=False)

    @classmethod
    def of(cls, sql: str) -> Statement:
        """Parse a statement in DuckDB's SQL."""
        tree = sqlglot.parse_one(sql, read="duckdb")
        if isinstance(tree, exp.Query):
            return cls("query", "", _tables(tree), tree)
        query = tree.args.get("expression")
        if not isinstance(tree, exp.Create) or not isinstance(query, exp.Query):
            return cls("other", "", _tables(tree), tree)
        properties = tree.args.get("properties")
        temporary = properties is not None and properties.find(exp.TemporaryProperty) is not None
        kind = "view" if tree.kind == "VIEW" else "temporary" if temporary else "table"
        return cls(kind, tree.this.name, _tables(query), query)

    def spark(
        self, names: Callable[[str], str], parameters: Mapping[str, object]
    ) -> tuple[str, dict[str, object]]:
        """Return the query for Spark, and those of the parameters that it still names.

        Parameters
        ----------
        names : callable
            Given one of `tables`, what it is called in Spark.
        parameters : mapping
            By name. A list stands in ``x IN (SELECT unnest($name))`` only, and is written out.
        """
        query = self._query.copy()
        for table in list(query.find_all(exp.Table)):
            if table.name in self.tables:
                alias = table.alias or table.name
                table.replace(exp.to_table(names(table.name), alias=alias))
        for each in list(query.find_all(exp.In)):
            listed = _listed(each, parameters)
            if listed is not None:
                each.replace(listed)
        named = {each.name for each in query.find_all(exp.Placeholder)}
        kept = {name: value for name, value in parameters.items() if name in named}
        return query.sql("spark"), kept


def order_terms(order: str) -> list[tuple[str, bool]]:
    """Return the terms of an ORDER BY, each in Spark's SQL and whether it descends.

    Examples
    --------
    >>> order_terms("anomaly_score DESC, customer_id")
    [('anomaly_score', True), ('customer_id', False)]
    """
    ordered = sqlglot.parse_one(f"SELECT 1 ORDER BY {order}", read="duckdb").args["order"]
    return [
        (cast("exp.Expr", each.this).sql("spark"), bool(each.args.get("desc")))
        for each in ordered.expressions
    ]


def _tables(tree: exp.Expr) -> frozenset[str]:
    own = {each.alias for each in tree.find_all(exp.CTE)}
    return frozenset(each.name for each in tree.find_all(exp.Table) if each.name) - own


def _listed(each: exp.In, parameters: Mapping[str, object]) -> exp.Expr | None:
    query = each.args.get("query")
    unnested = query.find(exp.Unnest, exp.Explode) if query is not None else None
    if unnested is None:
        return None
    name = unnested.find(exp.Placeholder)
    values = parameters.get(name.name) if name is not None else None
    if not isinstance(values, list):
        return None
    if not values:
        return exp.false()
    return exp.In(this=each.this.copy(), expressions=[exp.convert(value) for value in values])
