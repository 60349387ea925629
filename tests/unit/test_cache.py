from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deliveries import (
    LENIENT,
    WEEK,
    WEEKS,
    Key,
    Outcome,
    Row,
    check,
    deliver,
    history,
    outcome,
    purchase,
    row,
)

from cardwatch.cache import RollupCache
from cardwatch.config import ContractConfig
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.schema import Delivery
from cardwatch.week import ReportingWeek


def rows() -> list[Row]:
    return [
        *history(),
        *history(["D"], mcc="5812", avg_ticket_amount="1"),
        row(1, customer_id="E", mcc="x", source_file="one.csv"),
        row(1),
        row(2, customer_id="F", spend_amount="1"),
        row(2, customer_id="F", spend_amount="2"),
        row(),
        row(customer_id="B", spend_amount="1000"),
        row(customer_id="G"),
    ]


def by_label(week: ReportingWeek) -> str:
    return f"content of {week.label}"


@pytest.fixture
def cache(tmp_path: Path) -> RollupCache:
    return RollupCache(tmp_path / "cache")


class Reads:
    """A delivery that remembers which weeks were asked for."""

    def __init__(self, engine: Engine, given: list[Row], key: Key = by_label) -> None:
        self.weeks: set[ReportingWeek] = set()
        self.rows = 0
        inner = deliver(engine, given, key=key)

        def select(weeks: object) -> str:
            assert isinstance(weeks, list | tuple)
            self.weeks |= set(weeks)
            selected: str = inner.select(weeks)
            self.rows += engine.scalar(f"SELECT count(*) FROM ({selected})")
            return selected

        self.delivery = Delivery(
            inner.week, inner.reference_weeks, inner.shape, select, key, inner.origin
        )

    def check(
        self, engine: Engine, cache: RollupCache | None, rules: ContractConfig = LENIENT
    ) -> Outcome:
        self.weeks.clear()
        self.rows = 0
        return outcome(engine, check_contract(self.delivery, rules, engine, cache=cache))


def test_a_run_with_the_cache_equals_one_without(engine: Engine, cache: RollupCache) -> None:
    reads = Reads(engine, rows())
    plain = reads.check(engine, None)
    first = reads.check(engine, cache)
    assert reads.weeks == set(WEEKS)
    second = reads.check(engine, cache)
    assert reads.weeks == {WEEK}
    assert plain == first == second
    assert "DUPLICATE_CONFLICT" in second.reasons and "UNIT_ERROR" in second.reasons


def test_transactions_are_cached_too(engine: Engine, cache: RollupCache) -> None:
    given = [
        purchase(week, customer_id=who, amount=amount)
        for week in range(5)
        for who, amount in [("A", "1"), ("A", "1"), ("A", "2"), ("B", "3"), ("C", "x")]
    ]
    plain = check(engine, given, shape="transactions", key=by_label)
    for _ in range(2):
        found = check(engine, given, shape="transactions", key=by_label, cache=cache)
        assert found == plain
    assert len(list(cache.folder.glob("*.parquet"))) == 4


def test_the_window_may_move_on(engine: Engine, cache: RollupCache) -> None:
    reads = Reads(engine, rows())
    reads.check(engine, cache)
    for path in list(cache.folder.glob("2025-42*")):
        path.unlink()
    assert reads.check(engine, cache) == reads.check(engine, None)


def test_changed_content_or_settings_are_read_anew(engine: Engine, cache: RollupCache) -> None:
    Reads(engine, rows()).check(engine, cache)
    changed = Reads(engine, [*rows(), row(0, customer_id="new")], lambda w: by_label(w) + "!")
    found = changed.check(engine, cache)
    assert changed.weeks == set(WEEKS)
    assert "new" in found.customers
    found = changed.check(engine, cache, ContractConfig(max_amount=5, on_unusable="warn"))
    assert changed.weeks == set(WEEKS)
    assert found.reasons["AMOUNT_ABSURD"] > 10


def test_weeks_without_a_content_key_are_never_cached(engine: Engine, cache: RollupCache) -> None:
    check(engine, rows(), cache=cache)
    assert not list(cache.folder.glob("*"))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _swap(path: Path) -> None:
    other = next(p for p in sorted(path.parent.glob(f"*{path.suffix}")) if p != path)
    shutil.copy(other, path)


def _swap_both(path: Path) -> None:
    _swap(path.with_suffix(".json"))
    _swap(path.with_suffix(".parquet"))


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _swap_both,
        Path.unlink,
        pytest.param(_flip, marks=pytest.mark.system),
        pytest.param(_swap, marks=pytest.mark.system),
        pytest.param(lambda path: path.write_bytes(b""), marks=pytest.mark.system),
        pytest.param(lambda path: path.write_text("[1]"), marks=pytest.mark.system),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), marks=pytest.mark.system),
    ],
)
def test_a_changed_truncated_or_foreign_file_is_noticed_and_rebuilt(
    engine: Engine, cache: RollupCache, damage: Callable[[Path], object], suffix: str
) -> None:
    reads = Reads(engine, rows())
    plain = reads.check(engine, cache)
    [path] = cache.folder.glob(f"2025-43-*{suffix}")
    damage(path)
    found = reads.check(engine, cache)
    assert reads.weeks == {WEEK, WEEKS[1]}
    [warning] = found.checked.cache_warnings
    assert "2025-43" in warning
    assert warning.endswith("it is made anew.")
    assert found.checked.warnings == plain.checked.warnings
    assert (found.cells, found.quarantine) == (plain.cells, plain.quarantine)
    assert reads.check(engine, cache) == plain


def test_a_sealed_file_with_other_columns_is_not_used(
    engine: Engine, cache: RollupCache, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    engine.execute(f"COPY (SELECT 1 AS mcc) TO '{other}'")
    key = "ab" * 32
    assert cache.store(WEEK, key, other) == ""
    entry = cache.fetch(WEEK, key, {"mcc": "int16"}, tmp_path)
    assert entry.path is None and "other columns" in entry.warning
    assert cache.fetch(WEEK, key, {"mcc": "int32"}, tmp_path).path is not None


def test_a_folder_that_cannot_be_made_costs_a_warning(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = RollupCache(tmp_path / "file" / "cache")
    found = Reads(engine, rows()).check(engine, blocked)
    assert any("was not cached" in w for w in found.checked.cache_warnings)
    assert found.cells == Reads(engine, rows()).check(engine, None).cells


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_costs_a_warning(engine: Engine, cache: RollupCache) -> None:
    cache.folder.mkdir()
    cache.folder.chmod(0o500)
    found = Reads(engine, rows()).check(engine, cache)
    assert any("was not cached" in w for w in found.checked.cache_warnings)


def test_the_files_used_last_are_kept(tmp_path: Path, engine: Engine) -> None:
    cache = RollupCache(tmp_path / "cache", keep=2)
    made = tmp_path / "made.parquet"
    engine.execute(f"COPY (SELECT 1 AS mcc) TO '{made}'")
    for n, week in enumerate(WEEKS):
        cache.store(week, f"{n:064x}", made)
        [path] = cache.folder.glob(f"{week.label}-*.parquet")
        os.utime(path, ns=(n, n))
    (cache.folder / "notes.txt").write_text("mine")
    stale = cache.folder / f"{WEEK.label}-{'0' * 16}.parquet.99.part"
    stale.write_text("cut short")
    os.utime(stale, ns=(0, 0))
    assert cache.fetch(WEEKS[0], f"{0:064x}", {"mcc": "int32"}, tmp_path).path
    cache.prune()
    left = sorted(path.name[:7] for path in cache.folder.iterdir())
    assert left == ["2025-42", "2025-42", "2025-46", "2025-46", "notes.t"]
    assert not stale.exists()


def test_a_run_stopped_while_it_stores_a_roll_up_leaves_whole_ones_only(
    engine: Engine, cache: RollupCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(engine, rows())
    plain = reads.check(engine, None)
    replace, stored = Path.replace, iter(range(100))

    def stopped(path: Path, target: Path) -> Path:
        if next(stored) == 5:  # two files a roll-up: between those of the third
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        reads.check(engine, cache)
    assert len(list(cache.folder.iterdir())) == 4
    monkeypatch.undo()
    assert reads.check(engine, cache) == plain
    assert len(reads.weeks) == len(WEEKS) - 2


def test_a_week_after_the_first_reads_its_own_rows_alone(
    engine: Engine, cache: RollupCache
) -> None:
    shop = [row(week, customer_id=name) for week in range(4) for name in "ABCDEFG"]
    reads = Reads(engine, [*shop, *(row(customer_id=name) for name in "ABCDE")])
    everything = reads.check(engine, cache)
    first = reads.rows
    assert reads.check(engine, cache) == everything
    assert reads.weeks == {WEEK}
    assert first - reads.rows == 4 * 7
