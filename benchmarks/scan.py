"""The floor: a plain DuckDB scan and group-by of the rows that a run reads.

python -m benchmarks.scan FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.measure import CORES


def scan(folder: Path) -> tuple[int, int]:
    """Sum spend and count per customer and week; return the rows read and the groups made."""
    with duckdb.connect(config={"threads": CORES}) as connection:
        connection.execute(
            "CREATE TABLE total AS SELECT customer_id, reporting_week, "
            "sum(spend_amount) AS spend, sum(transaction_count) AS transactions, "
            "count(*) AS categories FROM read_parquet($files) GROUP BY ALL",
            {"files": str(folder / "spend_*.parquet")},
        )
        row = connection.execute("SELECT sum(categories), count(*) FROM total").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


if __name__ == "__main__":
    print(*scan(Path(sys.argv[1])))
