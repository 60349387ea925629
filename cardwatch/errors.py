"""Every error Cardwatch raises, and the exit code the command line gives it.

The tree::

    CardwatchError                 exit 1   unexpected
    ├── ConfigurationError         exit 2   the user's file, environment or options
    ├── SourceError                exit 3   the data cannot be reached or read
    │   └── WeekNotAvailableError  exit 3   the week is not over, or not in the source yet
    ├── ContractError              exit 4   the data was read and is not fit to score
    ├── ModelError                 exit 5   features, detector or a stored artefact
    ├── PublishError               exit 6   results could not be written whole
    └── NotifyError                exit 7   a message could not be sent

Each message says what happened, where, what was observed against what was expected, and what to do
next. The evidence stays on the error as attributes. No message carries a row's values, a customer
id, a password or a connection string.
"""

from __future__ import annotations


class CardwatchError(Exception):
    """Base of every error with a message meant for a person.

    Parameters
    ----------
    what : str
        What happened, in one clause.
    where : str, optional
        The file, key or place.
    observed, expected : str, optional
        What was found and what should have been there.
    next_step : str, optional
        What the reader can do now, as a sentence or a command.
    """

    exit_code = 1
    retryable = False

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        observed: str = "",
        expected: str = "",
        next_step: str = "",
    ) -> None:
        self.what = what
        self.where = where
        self.observed = observed
        self.expected = expected
        self.next_step = next_step
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole message on one line."""
        text = f"{self.what} ({self.where})" if self.where else self.what
        if self.observed:
            text += f": found {self.observed}"
        if self.expected:
            text += f"{', ' if self.observed else ': '}expected {self.expected}"
        if self.next_step:
            text += f". {self.next_step}"
        return " ".join(text.split())


class ConfigurationError(CardwatchError):
    """The configuration, the environment or an option is wrong."""

    exit_code = 2


class SourceError(CardwatchError):
    """The source cannot be reached, or what it holds cannot be read."""

    exit_code = 3
    retryable = True


class WeekNotAvailableError(SourceError):
    """The requested week is not over yet, or the source has no rows for it."""


class ContractError(CardwatchError):
    """The rows were read, and are not fit to be scored."""

    exit_code = 4


class ModelError(CardwatchError):
    """Features could not be built, or a detector or its stored state does not fit."""

    exit_code = 5


class PublishError(CardwatchError):
    """The results could not be written whole; what was there before still stands."""

    exit_code = 6
    retryable = True


class NotifyError(CardwatchError):
    """A message could not be sent."""

    exit_code = 7
    retryable = True
