"""What a run needs of memory and disk, told before it begins: from rows, and figures measured.

Measured with two threads on generated portfolios of 20,000 to 300,000 customers, 0.9 to 13.6
million rows. With 20 MB of `engine.memory_limit` 0.9 million rows did not end, with 50 MB 2.7
million did not; 100 MB carried all of them. The engine's tables and what it spilled took 25 to 40
bytes a row of disk, the process 350 to 500 MB beside the limit; 3,000,000 customers, 136.5 million
rows, had a peak of 1.6 GB with a limit of 800 MB, so that up to 3 bytes a row come to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cardwatch.errors import ConfigurationError

MEGABYTE = 1_000_000

_HOPELESS = ((900_000, 20 * MEGABYTE), (2_700_000, 50 * MEGABYTE))
"""With so many rows or more, no run ended under so small a limit."""
_CARRIED = 100 * MEGABYTE
_SMALL_ROWS = 900_000
_TABLE_BYTES = 20
_DISK_BYTES = 40
_PROCESS_BYTES = 500 * MEGABYTE
_PROCESS_ROW_BYTES = 3


@dataclass(frozen=True)
class Room:
    """What a run may take, in bytes: of memory for the engine, of the disk, of the machine."""

    memory_limit: int
    free_disk: int
    available_memory: int
    spill_folder: str = ""


def check_room(room: Room, rows: int) -> Iterator[str]:
    """Yield a sentence for each thing that may be too small for so many rows.

    Raises
    ------
    ConfigurationError
        If the run cannot end: no run did with so little.
    """
    at_least = f"for {rows:,} rows"
    if any(rows >= many and room.memory_limit <= least for many, least in _HOPELESS):
        raise ConfigurationError(
            f"The engine's memory is too small {at_least}",
            where="engine.memory_limit",
            observed=_megabytes(room.memory_limit),
            expected=f"at least {_megabytes(_CARRIED)}",
            next_step="Raise engine.memory_limit",
        )
    if room.free_disk < rows * _TABLE_BYTES:
        raise ConfigurationError(
            f"The disk of the spill folder is too full {at_least}",
            where=room.spill_folder,
            observed=f"{_megabytes(room.free_disk)} free",
            expected=f"about {_megabytes(rows * _DISK_BYTES)}",
            next_step="Free some space, or set engine.temp_directory to a larger disk",
        )
    if rows >= _SMALL_ROWS and room.memory_limit < 0.99 * _CARRIED:  # the engine rounds
        yield (
            f"engine.memory_limit is {_megabytes(room.memory_limit)}: the run may run out of it "
            f"{at_least}; {_megabytes(_CARRIED)} is known to do"
        )
    if room.free_disk < rows * _DISK_BYTES:
        yield (
            f"{_megabytes(room.free_disk)} are free for the spill folder {room.spill_folder}: "
            f"a run needs up to {_megabytes(rows * _DISK_BYTES)} {at_least}"
        )
    process = room.memory_limit + _PROCESS_BYTES + rows * _PROCESS_ROW_BYTES
    if room.available_memory < process:
        yield (
            f"{_megabytes(room.available_memory)} of memory are available: a run may take "
            f"{_megabytes(process)} {at_least}; a smaller engine.memory_limit spills more to disk"
        )


def _megabytes(count: int) -> str:
    return f"{count / MEGABYTE:,.0f} MB"
