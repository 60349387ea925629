"""Telling the readers of lists: after a run, after a failed one, and when somebody asks for it."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from cardwatch import console
from cardwatch.config import Config, secret_values
from cardwatch.errors import CardwatchError, ConfigurationError, NotifyError, PublishError
from cardwatch.logs import FILE_ONLY, LOGGER, SECRET_MASK
from cardwatch.monitoring.channels import mail_receivers
from cardwatch.monitoring.settings import read_settings
from cardwatch.monitoring.watching import Watched
from cardwatch.news import read_news
from cardwatch.notify.base import ToldByAlerts
from cardwatch.notify.message import FailureNotice, masker
from cardwatch.notify.telling import Teller, Told
from cardwatch.notify.text import mail_text
from cardwatch.publish.database_files import recorded_weeks
from cardwatch.session import (
    Session,
    command_log,
    day_of,
    due,
    log_again,
    new_run_id,
    week_named,
)
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_teller
from cardwatch.wording import counted

_NAMES = {"email": "mail", "chat": "chat message"}


@dataclass
class Attempt:
    """A run that is under way: what a notice of its failure has to say."""

    command: str
    week: ReportingWeek
    run_id: str = field(default_factory=new_run_id)
    session: Session | None = None
    has_list: bool = False
    """Whether the list is out: what fails after that is no failure to its readers."""

    @property
    def step(self) -> str:
        """The step that is under way, or was last."""
        return self.session.timer.latest if self.session else "start"


def attempt_of(config: Config, command: str, wanted: str | None) -> Attempt:
    """Return a new attempt at the wanted week, or at the last one that is over.

    Raises
    ------
    ConfigurationError
        If the wanted week cannot be read.
    """
    today = day_of(datetime.now(UTC), config)
    return Attempt(command, week_named(wanted, today) or due(today))


@contextmanager
def telling_of_failure(
    config: Config, attempt: Attempt, noted: Watched, settings: Path | None, is_told: bool
) -> Iterator[None]:
    """Tell the readers in short when what is inside fails; the failure goes on as it was."""
    try:
        yield
    except Exception as error:
        code, message = 1, f"Something unexpected happened ({type(error).__name__})"
        if isinstance(error, CardwatchError):
            code, message = error.exit_code, error.message
        notice = _failure(config, attempt, code, message)
        noted.facts = "\n".join(
            f"{name}: {text}" for name, text in notice.facts if name in ("Step", "Run", "Log")
        )
        if is_told and not attempt.has_list and is_newest(config, attempt.week):
            _tell_of_failure(config, notice, settings)
        raise


def _failure(config: Config, attempt: Attempt, code: int, message: str) -> FailureNotice:
    numbering = config.reporting_week.numbering
    folder, log = config.output.directory, config.logging.file
    weeks = recorded_weeks(folder) if folder.is_dir() else ()
    where = f"{log.absolute()} on {platform.node()}" if log else "standard error of the command"
    return FailureNotice(
        week=attempt.week,
        numbering=numbering,
        environment=config.environment,
        command=attempt.command,
        step=attempt.step,
        exit_code=code,
        error=masker(secret_values(config), SECRET_MASK)(message),
        run_id=attempt.run_id,
        log=where,
        last_list=weeks[-1].display(numbering) if weeks else "",
    )


def _tell_of_failure(config: Config, notice: FailureNotice, settings: Path | None) -> None:
    """Never fails, and hides no failure."""
    try:
        teller = open_teller(config, _told_by_alerts(config, settings))
        if not teller.notifiers:
            return
        with log_again(config, notice.run_id, notice.week.label):
            show_told(log_told(teller.tell(lambda: notice)))
    except Exception as error:
        _say(f"The readers were not told of the failure ({type(error).__name__})")


def _told_by_alerts(config: Config, settings: Path | None) -> ToldByAlerts:
    """Return whom an alert tells of a failed run; nobody where alerts are off or unreadable."""
    if not config.monitoring.enabled:
        return ToldByAlerts()
    try:
        alerts = read_settings(settings).alerts
    except CardwatchError:
        return ToldByAlerts()
    hook = config.notify.slack_webhook_url
    return ToldByAlerts(
        frozenset(each.lower() for each in mail_receivers(config, alerts)),
        bool(hook and hook.get_secret_value()),
    )


def is_newest(config: Config, week: ReportingWeek) -> bool:
    """Whether no later week has results: a list of long ago is no news."""
    folder = config.output.directory
    return not (folder.is_dir() and any(each > week for each in recorded_weeks(folder)))


def teller_of_run(config: Config, week: ReportingWeek, is_told: bool) -> Teller:
    """Return what tells of a week that was just run: nobody, where a later week is there."""
    teller = open_teller(config)
    if not teller.notifiers or (is_told and is_newest(config, week)):
        return teller
    if is_told:
        _say(
            f"Nobody is told of week {week}, because later lists are there;"
            f" `cardwatch notify --reporting-week {week}` tells"
        )
    return replace(teller, notifiers=())


def log_told(told: Sequence[Told]) -> tuple[str, ...]:
    """Say what became of notices in the log, and return it in sentences."""
    log = logging.getLogger(LOGGER)
    sentences = tuple(map(sentence_of, told))
    for each, sentence in zip(told, sentences, strict=True):
        level = logging.INFO if each.is_done else logging.WARNING
        log.log(level, "notice: %s", sentence, extra={FILE_ONLY: True})
    return sentences


def show_told(sentences: Sequence[str]) -> None:
    """Say what became of notices to the person."""
    for sentence in sentences:
        _say(sentence)


def sentence_of(told: Told) -> str:
    """Return what became of a notice through one notifier, in one sentence.

    Examples
    --------
    >>> sentence_of(Told("email", "mail through smtp.bank.example:587", already=("a@b", "c@d")))
    'The mail was sent before to 2 receivers (mail through smtp.bank.example:587)'
    """
    name = f"The {_NAMES.get(told.channel, told.channel)}"
    parts = []
    if told.sent:
        parts.append(f"was sent to {counted(told.sent, 'receiver')}")
    if told.already:
        parts.append(f"was sent before to {counted(len(told.already), 'receiver')}")
    if told.unsure_before:
        count = counted(len(told.unsure_before), "receiver")
        parts.append(f"may have reached {count} before, so it was not sent again")
    left = len(told.outcomes) - told.sent
    if left or told.problem:
        to = f" to {counted(left, 'receiver')}" if left else ""
        sure = "was not sent" if told.is_certain else "may not have been sent"
        parts.append(f"{sure}{to}: {'; '.join(told.problems)}")
    if not parts:
        return f"{name} has nobody to go to, or an alert tells them"
    return f"{name} {', and '.join(parts)} ({told.place})"


def notify_command(
    config: Config, wanted: str | None, *, again: bool, dry_run: bool, save: Path | None
) -> None:
    """Tell the readers of a published week, those that do not know yet or all of them.

    Raises
    ------
    ConfigurationError
        If no notifier is turned on.
    NotifyError
        If it is not certain that everybody has it.
    """
    with command_log(config):
        week = _week(config, wanted)
        if dry_run or save:
            _preview(config, week, save)
            return
        teller = open_teller(config, again=again)
        if not teller.notifiers:
            raise ConfigurationError(
                "Nobody is to be told",
                where="notify.email.enabled, notify.chat.enabled",
                observed="false",
                next_step="Turn one of them on in config/config.yaml",
            )
        news = read_news(config, week)
        with console.waiting("Sending"):
            told = teller.tell(lambda: news)
        show_told(log_told(told))
        bad = [each for each in told if not each.is_done]
        if bad:
            raise _not_told(bad[0], week)


def _not_told(told: Told, week: ReportingWeek) -> NotifyError:
    step = f"cardwatch notify --reporting-week {week}"
    advice = f"`{step}` tries again those who do not have it"
    if not told.is_certain:
        advice = f"Ask them; `{step} --again` sends it once more"
    problems = "; ".join(told.problems) or "nobody knows whether an earlier one arrived"
    return NotifyError(
        f"Not everybody was told of week {week}",
        where=told.place,
        observed=problems,
        next_step=advice,
    )


def _preview(config: Config, week: ReportingWeek, save: Path | None) -> None:
    from cardwatch.notify.letter import letter
    from cardwatch.notify.mail_notifier import sender_of

    news = read_news(config, week)
    to = config.notify.email.to
    console.use_width()
    if save is None:
        for line in (f"Subject: {news.subject}", f"To: {', '.join(to) or 'nobody yet'}", ""):
            console.out.print(line, markup=False, soft_wrap=True)
        console.out.print(mail_text(news), markup=False, soft_wrap=True, end="")
        return
    message = letter(news, sender_of(config.notify), to, datetime.now(UTC))
    try:
        save.write_bytes(message.as_bytes())
    except OSError as error:
        raise PublishError(
            "The mail cannot be saved",
            where=str(save),
            observed=error.strerror or type(error).__name__,
        ) from error
    console.out.print(f"Saved to {save}; nothing was sent", markup=False, soft_wrap=True)


def _week(config: Config, wanted: str | None) -> ReportingWeek:
    if wanted is not None and wanted.strip().lower() != "last":
        return ReportingWeek.parse(wanted)
    folder = config.output.directory
    recorded = recorded_weeks(folder) if folder.is_dir() else ()
    if not recorded:
        raise PublishError(
            "There are no results to tell of",
            where=str(folder),
            next_step="`cardwatch run` makes some",
        )
    return recorded[-1]


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False, soft_wrap=True)
