from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from filelock import FileLock

from cardwatch.engine import Engine, EngineError, naming_lack_of_space
from cardwatch.errors import CardwatchError, ConfigurationError

TOO_LARGE = "SELECT hash(i) AS h, repeat('x', 80) || i AS x FROM range(1000000) t(i) ORDER BY h"


@pytest.fixture
def threads() -> int:
    return 2


@pytest.fixture
def sql_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "packages" / "statements_of_a_step"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "two.sql").write_text(
        "-- in: nothing; out: a\n"
        "CREATE TABLE a AS SELECT $first::INTEGER AS x;\n"
        "CREATE TABLE b AS SELECT $second::INTEGER + x AS y FROM a;\n",
        encoding="utf-8",
    )
    (folder / "none.sql").write_text("CREATE TABLE c AS SELECT 'é; $5' AS z;", encoding="utf-8")
    monkeypatch.syspath_prepend(folder.parent)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    return folder.name


def test_parameters_are_values_never_text(engine: Engine) -> None:
    hostile = "'; DROP TABLE t; --"
    engine.execute("CREATE TABLE t (x VARCHAR)")
    engine.execute("INSERT INTO t SELECT $x", x=hostile)
    assert engine.scalar("SELECT x FROM t") == hostile


def test_scalar_of_an_empty_result_is_none(engine: Engine) -> None:
    assert engine.scalar("SELECT 1 WHERE false") is None


def test_rows_are_dictionaries_by_column_name(engine: Engine) -> None:
    found = engine.rows("SELECT i AS x, i * $by AS y FROM range(2) t(i) ORDER BY i", by=10)
    assert found == [{"x": 0, "y": 0}, {"x": 1, "y": 10}]


def test_arrow_keeps_order_and_types(engine: Engine) -> None:
    table = engine.arrow("SELECT i::BIGINT AS x FROM range(5) t(i) ORDER BY i DESC")
    assert table.column("x").to_pylist() == [4, 3, 2, 1, 0]
    assert table.schema.field("x").type == pa.int64()


def test_batches_stream_every_row_once_and_in_order(engine: Engine) -> None:
    batches = list(engine.batches("SELECT i AS x FROM range(10000) t(i) ORDER BY i", rows=2048))
    assert len(batches) > 1
    assert [x for batch in batches for x in batch.column(0).to_pylist()] == list(range(10_000))


def test_other_statements_may_run_between_two_batches(engine: Engine) -> None:
    seen = 0
    engine.create("counted", {"n": "BIGINT"})
    for batch in engine.batches("SELECT i AS x FROM range(10000) t(i) ORDER BY i", rows=2048):
        seen += batch.num_rows
        engine.append("counted", pa.table({"n": [batch.num_rows]}))
    assert seen == 10_000
    assert engine.scalar("SELECT sum(n) FROM counted") == 10_000


def test_batches_left_early_leave_the_session_usable(engine: Engine) -> None:
    stream = engine.batches("SELECT i AS x FROM range(100000) t(i)", rows=2048)
    next(stream)
    del stream
    assert engine.scalar("SELECT 1") == 1


def test_create_replaces_a_table_of_that_name(engine: Engine) -> None:
    engine.create("t", {"x": "INTEGER"})
    engine.create("t", {"select": "VARCHAR", "y": "DOUBLE"})
    assert engine.rows("DESCRIBE t")[0]["column_name"] == "select"


def test_append_matches_columns_by_name(engine: Engine) -> None:
    engine.create("t", {"x": "INTEGER", "y": "VARCHAR"})
    engine.append("t", pa.table({"y": ["one"], "x": [1]}))
    batch = pa.record_batch({"x": [2], "y": ["two"]})
    engine.append("t", batch)
    assert engine.rows("SELECT * FROM t ORDER BY x") == [
        {"x": 1, "y": "one"},
        {"x": 2, "y": "two"},
    ]


def test_append_of_a_column_the_table_lacks_fails_and_adds_nothing(engine: Engine) -> None:
    engine.create("t", {"x": "INTEGER"})
    with pytest.raises(duckdb.Error):
        engine.append("t", pa.table({"x": [1], "z": [2]}))
    assert engine.scalar("SELECT count(*) FROM t") == 0
    engine.append("t", pa.table({"x": [1]}))
    assert engine.scalar("SELECT count(*) FROM t") == 1


def test_drop_passes_over_tables_that_are_not_there(engine: Engine) -> None:
    engine.create("t", {"x": "INTEGER"})
    engine.drop(["t", "never_made"])
    assert engine.scalar("SELECT count(*) FROM duckdb_tables()") == 0


def test_run_file_gives_each_statement_only_the_parameters_it_names(
    engine: Engine, sql_package: str
) -> None:
    engine.run_file(sql_package, "two", first=1, second=2, unused=3)
    assert engine.scalar("SELECT y FROM b") == 3


def test_each_file_of_statements_is_named_for_who_looks_closer(
    engine: Engine, sql_package: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", "cardwatch"):
        engine.run_file(sql_package, "none")
    assert f"running none.sql of {sql_package}" in caplog.text


def test_run_file_reads_utf8_and_leaves_text_in_quotes_alone(
    engine: Engine, sql_package: str
) -> None:
    engine.run_file(sql_package, "none")
    assert engine.scalar("SELECT z FROM c") == "é; $5"


def test_sums_of_cents_are_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    sums = []
    for threads in (1, 2):
        with Engine(threads=threads, temp_directory=tmp_path) as session:
            sums.append(
                session.rows(
                    "SELECT i % 7 AS g, sum(i * 31 % 10007) AS cents FROM range(300000) t(i)"
                    " GROUP BY g ORDER BY g"
                )
            )
    assert sums[0] == sums[1]


def test_a_table_larger_than_the_memory_limit_is_kept_on_disk(tmp_path: Path) -> None:
    with Engine(memory_limit="64MB", threads=1, temp_directory=tmp_path) as session:
        session.execute(
            "CREATE TABLE t AS SELECT i, hash(i) AS h, hash(i + 1) AS k FROM range(8000000) r(i)"
        )
        assert session.scalar("SELECT count(DISTINCT i // 4) FROM t") == 2_000_000


def test_running_out_of_spill_space_says_which_settings_to_raise(tmp_path: Path) -> None:
    with (
        Engine(
            memory_limit="32MB",
            threads=1,
            temp_directory=tmp_path,
            max_temp_directory_size="1MB",
        ) as session,
        pytest.raises(EngineError, match=r"Raise engine\.memory_limit") as caught,
    ):
        session.execute(TOO_LARGE).fetchall()
    assert caught.value.exit_code == 1


def test_running_out_of_space_while_streaming_says_the_same(tmp_path: Path) -> None:
    with (
        Engine(
            memory_limit="32MB",
            threads=1,
            temp_directory=tmp_path,
            max_temp_directory_size="1MB",
        ) as session,
        pytest.raises(EngineError, match=r"Raise engine\.memory_limit"),
    ):
        for _ in session.batches(TOO_LARGE):
            pass


def test_an_error_in_the_middle_of_a_stream_passes_unchanged_unless_it_is_about_space(
    tmp_path: Path,
) -> None:
    failing = "SELECT CASE WHEN i = 1500000 THEN error($text) END FROM range(2000000) t(i)"
    with Engine(threads=1, temp_directory=tmp_path) as engine:
        with pytest.raises(OSError, match="boom"):
            list(engine.batches(failing, text="boom"))
        with pytest.raises(duckdb.Error, match="boom"):
            engine.arrow(failing, text="boom")
        with pytest.raises(EngineError, match=r"Raise engine\.memory_limit"):
            engine.arrow(failing, text="Out of Memory Error")
        with pytest.raises(EngineError, match=r"Raise engine\.memory_limit"):
            list(engine.batches(failing, text="Out of Memory Error"))
        with pytest.raises(EngineError, match=r"set engine\.temp_directory to a larger disk"):
            list(engine.batches(failing, text="No space left on device"))


def test_an_error_among_several_threads_has_its_own_words_or_says_that_they_were_lost(
    engine: Engine,
) -> None:
    failing = "SELECT CASE WHEN i = 1500000 THEN error($text) END FROM range(2000000) t(i)"
    for _ in range(10):
        with pytest.raises(EngineError, match=r"memory_limit"):
            list(engine.batches(failing, text="Out of Memory Error"))


def test_a_stop_that_lost_its_cause_is_one_line_with_a_next_step() -> None:
    with (
        pytest.raises(EngineError, match=r"the cause was lost.*Run it again") as caught,
        naming_lack_of_space(),
    ):
        raise OSError("INTERRUPT Error: Interrupted!")
    assert caught.value.exit_code == 1


def test_other_errors_of_the_engine_pass_unchanged(engine: Engine) -> None:
    with pytest.raises(duckdb.CatalogException):
        engine.execute("SELECT * FROM no_such_table")


def test_a_folder_that_another_session_takes_for_abandoned_before_it_is_locked_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[FileLock] = []
    make = tempfile.mkdtemp

    def make_and_lose_the_first(**options: Any) -> str:
        folder: str = make(**options)
        if not others:
            others.append(FileLock(Path(folder, ".alive")))
            others[0].acquire(timeout=0)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose_the_first)
    with Engine(temp_directory=tmp_path) as session:
        assert session.scalar("SELECT 1") == 1
        assert len(list(tmp_path.iterdir())) == 2
    others[0].release()


def test_the_folder_goes_when_the_session_closes(tmp_path: Path) -> None:
    with Engine(temp_directory=tmp_path) as session:
        folder = session.folder
        assert folder.is_dir()
        assert folder.parent == tmp_path
    assert not folder.exists()


def test_the_folder_goes_when_a_step_raises(tmp_path: Path) -> None:
    with pytest.raises(CardwatchError), Engine(temp_directory=tmp_path):
        raise CardwatchError("It broke")
    assert list(tmp_path.iterdir()) == []


def test_two_sessions_at_once_do_not_share_anything(tmp_path: Path) -> None:
    with Engine(temp_directory=tmp_path) as one, Engine(temp_directory=tmp_path) as other:
        one.create("t", {"x": "INTEGER"})
        assert other.scalar("SELECT count(*) FROM duckdb_tables()") == 0


def test_a_spill_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ConfigurationError, match=r"engine\.temp_directory") as caught:
        Engine(temp_directory=missing)
    assert caught.value.where == str(missing)


@pytest.mark.parametrize(
    "refused",
    [
        partial(Engine, memory_limit="plenty"),
        partial(Engine, threads=-1),
        partial(Engine, max_temp_directory_size="much"),
    ],
)
def test_refused_settings_are_a_configuration_error_and_leave_no_folder(
    tmp_path: Path, refused: partial[Engine]
) -> None:
    with pytest.raises(ConfigurationError, match="Sizes read like 1GB") as caught:
        refused(temp_directory=tmp_path)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_timestamps_do_not_depend_on_the_machines_time_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    with Engine(temp_directory=tmp_path) as session:
        assert session.scalar("SELECT current_setting('TimeZone')") == "UTC"
        shown = session.scalar("SELECT (TIMESTAMPTZ '2025-11-17 00:00:00+00')::VARCHAR")
        assert shown == "2025-11-17 00:00:00+00"


def test_nothing_is_installed_or_loaded_from_elsewhere(engine: Engine) -> None:
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        assert engine.scalar("SELECT current_setting($name)", name=setting) is False


def test_the_folder_of_a_killed_session_goes_when_the_next_one_starts(tmp_path: Path) -> None:
    ended = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    script = (
        "from pathlib import Path; from cardwatch.engine import Engine; "
        f"session = Engine(temp_directory=Path({str(tmp_path)!r})); {ended}"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    abandoned = set(tmp_path.iterdir())
    assert abandoned
    with Engine(temp_directory=tmp_path) as living:
        assert set(tmp_path.iterdir()) == {living.folder}
        with Engine(temp_directory=tmp_path) as beside:
            assert set(tmp_path.iterdir()) == {living.folder, beside.folder}


def test_a_signal_during_a_statement_is_the_keyboard_interrupt_it_is_elsewhere(
    engine: Engine,
) -> None:
    # Where tests run in the background, a shell has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            engine.scalar("SELECT count(*) FROM range(1000000000) a(i) WHERE hash(i) % 7 = 1")
    finally:
        signal.signal(signal.SIGINT, before)
    assert engine.scalar("SELECT 1") == 1
