"""The whole story on PostgreSQL: load the sample portfolio, score a week, read the list in SQL.

Started by ``make run-postgres``. The server is a throw-away one; its database and roles are those
that the deployment guide asks for: a user that reads one table, a user that publishes, and a role
for the people who read, as whom the questions at the end are asked.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from psycopg import sql

from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek
from demo.postgres_server import PostgresServer

DATABASE = "card_analytics"
READER, PUBLISHER, ANALYST = "anomaly_reader", "anomaly_publisher", "analyst"
READER_ROLE = "cardwatch_reader"
CUSTOMERS, WEEKS, SEED = 20_000, 26, 7
SECRET = "throw-away"

TABLE = """
CREATE TABLE card_transactions (
    customer_id VARCHAR(50) NOT NULL,
    reporting_week VARCHAR(7) NOT NULL,
    mcc VARCHAR(4) NOT NULL,
    spend_amount NUMERIC(12, 2) NOT NULL,
    transaction_count INTEGER NOT NULL,
    avg_ticket_amount NUMERIC(12, 2)
)
"""
CONFIGURATION = """\
environment: development
data_source:
  type: database
  connection_string: "${DB_CONNECTION_STRING}"
feature_engineering:
  use_cache: true
  cache_dir: cache
output:
  directory: outputs
  database:
    enabled: true
logging:
  file: logs/app.log
"""
QUESTIONS = {
    "Who is on this week's list, and why?": """
SELECT f.anomaly_rank AS rank, f.customer_id, f.risk_category, f.total_spend, r.sentence
FROM bi_fact_anomaly AS f
JOIN bi_dim_week AS w USING (week_start)
JOIN bi_fact_reason AS r USING (anomaly_key)
WHERE w.is_latest AND r.position = 1
ORDER BY f.anomaly_rank
LIMIT 5""",
    "The guide's own table, as Power BI reads it": """
SELECT customer_id, reporting_week, round(anomaly_score::numeric, 4) AS anomaly_score,
       anomaly_rank, risk_category, total_spend, top_mcc
FROM anomaly_reports
ORDER BY reporting_week DESC, anomaly_rank
LIMIT 5""",
    "Where did the first of them spend, and what is usual there?": """
SELECT m.mcc, d.name, m.spend, m.usual_spend, m.is_new
FROM bi_fact_mcc_week AS m
JOIN bi_dim_mcc AS d USING (mcc)
JOIN bi_fact_anomaly AS f USING (anomaly_key)
JOIN bi_dim_week AS w ON w.week_start = f.week_start
WHERE w.is_latest AND f.anomaly_rank = 1
ORDER BY m.spend DESC
LIMIT 5""",
}


def main() -> None:
    """Run the demonstration from beginning to end; the server stops with it."""
    with tempfile.TemporaryDirectory(prefix="cardwatch-demo-") as name, PostgresServer() as server:
        folder = Path(name)
        _say(f"PostgreSQL {server.psql('-Atc', 'SHOW server_version').strip()} is running")
        _prepare(server)
        _load_sample(server, folder)
        _configure(folder)
        environment = _environment(server)
        _say("config/config.yaml; both addresses come from the environment")
        print(CONFIGURATION.rstrip(), flush=True)
        _cardwatch("config check", folder, environment)
        _cardwatch(f"db upgrade --reader-role {READER_ROLE}", folder, environment)
        _say("The analyst is put into that role")
        _administer(server, f"GRANT {READER_ROLE} TO {ANALYST}")
        _cardwatch("run", folder, environment)
        for question, query in QUESTIONS.items():
            _ask(server, question, query)
    _say("The server is stopped, and its files are deleted")


def _say(sentence: str) -> None:
    print(f"\n== {sentence}", flush=True)


def _prepare(server: PostgresServer) -> None:
    """Make the database and its users, as an administrator would."""
    _say("A database, a table, a user who reads it, a user who publishes, and an analyst")
    _administer(server, f"CREATE DATABASE {DATABASE}", database="postgres")
    statements = (
        TABLE,
        f"CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'",
        f"GRANT SELECT ON card_transactions TO {READER}",
        f"CREATE ROLE {PUBLISHER} LOGIN CREATEROLE PASSWORD '{SECRET}'",
        f"GRANT CREATE, USAGE ON SCHEMA public TO {PUBLISHER}",
        f"CREATE ROLE {ANALYST} LOGIN PASSWORD '{SECRET}'",
    )
    for statement in statements:
        _administer(server, statement)


def _administer(server: PostgresServer, statement: str, database: str = DATABASE) -> None:
    """Run a statement as the administrator, and show it without passwords."""
    print(f"{statement.strip().replace(SECRET, '…')};", flush=True)
    server.psql("-c", statement, database=database)


def _load_sample(server: PostgresServer, folder: Path) -> None:
    """Make the sample portfolio, whose last week is the last one that is over, and load it."""
    _say("Making the sample portfolio")
    last = ReportingWeek.containing(datetime.now(UTC).date()) - 1
    portfolio = SamplePortfolio(CUSTOMERS, WEEKS, SEED, last_week=last)
    begun, rows = perf_counter(), 0
    with psycopg.connect(server.url(DATABASE)) as connection, connection.cursor() as cursor:
        for path in write_sample(portfolio, folder / "sample"):
            if path.suffix != ".parquet":
                continue
            table = pq.read_table(path)
            rows += table.num_rows
            names = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
            copy = sql.SQL("COPY card_transactions ({}) FROM STDIN (FORMAT csv)").format(names)
            with cursor.copy(copy) as stream:
                stream.write(_as_csv(table))
        cursor.execute("CREATE INDEX ON card_transactions (reporting_week)")
    server.psql("-c", "VACUUM ANALYZE card_transactions", database=DATABASE)
    _say(f"{rows:,} rows are in card_transactions ({perf_counter() - begun:.1f} s)")


def _as_csv(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    pa_csv.write_csv(table, buffer, options)
    return buffer.getvalue()


def _configure(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(CONFIGURATION, encoding="utf-8")


def _environment(server: PostgresServer) -> dict[str, str]:
    return {
        "DB_CONNECTION_STRING": server.url(DATABASE, READER, SECRET),
        "OUTPUT_DB_CONNECTION_STRING": server.url(DATABASE, PUBLISHER, SECRET),
    }


def _cardwatch(command: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command and show what it prints, up to advice that needs the server to live on."""
    _say(f"cardwatch {command}")
    program = Path(sys.executable).with_name("cardwatch")
    done = subprocess.run(
        [program, *shlex.split(command)],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout.partition("\nNext\n")[0].rstrip(), flush=True)
    if done.returncode:
        sys.exit(done.returncode)


def _ask(server: PostgresServer, question: str, query: str) -> None:
    _say(question)
    print(f"{query.strip()};\n", flush=True)
    answer = server.psql("-c", query, database=DATABASE, user=ANALYST, password=SECRET)
    print(answer.rstrip(), flush=True)


if __name__ == "__main__":
    main()
