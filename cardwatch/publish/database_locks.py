"""One at a time: advisory locks that go with the transaction, however that ends."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cardwatch.errors import PublishError
from cardwatch.publish.database_operations import DatabaseOperations

if TYPE_CHECKING:
    from psycopg import Connection


def lock_key(*names: str) -> int:
    """Return the number that stands for `names` among a database's advisory locks.

    Examples
    --------
    >>> lock_key("public", "2025-46") == lock_key("public", "2025-46") != lock_key("public")
    True
    """
    digest = hashlib.sha256("\0".join(("cardwatch", *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def hold_until_commit(
    connection: Connection[Any],
    operations: DatabaseOperations,
    key: int,
    seconds: float,
    what: str,
) -> None:
    """Take a lock for the rest of the transaction, whose other waits are bounded alike.

    Raises
    ------
    PublishError
        If another session still holds it after `seconds`; `what` names what it is doing.
    """
    from psycopg.errors import LockNotAvailable

    operations.execute(connection, f"SET LOCAL lock_timeout = {max(1, round(seconds * 1000))}")
    try:
        operations.execute(connection, f"SELECT pg_advisory_xact_lock({key})")
    except LockNotAvailable:
        raise PublishError(
            f"Another session is at {what}",
            observed=f"it was still at it after {seconds:g} seconds",
            next_step="Try again when it has finished, or raise output.lock_timeout_seconds",
        ) from None
