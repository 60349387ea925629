"""A fault at every single statement of a publication: the week is wholly old or wholly new."""

from __future__ import annotations

import socket

import psycopg
import pytest
from published_weeks import WEEK
from tcp_proxy import CuttingProxy, Direction
from two_runs import TwoRuns, Watched, said, through
from wire_proxy import MessageProxy, Moment, cut

from cardwatch.errors import PublishError

pytestmark = pytest.mark.system


def operations_of(runs: TwoRuns) -> list[str]:
    counting = Watched()
    assert runs.attempt("no fault", operations=counting) is None
    return counting.seen


class Refused(Watched):
    """The server refuses the n-th statement."""

    def now(self, operation: str) -> None:
        if self.connection is None or operation == "send":
            raise psycopg.errors.InternalError_("injected")
        self.connection.execute("SELECT 1/0")


class Lost(Watched):
    """The connection breaks before the n-th statement reaches the server, or after it did."""

    def __init__(self, at: int, moment: Moment) -> None:
        super().__init__(at)
        self._moment = moment

    def now(self, operation: str) -> None:
        if self._moment == "before":
            if self.connection is None:
                raise psycopg.OperationalError("connection failed: Connection refused")
            self._break()

    def then(self, operation: str) -> None:
        if self._moment == "after":
            self._break()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    def _break(self) -> None:
        assert self.connection is not None
        with socket.socket(fileno=socket.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def test_an_error_at_any_statement_leaves_the_old_week_and_a_second_try_completes_it(
    runs: TwoRuns,
) -> None:
    operations = operations_of(runs)
    assert len(operations) > 20
    for at, name in enumerate(operations, start=1):
        error = runs.attempt(f"error at {name}", operations=Refused(at))
        assert error and not error.retryable, name


@pytest.mark.parametrize("moment", ["after", "before"])
def test_a_connection_lost_at_any_statement_leaves_the_old_week_unless_it_was_committed(
    runs: TwoRuns, moment: Moment
) -> None:
    for at, name in enumerate(operations_of(runs), start=1):
        error = runs.attempt(f"lost {moment} {name}", operations=Lost(at, moment))
        assert (error is None) == ((moment, name) == ("after", "commit COMMIT")), name
        assert error is None or error.retryable


def test_a_lost_connection_is_made_up_for_by_another_attempt(runs: TwoRuns) -> None:
    for at, operation in enumerate(operations_of(runs), start=1):
        name = f"lost at {operation}"
        lost = Lost(at, "after" if at % 2 else "before")
        assert runs.attempt(name, operations=lost, attempts=2) is None, name
        assert lost.seen.count("connect") == 2


def test_what_was_refused_is_not_tried_again(runs: TwoRuns) -> None:
    refused = Refused(10)
    assert runs.attempt("refused", operations=refused, attempts=5)
    assert len(refused.seen) == 10


def test_a_commit_that_the_server_refuses_leaves_the_old_week(runs: TwoRuns) -> None:
    runs.database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'SECRET'; END$$;"
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON anomaly_details DEFERRABLE INITIALLY"
        " DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    counting = Watched()
    with pytest.raises(PublishError, match="SQLSTATE P0001") as raised:
        runs.sink(runs.other, operations=counting, attempts=3).publish(WEEK)
    assert counting.seen.count("commit COMMIT") == 1
    assert "not known" not in said(raised.value)
    runs.database.execute("DROP FUNCTION refuse() CASCADE")
    runs.check(runs.current, "refused at the commit")
    runs.complete("refused at the commit")


class BrokenOff(Watched):
    """Our own process breaks off at the n-th operation, as by Ctrl-C."""

    def now(self, operation: str) -> None:
        raise KeyboardInterrupt


def test_an_interruption_at_any_statement_leaves_the_old_week(runs: TwoRuns) -> None:
    operations = operations_of(runs)
    for at in (*range(2, len(operations), 4), len(operations)):
        with pytest.raises(KeyboardInterrupt):
            runs.attempt("interruption", operations=BrokenOff(at), attempts=2)
        runs.check(runs.current, operations[at - 1])
    runs.complete("interruptions")


# On the wire


def messages_of(runs: TwoRuns) -> list[str]:
    with MessageProxy(port_of(runs)) as proxy:
        assert runs.attempt("no fault", address=through(proxy, runs.database)) is None
        return proxy.seen


def port_of(runs: TwoRuns) -> int:
    process = runs.database.server.process
    if process is None:
        pytest.skip("the proxy stands before a server on this machine")
    return process.port


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cut_at_any_message_leaves_the_old_week_unless_the_commit_had_arrived(
    runs: TwoRuns, moment: Moment
) -> None:
    messages = messages_of(runs)
    commit = messages.index("query COMMIT") + 1
    for at in range(1, commit + 1):
        name = f"{moment} message {at} of {len(messages)}, {messages[at - 1][:40]}"
        with MessageProxy(port_of(runs), at, cut, moment) as proxy:
            error = runs.attempt(name, address=through(proxy, runs.database))
            assert proxy.done == 1, name
        assert (error is None) == ((moment, at) == ("after", commit)), name


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_commit_whose_answer_is_lost_is_found_to_have_come_through(
    runs: TwoRuns, attempts: int
) -> None:
    messages = messages_of(runs)
    at = messages.index("query COMMIT") + 1
    with MessageProxy(port_of(runs), at, cut, "after") as proxy:
        settings = {"address": through(proxy, runs.database), "attempts": attempts}
        assert runs.attempt("lost answer", **settings) is None
        assert proxy.done == 1
        sent = [each for each in proxy.seen if each.startswith("query COPY")]
    assert len(sent) == len([each for each in messages if each.startswith("query COPY")])


def test_a_commit_that_did_not_arrive_is_known_not_to_have(runs: TwoRuns) -> None:
    at = messages_of(runs).index("query COMMIT") + 1
    with MessageProxy(port_of(runs), at) as proxy:
        error = runs.attempt("lost commit", address=through(proxy, runs.database))
    assert error
    assert "not known" not in error.next_step


class Unplugged(MessageProxy):
    """Lets no connection through any more once its moment has come."""

    def greeted(self, client: socket.socket) -> socket.socket:
        if self.done:
            raise OSError("unplugged")
        return super().greeted(client)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_where_the_database_is_gone_for_good_after_the_commit_the_doubt_is_told(
    runs: TwoRuns, moment: Moment, attempts: int
) -> None:
    at = messages_of(runs).index("query COMMIT") + 1
    old, new = runs.current, runs.other
    with (
        Unplugged(port_of(runs), at, cut, moment) as proxy,
        pytest.raises(PublishError) as raised,
    ):
        sink = runs.sink(new, address=through(proxy, runs.database), attempts=attempts)
        sink.publish(WEEK)
    assert "Whether the last attempt came through is not known" in said(raised.value)
    runs.check(new if moment == "after" else old, moment)
    runs.complete("doubt")


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_cut_after_any_number_of_bytes_leaves_the_old_week_or_the_new_one(
    runs: TwoRuns, direction: Direction
) -> None:
    lengths = []
    for _ in range(2):
        with CuttingProxy(port_of(runs)) as proxy:
            runs.attempt("no fault", address=through(proxy, runs.database))
            lengths.append(proxy.forwarded[direction])
    for after in range(7, min(lengths), min(lengths) // 150):
        with CuttingProxy(port_of(runs), after_bytes=after, direction=direction) as proxy:
            runs.attempt(f"{after} bytes {direction}", address=through(proxy, runs.database))
            assert proxy.cut == 1
