"""Before a run reads its rows: whether this machine has the room for them."""

from __future__ import annotations

import shutil

import psutil
from pydantic import ByteSize, TypeAdapter

from cardwatch import console
from cardwatch.commands.opening import last_runs
from cardwatch.engine import Engine
from cardwatch.room import Room, check_room
from cardwatch.schema import Delivery
from cardwatch.session import Session


def mind_room(session: Session, delivered: Delivery) -> None:
    """Say what may be too small for the rows of a delivery.

    Where the source did not count them, as many are expected as the folder's last run read;
    nothing is said where there is none.

    Raises
    ------
    ConfigurationError
        If the run could not end.
    """
    if session.config.engine.type != "embedded":  # the rows stay where they are
        return
    rows = delivered.rows
    if rows is None:
        rows = max((run.counts.rows_in for run in last_runs(session.config)), default=None)
    if rows is not None:
        console.show_remarks(tuple(check_room(_room(session.engine), rows)))


def _room(engine: Engine) -> Room:
    limit = str(engine.scalar("SELECT current_setting('memory_limit')"))
    return Room(
        memory_limit=TypeAdapter(ByteSize).validate_python(limit),
        free_disk=shutil.disk_usage(engine.folder).free,
        available_memory=psutil.virtual_memory().available,
        spill_folder=str(engine.folder.parent),
    )
