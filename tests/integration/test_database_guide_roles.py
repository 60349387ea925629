"""The SQL of the page on connecting a database, run as it stands."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import psycopg
import pytest
from postgres import Database

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect

PAGE = Path(__file__).parents[2] / "docs/how-to/connect-a-database.md"


@pytest.fixture
def reader(database: Database) -> str:
    """A name that no other test uses; the role is dropped with its database."""
    return f"anomaly_reader_{secrets.token_hex(4)}"


def test_the_documented_user_reads_the_table_and_nothing_else(
    database: Database, reader: str
) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    statements = block.replace("anomaly_reader", reader).replace("card_analytics", database.name)
    database.execute("CREATE TABLE card_transactions AS SELECT 1 AS a; CREATE TABLE secret (a int)")
    database.execute("REVOKE CONNECT ON DATABASE " + database.name + " FROM PUBLIC")
    database.execute(statements)
    try:
        address = DatabaseAddress.parse(database.url_as(reader, "your-secure-password"))
        with connect(
            address, read_only=True, connect_timeout=5, statement_timeout=5, autocommit=True
        ) as connection:
            assert connection.execute("SELECT a FROM card_transactions").fetchall() == [(1,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT a FROM secret")
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("DELETE FROM card_transactions")
    finally:
        database.execute(f"DROP OWNED BY {reader}; DROP ROLE {reader}")
