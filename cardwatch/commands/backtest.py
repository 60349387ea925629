"""Trying past weeks, under one configuration or two; nothing is written to the outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from cardwatch import console
from cardwatch.backtest_story import show_backtest, show_contest
from cardwatch.backtesting import (
    Backtest,
    Past,
    Refused,
    Trial,
    backtest_document,
    compare_trials,
    figures_of,
    read_past,
    scorable_weeks,
    try_week,
)
from cardwatch.backtesting.document import Tried
from cardwatch.commands.opening import command_session
from cardwatch.config import Config, config_hash
from cardwatch.errors import (
    CardwatchError,
    ConfigurationError,
    ContractError,
    ModelError,
    WeekNotAvailableError,
)
from cardwatch.injection import Kind, Plan, Strength, Wish
from cardwatch.publish.lock import reading
from cardwatch.session import choose_week
from cardwatch.week import ReportingWeek
from cardwatch.whole_files import write_whole

_SAME = ("data_source", "portfolio", "reporting_week")
"""Sections that say which rows there are and what they mean."""


Named = TypeVar("Named", bound=StrEnum)


@dataclass
class Contestant:
    """One configuration, and what came of the weeks so far."""

    name: str
    config: Config
    trials: list[Trial] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def tried(self, backtest: Backtest) -> Tried:
        """Return what came of it, for the document."""
        return Tried(self.name, config_hash(self.config), backtest)


def backtest_command(
    config: Config,
    number: int,
    last: str | None,
    *,
    name: str,
    wish: Wish | None,
    against: tuple[str, Config] | None,
    with_customers: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Try the last weeks, print what was found, and write it where that was asked for."""
    if with_customers and against is None:
        raise ConfigurationError(
            "There is only one list", where="--show-customers", next_step="Add --against"
        )
    if output is not None and output.is_dir():
        raise ConfigurationError(
            "The file to write is a folder", where=str(output), next_step="Name a file in it"
        )
    contestants = [Contestant(name, config)]
    if against is not None:
        _refuse_other_rows(config, against[1])
        contestants.append(Contestant(*against))
    weeks = _weeks(config, number, last)
    with reading(config.output.directory, config.output.lock_timeout_seconds, _say):
        past = read_past(config.output.directory, weeks)
    plans = _try(contestants, weeks, past, wish)
    backtests = [_figures(each, past, plans) for each in contestants]
    contest = compare_trials(*backtests) if len(backtests) == 2 else None
    tried = [each.tried(found) for each, found in zip(contestants, backtests, strict=True)]
    other = tried[1] if len(tried) > 1 else None
    text = json.dumps(backtest_document(tried[0], other, contest, wish), indent=2)
    if output is not None:
        write_whole(output, text + "\n")
    if as_json:
        console.write_json(text)
    else:
        console.use_width()
        numbering = config.reporting_week.numbering
        for each, found in zip(contestants, backtests, strict=True):
            show_backtest(_title(each, contestants), found, wish, numbering)
        if contest is not None:
            show_contest(contest, numbering, with_customers=with_customers)
        console.show_notes(past.warnings)
        if output is not None:
            console.out.print(f"written: {output}", markup=False)
    _end(contestants)


def wish_of(
    kinds: Sequence[str] | None,
    strengths: Sequence[str] | None,
    per_kind: int | None,
    seed: int,
    *,
    is_asked: bool,
) -> Wish | None:
    """Return what is to be planted; None where nothing is.

    Raises
    ------
    ConfigurationError
        If there is no such kind or strength, or it is named and nothing is to be planted.
    """
    given = {"--kind": kinds, "--strength": strengths, "--per-kind": per_kind}
    if not is_asked:
        if named := [name for name, value in given.items() if value]:
            raise ConfigurationError(
                "Nothing is to be planted", where=named[0], next_step="Add --inject"
            )
        return None
    return Wish(
        kinds=_members(Kind, kinds, "--kind"),
        strengths=_members(Strength, strengths, "--strength"),
        per_kind=per_kind,
        seed=seed,
    )


def _members(options: type[Named], names: Sequence[str] | None, where: str) -> tuple[Named, ...]:
    """Return the named members in the order they are declared; all of them where none is named."""
    wanted = {name.strip().lower() for name in names or ()}
    if unknown := sorted(wanted - set(options)):
        raise ConfigurationError(
            "There is no such choice",
            where=where,
            observed=f"{unknown[0]!r}"[:80],
            expected=", ".join(options),
        )
    return tuple(each for each in options if not wanted or each in wanted)


def configuration_name(file: Path | None) -> str:
    """Return what a configuration is called in what is printed."""
    return "the built-in configuration" if file is None else str(file)


def _title(contestant: Contestant, contestants: Sequence[Contestant]) -> str:
    if len(contestants) == 1:
        return f"What {contestant.name} would have listed"
    role = "Champion" if contestant is contestants[0] else "Challenger"
    return f"{role}: {contestant.name}"


def _refuse_other_rows(config: Config, other: Config) -> None:
    changed = [name for name in _SAME if getattr(config, name) != getattr(other, name)]
    if changed:
        raise ConfigurationError(
            "The two configurations do not score the same rows",
            where="--against",
            observed=f"another {' and '.join(changed)}",
            expected=f"the same {', '.join(_SAME)}",
            next_step="--source and variables of the environment count for both",
        )


def _weeks(config: Config, number: int, last: str | None) -> tuple[ReportingWeek, ...]:
    with command_session(config, "cardwatch backtest") as session:
        newest = choose_week(last, session.source, session.today, config, allow_partial=False)
        reference = config.feature_engineering.reference_weeks
        return scorable_weeks(session.source.present(), newest, number, reference)


def _try(
    contestants: Sequence[Contestant],
    weeks: Sequence[ReportingWeek],
    past: Past,
    wish: Wish | None,
) -> dict[ReportingWeek, Plan]:
    plans: dict[ReportingWeek, Plan] = {}
    for done, week in enumerate(weeks, start=1):
        for contestant in contestants:
            begun = perf_counter()
            made = _attempt(contestant, week, past, wish, plans.get(week))
            if made is not None:
                plans[week] = made
            seconds = f"{perf_counter() - begun:.1f} s"
            who = f", {contestant.name}" if len(contestants) > 1 else ""
            console.show_progress(f"{done} of {len(weeks)}: {week}{who}, {seconds}")
    return plans


def _attempt(
    contestant: Contestant,
    week: ReportingWeek,
    past: Past,
    wish: Wish | None,
    plan: Plan | None,
) -> Plan | None:
    config = contestant.config
    previous = past.before(week, [each.record for each in contestant.trials])
    try:
        with command_session(config, f"backtest of {week}", lambda *_: week) as session:
            trial, plan = try_week(week, config, session.parts(), previous, wish, plan)
    except (ContractError, ModelError, WeekNotAvailableError) as error:
        contestant.refused.append(Refused(week, error.message, error.exit_code))
        return plan
    contestant.trials.append(trial)
    return plan


def _figures(contestant: Contestant, past: Past, plans: dict[ReportingWeek, Plan]) -> Backtest:
    if not contestant.trials:
        first = contestant.refused[0]
        raise _Nothing(first, contestant.name)
    return figures_of(contestant.trials, past, contestant.refused, plans)


class _Nothing(CardwatchError):
    """No week could be scored."""

    def __init__(self, first: Refused, name: str) -> None:
        self.exit_code = first.exit_code
        super().__init__(
            "None of the weeks can be scored",
            where=name,
            observed=f"week {first.week}: {first.why}",
        )


def _end(contestants: Sequence[Contestant]) -> None:
    """End with the code of the first week that a run would refuse."""
    for contestant in contestants:
        if contestant.refused:
            raise SystemExit(contestant.refused[0].exit_code)


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False)
