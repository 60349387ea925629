"""A publication among other sessions: readers, lockers, administrators and other publishers."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from postgres import Database
from published_database import TABLES, address_of, sink_of
from published_weeks import WEEK
from two_runs import RUNS, Rows, TwoRuns, Watched, everything, said, session, waiting

from cardwatch.config import OutputDatabaseConfig
from cardwatch.errors import PublishError
from cardwatch.publish.database_operations import DatabaseOperations

pytestmark = pytest.mark.system


class Meanwhile(Watched):
    """Does something before the n-th operation."""

    def __init__(self, at: int, action: Callable[[], object]) -> None:
        super().__init__(at)
        self._action = action

    def now(self, operation: str) -> None:
        self._action()


def place_of(runs: TwoRuns, words: str) -> int:
    """Return which operation it is that begins with some words."""
    counting = Watched()
    assert runs.attempt("no fault", operations=counting) is None
    return next(n for n, each in enumerate(counting.seen, start=1) if each.startswith(words))


# Readers


class Polled(DatabaseOperations):
    """Readers look before and after every single operation."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def before(self, operation: str, statement: str) -> None:
        self._look()

    def after(self, operation: str, statement: str) -> None:
        self._look()


def test_readers_see_the_old_week_until_the_commit_and_then_the_new_one(runs: TwoRuns) -> None:
    old, new = runs.current, runs.other
    seen: list[Rows] = []
    in_one_transaction = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    with session(runs.database, in_one_transaction) as reader:
        kept: list[Rows] = [everything(reader)]

        def look() -> None:
            seen.append(runs.now)
            kept.append(everything(reader))

        assert runs.attempt("readers", operations=Polled(look)) is None
    assert seen == [runs.states[old]] * (len(seen) - 1) + [runs.states[new]]
    assert kept == [runs.states[old]] * len(kept)


def test_an_administrator_who_ends_the_session_is_told_of_or_made_up_for(runs: TwoRuns) -> None:
    at = place_of(runs, "copy COPY")
    for attempts in (1, 2):
        ending = Meanwhile(at, runs.database.end_sessions)
        error = runs.attempt("ended", operations=ending, attempts=attempts)
        assert (error is None) == (attempts == 2)
        assert error is None or "administrator ended the connection" in said(error)


# Locks


def test_a_table_that_is_let_go_of_between_attempts_is_no_fault(runs: TwoRuns) -> None:
    with session(runs.database, "LOCK TABLE anomaly_runs IN SHARE MODE") as holder:
        settings: dict[str, Any] = {"lock_timeout_seconds": 0.05, "attempts": 2}
        assert runs.attempt("let go", sleep=lambda _: holder.rollback(), **settings) is None


@contextmanager
def deadlock_timeout(runs: TwoRuns, text: str) -> Iterator[None]:
    """Let sessions that begin now look for deadlocks after so long."""
    if runs.database.server.process is None:
        pytest.skip("only an administrator may set deadlock_timeout")
    name = runs.database.name
    runs.database.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '{text}'")
    yield
    runs.database.execute(f"ALTER DATABASE {name} RESET deadlock_timeout")


class Opposite:
    """A session that holds what a publication needs last, and asks for what it wrote first."""

    def __init__(self, runs: TwoRuns, deadlock_timeout: str) -> None:
        self._database = runs.database
        self.connection = runs.database.connect()
        self.connection.execute(f"SET deadlock_timeout = '{deadlock_timeout}'".encode())
        self.connection.commit()
        self.hold()
        self._thread = threading.Thread(target=self._ask)
        self.was_refused = False

    def hold(self) -> None:
        self.connection.execute(b"LOCK TABLE anomaly_scores IN SHARE MODE")

    def ask_first(self) -> None:
        """Ask, and wait until the answer is waited for."""
        self._thread.start()
        waiting(self._database)

    def ask_second(self) -> None:
        """Ask as soon as the publication waits for this session."""
        self._thread = threading.Thread(target=self._ask_when_waited_for)
        self._thread.start()

    def _ask_when_waited_for(self) -> None:
        waiting(self._database)
        self._ask()

    def _ask(self) -> None:
        try:
            self.connection.execute(b"LOCK TABLE anomaly_reports IN SHARE MODE")
        except psycopg.errors.DeadlockDetected:
            self.was_refused = True
        self.connection.rollback()

    def __enter__(self) -> Opposite:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(timeout=20)
        self.connection.close()


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_publication_that_is_refused_for_a_deadlock_is_tried_again(
    runs: TwoRuns, attempts: int
) -> None:
    at = place_of(runs, 'execute DELETE FROM "public".anomaly_details')
    with deadlock_timeout(runs, "20ms"), Opposite(runs, "1h") as other:
        crossing = Meanwhile(at, other.ask_first)
        error = runs.attempt("deadlock", operations=crossing, attempts=attempts)
    assert not other.was_refused
    assert (error is None) == (attempts == 2)
    assert error is None or "Another session was in the way" in said(error)


def test_a_publication_goes_on_where_the_other_session_is_refused(runs: TwoRuns) -> None:
    with deadlock_timeout(runs, "1h"), Opposite(runs, "20ms") as other:
        other.ask_second()
        assert runs.attempt("deadlock") is None
    assert other.was_refused


def test_the_server_notices_a_publisher_that_vanished_and_lets_go_of_its_locks(
    runs: TwoRuns,
) -> None:
    config = OutputDatabaseConfig()
    with DatabaseOperations().connect(address_of(runs.database), config) as publisher:
        if publisher.info.host.startswith("/"):
            pytest.skip("a socket of this machine cannot lose its other end")
        names = ("idle", "interval", "count")
        found = [publisher.execute(f"SHOW tcp_keepalives_{name}").fetchone() for name in names]
    idle, interval, count = (int(value) for (value,) in filter(None, found))
    assert 0 < idle + interval * count <= 120


# Administrators


@pytest.fixture
def writer(runs: TwoRuns) -> Iterator[tuple[str, str]]:
    tables = ", ".join(name for name in TABLES if name != "anomaly_reviews")
    with runs.database.role() as user:
        runs.database.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {user[0]}")
        yield user


def test_a_privilege_that_is_revoked_on_the_way_leaves_the_old_week(
    runs: TwoRuns, writer: tuple[str, str]
) -> None:
    name, _ = writer
    operations = Watched()
    assert runs.attempt("no fault", user=writer, operations=operations) is None
    total = len(operations.seen)
    everything_in = "ON ALL TABLES IN SCHEMA public"

    def revoke() -> None:
        runs.database.execute(f"REVOKE ALL {everything_in} FROM {name}")

    for at in (2, *range(6, total + 1)):
        revoking = Meanwhile(at, revoke)
        place = f"revoked before {operations.seen[at - 1]}"
        error = runs.attempt(place, user=writer, operations=revoking)
        # Only the last COPY, once begun, and the end ask for no privilege any more.
        assert (error is None) == (at >= total - 1), place
        assert error is None or re.search("may not SELECT|has no privilege for", said(error))
        runs.database.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE {everything_in} TO {name}")


def test_connections_that_are_used_up_are_waited_for(
    runs: TwoRuns, writer: tuple[str, str]
) -> None:
    name, _ = writer
    runs.database.execute(f"ALTER ROLE {name} CONNECTION LIMIT 0")
    error = runs.attempt("too many", user=writer)
    assert error and "too many connections" in said(error)
    admit = f"ALTER ROLE {name} CONNECTION LIMIT 5"
    error = runs.attempt(
        "admitted", user=writer, attempts=2, sleep=lambda _: runs.database.execute(admit)
    )
    assert error is None


def test_a_row_that_somebody_else_slips_in_is_refused_and_replaced_by_the_next_try(
    runs: TwoRuns,
) -> None:
    at = place_of(runs, 'copy COPY "public".anomaly_reports')
    new = sorted(RUNS[runs.other].keys() - RUNS[runs.current].keys())[0]
    foreign = (
        "INSERT INTO anomaly_reports (customer_id, reporting_week, anomaly_score, anomaly_rank)"
        f" VALUES ('{new}', '2025-46', 1, 1)"
    )
    slipping = Meanwhile(at, lambda: runs.database.execute(foreign))
    with pytest.raises(PublishError, match="because of a constraint") as raised:
        runs.sink(runs.other, operations=slipping).publish(WEEK)
    said(raised.value)
    runs.complete("slipped in")


# Other publishers


class Publisher(threading.Thread):
    """Publishes beside the one that is at it."""

    def __init__(self, publish: Callable[[], object]) -> None:
        super().__init__()
        self._publish = publish
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._publish()
        except BaseException as error:
            self.error = error

    def start_and_wait_in_line(self, database: Database) -> None:
        self.start()
        waiting(database)


@pytest.mark.parametrize("at", [4, 15, 27])
@pytest.mark.parametrize("is_same_run", [True, False])
def test_two_publishers_of_a_week_come_one_after_the_other(
    runs: TwoRuns, at: int, is_same_run: bool
) -> None:
    first, last = runs.other, runs.other if is_same_run else runs.current
    second = Publisher(lambda: runs.sink(last).publish(WEEK))
    meanwhile = Meanwhile(at, lambda: second.start_and_wait_in_line(runs.database))
    runs.sink(first, operations=meanwhile).publish(WEEK)
    second.join(timeout=20)
    assert second.error is None
    runs.check(last, "two publishers")
    runs.current = last


def test_a_publisher_that_has_waited_long_enough_says_who_is_at_it(runs: TwoRuns) -> None:
    errors: list[PublishError] = []

    def second() -> None:
        with pytest.raises(PublishError) as raised:
            runs.sink(runs.current, lock_timeout_seconds=0.05).publish(WEEK)
        errors.append(raised.value)

    assert runs.attempt("two publishers", operations=Meanwhile(20, second)) is None
    assert "Another session is at publishing week 2025-46" in said(errors[0])


def test_the_second_publisher_goes_on_where_the_first_one_is_cut_off(runs: TwoRuns) -> None:
    first, second = runs.other, Publisher(lambda: runs.sink(runs.current).publish(WEEK))

    def cut_off() -> None:
        second.start_and_wait_in_line(runs.database)
        runs.database.end_sessions("wait_event_type IS DISTINCT FROM 'Lock'")
        second.join(timeout=20)

    sink = runs.sink(first, operations=Meanwhile(20, cut_off))
    with pytest.raises(PublishError, match="administrator ended the connection"):
        sink.publish(WEEK)
    assert second.error is None
    runs.check(runs.current, "cut off")
    runs.complete("cut off")


def test_publishers_of_different_weeks_do_not_wait_for_each_other(runs: TwoRuns) -> None:
    folder = runs.folders[runs.other].parent / "before"
    sink = sink_of(folder, runs.database, scores=True, lock_timeout_seconds=0.2)
    for at in (9, 27):
        beside = Meanwhile(at, lambda: sink.publish(WEEK - 1))
        assert runs.attempt("different weeks", operations=beside) is None
