"""Trying past weeks, under one configuration or two; nothing is written to the outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from cardwatch import console
from cardwatch.backtest_story import show_backtest, show_contest
from cardwatch.backtesting import (
    Backtest,
    Contest,
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
from cardwatch.commands.backtest_options import refuse_other_rows
from cardwatch.commands.opening import command_session
from cardwatch.config import Config, config_hash
from cardwatch.errors import (
    CardwatchError,
    ConfigurationError,
    ContractError,
    ModelError,
    WeekNotAvailableError,
)
from cardwatch.injection import Plan, Wish
from cardwatch.publish.lock import reading
from cardwatch.session import choose_week
from cardwatch.week import ReportingWeek
from cardwatch.whole_files import write_whole


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
        refuse_other_rows(config, against[1])
        contestants.append(Contestant(*against))
    weeks = _weeks(config, number, last)
    with reading(config.output.directory, config.output.lock_timeout_seconds, _say):
        past = read_past(config.output.directory, weeks)
    plans = _try(contestants, weeks, past, wish)
    backtests = [_figures(each, past, plans) for each in contestants]
    contest = compare_trials(*backtests) if len(backtests) == 2 else None
    tried = [each.tried(found) for each, found in zip(contestants, backtests, strict=True)]
    other = tried[1] if len(tried) > 1 else None
    document = backtest_document(tried[0], other, contest, wish, past.warnings)
    text = json.dumps(document, indent=2)
    if as_json:
        console.write_json(text)
    else:
        _show(contestants, backtests, contest, wish, with_customers=with_customers)
        console.show_notes(past.warnings)
    if output is not None:
        write_whole(output, text + "\n")
        console.show_progress(f"written: {output}")
    _end(contestants)


def _show(
    contestants: Sequence[Contestant],
    backtests: Sequence[Backtest],
    contest: Contest | None,
    wish: Wish | None,
    *,
    with_customers: bool,
) -> None:
    console.use_width()
    numbering = contestants[0].config.reporting_week.numbering
    for each, found in zip(contestants, backtests, strict=True):
        show_backtest(_title(each, contestants), found, wish, numbering)
    if contest is not None:
        show_contest(contest, numbering, with_customers=with_customers)


def _title(contestant: Contestant, contestants: Sequence[Contestant]) -> str:
    if len(contestants) == 1:
        return f"What {contestant.name} would have listed"
    role = "Champion" if contestant is contestants[0] else "Challenger"
    return f"{role}: {contestant.name}"


def _weeks(config: Config, number: int, last: str | None) -> tuple[ReportingWeek, ...]:
    with command_session(config, "cardwatch backtest") as session:
        newest = choose_week(last, session.source, session.today, config)
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
