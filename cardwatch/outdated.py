"""Published lists that rest on rows, or on recorded scores, that have changed since.

A pure comparison of what manifests recorded with what is there now. It needs no list and no row,
changes no result, and knows nothing of where the manifests came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from cardwatch.fingerprints import fingerprint
from cardwatch.history import REACH, WEEKS_BACK
from cardwatch.manifest import HistoryRecord, RunManifest
from cardwatch.week import ReportingWeek

INPUT_SETTINGS = (
    "engine.type",
    "portfolio.currency",
    "portfolio.timezone",
    "data_source.shape",
    "data_source.columns",
    "data_source.date_format",
    "data_source.delimiter",
    "data_source.encoding",
    "reporting_week.numbering",
    "contract.max_amount",
    "contract.max_id_length",
    "contract.ids_are_tokens",
)
"""Settings that decide how delivered rows are read: digests made with other ones do not compare."""

_NAMED = 4


@dataclass(frozen=True)
class WindowRows:
    """The rows of some weeks as they are now.

    Weeks before the first one with rows are not looked at: a source that keeps so many weeks and no
    more has not changed them.

    Attributes
    ----------
    weeks : tuple of ReportingWeek
        The weeks that were looked at.
    digests : mapping
        Per week label, as `RunManifest.input_weeks` has them: weeks with rows only.
    configuration : mapping
        The public configuration they were read with.
    """

    weeks: tuple[ReportingWeek, ...]
    digests: Mapping[str, str]
    configuration: Mapping[str, JsonValue]

    def compares_with(self, run: RunManifest) -> bool:
        """Whether the run read rows with the same settings, so that digests say something."""
        return _read_alike(self.configuration, run.configuration)

    def changed_since(self, run: RunManifest) -> tuple[ReportingWeek, ...]:
        """Return the weeks of a run's window whose rows are no longer those it read.

        None where the run read rows with other settings: its digests say nothing then.
        """
        if not self.compares_with(run):
            return ()
        first = min((week for week in self.weeks if week.label in self.digests), default=None)
        window = {week for week in run.window if first is not None and week >= first}
        return tuple(
            week
            for week in self.weeks
            if week in window and run.input_weeks.get(week.label) != self.digests.get(week.label)
        )


@dataclass(frozen=True)
class ScoreRecord:
    """What later weeks' thresholds may rest on: comparable where `basis` is equal."""

    basis: str
    fingerprint: str

    @classmethod
    def of(cls, run: RunManifest) -> ScoreRecord:
        """Return the record that a run left."""
        return cls(run.score_basis, run.scores_fingerprint)


@dataclass(frozen=True)
class OutdatedList:
    """A published list, the weeks whose rows changed, and whether recorded scores did."""

    week: ReportingWeek
    rows: tuple[ReportingWeek, ...]
    scores: bool


def outdated_lists(
    published: Sequence[RunManifest],
    rows: WindowRows,
    scores: Mapping[ReportingWeek, ScoreRecord],
) -> tuple[OutdatedList, ...]:
    """Return those of the published runs whose input or history is no longer what they used.

    Parameters
    ----------
    rows : WindowRows
        What is known of the source now; weeks outside of it are taken to be unchanged.
    scores : mapping
        The scores that every week has on record now.
    """
    found = (
        OutdatedList(run.week, rows.changed_since(run), _rests_on_other_scores(run, scores))
        for run in sorted(published, key=lambda run: run.week)
    )
    return tuple(each for each in found if each.rows or each.scores)


def _rests_on_other_scores(run: RunManifest, scores: Mapping[ReportingWeek, ScoreRecord]) -> bool:
    """Compare what a run used with what it would use now; a record that is gone is no change.

    What it used of verdicts and snoozes is not looked at: later ones outdate no published list.
    """
    used = {
        ReportingWeek.parse(label): ScoreRecord(run.score_basis, digest)
        for label, digest in run.history.weeks.items()
    }
    expected = expected_history(run.week, run.score_basis, {**used, **scores})
    return expected.weeks != run.history.weeks


def expected_history(
    week: ReportingWeek, basis: str, scores: Mapping[ReportingWeek, ScoreRecord]
) -> HistoryRecord:
    """Return what a run of this week would record of the earlier weeks that it used.

    Thresholds rest on the newest comparable weeks, and on none of them until there are enough.
    """
    within = [each for each in week.window(REACH * WEEKS_BACK) if each in scores]
    comparable = [each for each in within if scores[each].basis == basis][-WEEKS_BACK:]
    used = comparable if len(comparable) == WEEKS_BACK else ()
    digests = {each.label: scores[each].fingerprint for each in used}
    return HistoryRecord(weeks=digests, fingerprint=fingerprint(dict(digests)))


def reach(reference_weeks: int) -> int:
    """Return how many weeks away a list can be that a week's rows or scores went into."""
    return max(reference_weeks, REACH * WEEKS_BACK)


def around(week: ReportingWeek, reference_weeks: int) -> tuple[ReportingWeek, ...]:
    """Return the weeks whose records tell which lists around `week` are out of date."""
    far = reach(reference_weeks)
    return tuple((week - far - REACH * WEEKS_BACK).until(week + far))


def sentence(lists: Sequence[OutdatedList]) -> str:
    """Say in one line what changed, which lists it concerns, and what makes them again."""
    weeks = [each.week for each in lists]
    rows = sorted({week for each in lists for week in each.rows})
    changed = [f"the rows of {named(rows)}"] if rows else []
    changed += ["recorded scores that cuts rest on"] if any(each.scores for each in lists) else []
    what = " and ".join(changed)
    one = len(weeks) == 1
    lists_named = f"the list of {weeks[0]} was" if one else f"the lists of {named(weeks)} were"
    return (
        f"{what[0].upper()}{what[1:]} have changed since {lists_named} published: "
        f"`cardwatch {' '.join(remedy(lists))}` makes {'it' if one else 'them'} again"
    )


def remedy(lists: Sequence[OutdatedList]) -> list[str]:
    """Return the words of the command that makes these lists again."""
    weeks = [each.week.label for each in lists]
    if len(weeks) == 1:
        return ["run", "--reporting-week", weeks[0]]
    return ["backfill", "--from", weeks[0], "--to", weeks[-1]]


def named(weeks: Sequence[ReportingWeek]) -> str:
    """Name weeks in a sentence; many of them by their number, the first and the last."""
    if len(weeks) > _NAMED:
        return f"{len(weeks)} weeks from {weeks[0]} to {weeks[-1]}"
    *others, last = map(str, weeks)
    return f"{', '.join(others)} and {last}" if others else last


def _read_alike(ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue]) -> bool:
    """Whether two configurations read rows alike, as far as both know the settings."""
    pairs = ((_setting(ours, key), _setting(theirs, key)) for key in INPUT_SETTINGS)
    return all(left == right for left, right in pairs if left and right)


def _setting(configuration: Mapping[str, JsonValue], key: str) -> tuple[JsonValue, ...]:
    """Return a setting's value in a tuple, an empty one where it is not known."""
    section, _, name = key.partition(".")
    values = configuration.get(section)
    return (values[name],) if isinstance(values, dict) and name in values else ()
