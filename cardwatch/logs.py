"""Logging of a run: to standard error and to a rotating file, with nothing confidential in it.

Every line carries the time (UTC, ISO 8601), the level, the run and its week. What looks like a card
number is masked in messages and tracebacks alike, and so are the secrets a run was given.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal, Protocol, TextIO

from stdnum import luhn

from cardwatch.errors import ConfigurationError

LOGGER = "cardwatch"
FILE_ONLY = "file_only"
"""Name of the ``extra`` of records that people are told in another way."""

MEGABYTE = 1_000_000
CARD_NUMBER_MASK = "[card number]"
SECRET_MASK = "[secret]"

_SHORTEST_SECRET = 4
_SEPARATOR = "[ \\-\u00a0\u2010-\u2013]"
_DIGIT_GROUPS = re.compile(f"(?<![0-9])(?<![0-9][.])[0-9]+(?:{_SEPARATOR}[0-9]+)*")
_GROUP = re.compile("[0-9]+")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f\x80-\x9f]")


class LoggingSettings(Protocol):
    """The settings that logging needs: the ``logging`` section of the configuration."""

    @property
    def level(self) -> str:
        """The least serious level that is logged."""

    @property
    def file(self) -> Path | None:
        """The log file, or None."""

    @property
    def max_size_mb(self) -> int:
        """Size in megabytes beyond which the file is rotated."""

    @property
    def backup_count(self) -> int:
        """Rotated files that are kept."""

    @property
    def format(self) -> Literal["text", "json"]:
        """Lines for people or for machines."""


@contextmanager
def setup_logging(
    settings: LoggingSettings,
    run_id: str = "-",
    week_label: str = "-",
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Iterator[logging.Logger]:
    """Send what Cardwatch logs to a stream and to the log file until the block is left.

    Parameters
    ----------
    settings : LoggingSettings
        The ``logging`` section of the configuration.
    run_id, week_label : str
        Written on each line.
    secrets : iterable of str
        Values masked wherever they turn up; those under four characters are not looked for.
    stream : typing.TextIO, optional
        Standard error if left out.

    Raises
    ------
    ConfigurationError
        If the log file cannot be opened.
    """
    people = _Stream(sys.stderr if stream is None else stream)
    people.addFilter(lambda record: not getattr(record, FILE_ONLY, False))
    handlers: list[logging.Handler] = [people]
    if settings.file is not None:
        handlers.append(_open_file(settings.file, settings.max_size_mb, settings.backup_count))
    kind = _JsonFormatter if settings.format == "json" else _TextFormatter
    formatter = kind(run_id, week_label, tuple(secrets))
    logger = logging.getLogger(LOGGER)
    before = logger.level, logger.propagate
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    logger.setLevel(settings.level)
    logger.propagate = False
    try:
        yield logger
    finally:
        logger.setLevel(before[0])
        logger.propagate = before[1]
        for handler in handlers:
            logger.removeHandler(handler)
            with suppress(OSError, ValueError):  # said already, when the line was written
                handler.close()


def mask_card_numbers(text: str) -> str:
    """Replace whatever looks like a card number: 13 to 19 digits that pass the Luhn check.

    The digits may stand in groups, separated by single spaces or dashes; neighbouring digits of
    another number do not hide it, and the decimals of a number are none.

    Examples
    --------
    >>> mask_card_numbers("row 7 of 4111-1111-1111-1111 refused")
    'row 7 of [card number] refused'
    >>> mask_card_numbers("1234567890123456 passes no check")
    '1234567890123456 passes no check'
    """
    return _DIGIT_GROUPS.sub(_mask_groups, text)


def _mask_groups(match: re.Match[str]) -> str:
    text = match[0]
    groups = [(each.start(), each.end()) for each in _GROUP.finditer(text)]
    kept: list[str] = []
    copied, first = 0, 0
    while first < len(groups):
        last = _card_number_at(text, groups, first)
        if last is not None:
            kept += [text[copied : groups[first][0]], CARD_NUMBER_MASK]
            copied = groups[last][1]
        first = first + 1 if last is None else last + 1
    return "".join(kept) + text[copied:]


def _card_number_at(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """Return the last group of the longest card number that begins with group `first`."""
    digits, found = "", None
    for position in range(first, len(groups)):
        digits += text[slice(*groups[position])]
        if len(digits) > 19:
            break
        if len(digits) >= 13 and luhn.is_valid(digits):
            found = position
    return found


class _Formatter(logging.Formatter):
    """Masks the finished text, so that arguments and tracebacks are covered like messages."""

    def __init__(self, run_id: str, week_label: str, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.run_id = run_id
        self.week_label = week_label
        long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self.secrets = sorted(long_enough, key=lambda secret: (-len(secret), secret))

    def time(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, SECRET_MASK)
        return mask_card_numbers(text)

    def trace(self, record: logging.LogRecord) -> str:
        """Return the traceback and stack of a record, or nothing."""
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        parts += [self.formatStack(record.stack_info)] if record.stack_info else []
        return self.masked("\n".join(parts))


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        head = (
            f"{self.time(record)} {record.levelname:<8} run={self.run_id} week={self.week_label}"
            f" {record.name}:"
        )
        text = "\n".join(filter(None, [self.masked(record.getMessage()), self.trace(record)]))
        lines = text.splitlines() or [""]
        return "\n".join(f"{head} {_visible(line)}".rstrip() for line in lines)


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.time(record),
            "level": record.levelname,
            "run_id": self.run_id,
            "week": self.week_label,
            "logger": record.name,
            "message": self.masked(record.getMessage()),
        }
        if trace := self.trace(record):
            entry["exception"] = trace
        return json.dumps(entry)


def _visible(line: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", line)


class _Reported(logging.Handler):
    """Says once what keeps a log from being written, without the message that was lost."""

    has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        problem = sys.exc_info()[1]
        if self.has_failed or not isinstance(problem, Exception):
            return
        self.has_failed = True
        if isinstance(problem, OSError | ValueError):
            text = (
                f"A log can no longer be written: {getattr(problem, 'strerror', None) or problem}"
            )
        else:
            text = f"A log message is malformed: {Path(record.pathname).name}:{record.lineno}"
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{text}\n")


class _Stream(_Reported, logging.StreamHandler[TextIO]):
    """A stream that may go away without ending the run."""


class _RotatingFile(_Reported, RotatingFileHandler):
    """Follows the file when another run or program rotates or removes it."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        stream = self.stream
        if stream is None or self._has_moved(stream.fileno()):
            self.stream = None
            if stream is not None:
                stream.close()
            self.stream = self._open()
        return bool(super().shouldRollover(record))

    def _has_moved(self, descriptor: int) -> bool:
        try:
            there, mine = Path(self.baseFilename).stat(), os.fstat(descriptor)
        except OSError:
            return True
        return not os.path.samestat(there, mine)


def _open_file(path: Path, max_size_mb: int, backup_count: int) -> RotatingFileHandler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _RotatingFile(
            path,
            maxBytes=max_size_mb * MEGABYTE,
            backupCount=backup_count,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "The log file cannot be opened",
            where=f"logging.file, {path}",
            observed=getattr(error, "strerror", None) or "a path that is not one",
            next_step="Set logging.file to a file that can be written, or to null for none",
        ) from error
