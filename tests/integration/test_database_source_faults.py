"""A fault at every single statement of a read: one clear error, or the same rows after all."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from faulty_reads import messages_of, port_of, read, said, statements_of, url_through
from postgres import Database
from wire_proxy import Deed, MessageProxy, Moment, cut, fail

from cardwatch.engine import Engine
from cardwatch.errors import SourceError

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("impatient")]

Fault = tuple[int, Deed, Moment]


def all_faults(messages: list[str]) -> Iterator[Fault]:
    """Yield every fault up to the last message that is answered.

    The connection is lost before each message, and after each that makes the server do something;
    each statement is refused.
    """
    for at in range(1, statements_of(messages, "execute")[-1] + 1):
        yield at, cut, "before"
        if messages[at - 1].startswith(("startup", "query", "parse", "execute")):
            yield at, cut, "after"
        if messages[at - 1].startswith(("query", "parse")):
            yield at, fail, "before"


@pytest.mark.parametrize("has_cache", [True, False])
@pytest.mark.takes(30)
def test_a_fault_at_any_statement_is_one_error_and_leaves_no_half_of_a_copy(
    read_table: Database, engine: Engine, has_cache: bool
) -> None:
    messages = messages_of(read_table, engine, has_cache=has_cache)
    assert len(messages) > 50
    for at, deed, moment in all_faults(messages):
        place = f"{deed.__name__} {moment} message {at}, {messages[at - 1][:60]}"
        with MessageProxy(port_of(read_table), at, deed, moment) as proxy:
            with pytest.raises(SourceError) as raised:
                read(url_through(proxy, read_table), engine, has_cache=has_cache)
            assert proxy.done == 1, place
        said(raised.value)
        assert raised.value.retryable == (deed is cut), place
    for path in engine.folder.glob("database_rows_*"):
        assert pq.read_table(path).num_rows > 0


@pytest.mark.parametrize("has_cache", [True, False])
def test_a_lost_connection_is_made_up_for_by_another_attempt(
    read_table: Database, engine: Engine, has_cache: bool
) -> None:
    whole = read(read_table.url, engine)
    messages = messages_of(read_table, engine, has_cache=has_cache)
    places = statements_of(messages, "query", "parse", "execute")
    for at in places:
        with MessageProxy(port_of(read_table), at, cut, "after") as proxy:
            settings = {"attempts": 2, "has_cache": has_cache}
            found = read(url_through(proxy, read_table), engine, **settings)
            assert found == whole, messages[at - 1]
            assert proxy.done == 1


def test_what_was_refused_is_not_tried_again(read_table: Database, engine: Engine) -> None:
    messages = messages_of(read_table, engine)
    at = statements_of(messages, "parse COPY (SELECT DISTINCT")[0]
    with MessageProxy(port_of(read_table), at, fail) as proxy:
        with pytest.raises(SourceError):
            read(url_through(proxy, read_table), engine, attempts=5)
        assert len(proxy.seen) <= at + 10
