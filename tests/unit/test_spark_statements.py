"""Statements of the steps as Spark gets them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cardwatch.spark.statements import Statement


def in_spark(sql: str, parameters: Mapping[str, object] | None = None) -> str:
    return Statement.of(sql).spark(lambda name: f"run_{name}", parameters or {})[0]


@pytest.mark.parametrize(
    ("sql", "kind", "name", "tables"),
    [
        ("SELECT * FROM cell WHERE mcc = $mcc", "query", "", {"cell"}),
        ("CREATE OR REPLACE TABLE a AS SELECT * FROM b, c", "table", "a", {"b", "c"}),
        ("CREATE OR REPLACE TEMP TABLE a AS SELECT * FROM b", "temporary", "a", {"b"}),
        ("CREATE OR REPLACE VIEW a AS SELECT * FROM b", "view", "a", {"b"}),
        ("WITH a AS (SELECT * FROM b) SELECT * FROM a", "query", "", {"b"}),
        ("DELETE FROM a WHERE mcc = 1", "other", "", {"a"}),
    ],
)
def test_what_a_statement_makes_and_reads(sql: str, kind: str, name: str, tables: set[str]) -> None:
    statement = Statement.of(sql)
    assert (statement.kind, statement.name, set(statement.tables)) == (kind, name, tables)


def test_tables_get_the_names_they_have_in_spark_and_keep_their_aliases() -> None:
    sql = "SELECT s.a, score.b FROM score AS s INNER JOIN score ON score.a = s.a"
    assert in_spark(sql) == (
        "SELECT s.a, score.b FROM run_score AS s INNER JOIN run_score AS score ON score.a = s.a"
    )


def test_a_list_is_written_out_and_an_empty_one_holds_nobody() -> None:
    sql = "SELECT a FROM t WHERE k IN (SELECT unnest($keys)) AND b >= $low"
    statement, kept = Statement.of(sql).spark(str, {"keys": [3, 5], "low": 2, "other": 1})
    assert statement == "SELECT a FROM t AS t WHERE k IN (3, 5) AND b >= :low"
    assert kept == {"low": 2}
    assert "WHERE FALSE" in in_spark(sql, {"keys": [], "low": 2})


def test_texts_in_a_list_are_quoted() -> None:
    sql = "SELECT a FROM t WHERE k IN (SELECT unnest($ids))"
    assert "IN ('it\\'s', 'b')" in in_spark(sql, {"ids": ["it's", "b"]})
