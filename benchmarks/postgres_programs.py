"""What the PostgreSQL benchmark times, each in a process of its own.

python -m benchmarks.postgres_programs PROGRAM [FOLDER]

The server's address comes in DATABASE_URL. Each program prints the rows it moved and the seconds
that took, imports aside.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from benchmarks import portfolios
from benchmarks.measure import CORES

if TYPE_CHECKING:
    from cardwatch.config import Config

TABLE = "card_transactions"
RAW_TABLE = "raw_transactions"
SCORES = "anomaly_scores"
REFERENCE_WEEKS = 12
PANDAS_ROWS_AT_ONCE = 10_000

Work = Callable[[], int]


def read_by_cardwatch(_: Path) -> Work:
    """Read a week and its history into the engine, and count them there."""
    from cardwatch.wiring import open_engine, open_source

    config = _config()

    def work() -> int:
        with open_engine(config) as engine:
            delivery = open_source(config, engine).read(portfolios.LAST_WEEK, REFERENCE_WEEKS)
            rows = delivery.select((*delivery.reference_weeks, delivery.week))
            return int(engine.scalar(f"SELECT count(*) FROM ({rows})"))

    return work


def read_by_pandas(_: Path) -> Work:
    """Read the table into a frame."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(_alchemy_url())
    return lambda: len(pd.read_sql(f"SELECT * FROM {TABLE}", engine))


def add_up_by_cardwatch(_: Path, roll_up: str) -> Work:
    """Read transactions, check them, and add them up per customer, week and category."""
    from cardwatch.contract import check_contract
    from cardwatch.wiring import open_engine, open_source

    config = _config(table=RAW_TABLE, roll_up=roll_up)

    def work() -> int:
        with open_engine(config) as engine:
            delivery = open_source(config, engine).read(portfolios.LAST_WEEK, REFERENCE_WEEKS)
            check_contract(delivery, config.contract, engine)
            return int(engine.scalar("SELECT count(*) FROM cell"))

    return work


def add_up_by_pandas(_: Path) -> Work:
    """Read transactions into a frame, and add them up there."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(_alchemy_url())

    def work() -> int:
        rows = pd.read_sql(f"SELECT * FROM {RAW_TABLE}", engine)
        day = rows["transaction_time"].dt.normalize()
        rows["week"] = day - pd.to_timedelta(day.dt.dayofweek, unit="D")
        grouped = rows.groupby(["customer_id", "week", "mcc"])["amount"]
        return len(grouped.agg(["sum", "size"]))

    return work


def publish_by_cardwatch(outputs: Path) -> Work:
    """Publish a week with all its scores: every table, in one transaction."""
    import psycopg  # noqa: F401

    from cardwatch.config import Config
    from cardwatch.wiring import open_database_sink

    database = {"connection_string": os.environ["DATABASE_URL"], "scores": True}
    config = Config.model_validate({"output": {"directory": str(outputs), "database": database}})
    sink = open_database_sink(config)

    def work() -> int:
        sink.publish(portfolios.LAST_WEEK)
        return int(_manifest(outputs)["counts"]["customers_scored"])

    return work


def publish_by_pandas(outputs: Path) -> Work:
    """Append a week's scores to their table."""
    import pandas as pd
    import sqlalchemy

    week = portfolios.LAST_WEEK
    engine = sqlalchemy.create_engine(_alchemy_url())
    rows = pd.read_parquet(outputs / f"scores_{week}.parquet").assign(
        reporting_week=week.label, week_start=week.monday, run_id=_manifest(outputs)["run_id"]
    )

    def work() -> int:
        rows.to_sql(SCORES, engine, if_exists="append", index=False, chunksize=PANDAS_ROWS_AT_ONCE)
        return len(rows)

    return work


PROGRAMS: Mapping[str, Callable[[Path], Work]] = {
    program.__name__: program
    for program in (
        read_by_cardwatch,
        read_by_pandas,
        add_up_by_pandas,
        publish_by_cardwatch,
        publish_by_pandas,
    )
} | {
    f"add_up_by_cardwatch_in_{place}": partial(add_up_by_cardwatch, roll_up=place)
    for place in ("database", "engine")
}


def _config(**settings: str) -> Config:
    import adbc_driver_postgresql.dbapi  # noqa: F401

    from cardwatch.config import Config

    source = {"type": "database", "connection_string": os.environ["DATABASE_URL"], **settings}
    return Config.model_validate({"data_source": source, "engine": {"threads": CORES}})


def _manifest(outputs: Path) -> dict[str, Any]:
    path = outputs / f"run_{portfolios.LAST_WEEK}.json"
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def _alchemy_url() -> str:
    return os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)


def main() -> None:
    """Prepare one program, time its work and print that."""
    name, *folder = sys.argv[1:]
    work = PROGRAMS[name](Path(*folder))
    begin, begin_cpu = perf_counter(), process_time()
    rows = work()
    seconds, cpu_seconds = perf_counter() - begin, process_time() - begin_cpu
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main()
