"""What differs between a run as it was recorded and the same run done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import JsonValue

from cardwatch.config.view import (
    SECTIONS_WITHOUT_EFFECT_ON_RESULTS,
    WITHOUT_EFFECT_ON_RESULTS,
)
from cardwatch.manifest import RunManifest

_ABSENT = "nothing"
V = TypeVar("V")


def same_files(recorded: RunManifest, fresh: RunManifest) -> bool:
    """Whether both runs wrote the same bytes: every list, score and quarantined row."""
    return recorded.files == fresh.files


def differences(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    """Say what differs between two runs of a week, causes first; nothing means identical.

    When the run took place, how long it took and where it wrote are not compared.

    Returns
    -------
    list of str
        Sentences: input weeks, settings (by their dotted names), versions, recorded history, the
        seed, and last the files whose bytes differ.
    """
    if recorded.week != fresh.week:
        return [f"The runs scored different weeks: {recorded.week} and {fresh.week}"]
    return [*causes(recorded, fresh), *_files(recorded, fresh)]


def causes(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    """Say what went into two runs of a week that differs; nothing means the same in all."""
    return [
        *_inputs(recorded, fresh),
        *_settings(recorded, fresh),
        *_versions(recorded, fresh),
        *_history(recorded, fresh),
    ]


def _inputs(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    changed = _changed(recorded.input_weeks, fresh.input_weeks)
    if recorded.input_fingerprint == fresh.input_fingerprint and not changed:
        return []
    sentences = [_week_sentence(label, *values) for label, values in changed.items()]
    sentences = sentences or ["The rows whose week cannot be read changed"]
    before, after = _source_path(recorded), _source_path(fresh)
    if before != after:
        sentences.append(f"The rows were read from {after}; the recorded run read {before}")
    return sentences


def _week_sentence(label: str, before: object, after: object) -> str:
    if after is None:
        return f"Input week {label} had rows then and has none now"
    if before is None:
        return f"Input week {label} has rows now and had none then"
    return f"The rows of input week {label} changed"


def _source_path(manifest: RunManifest) -> JsonValue:
    return dict(_dotted(manifest.configuration)).get("data_source.path")


def _settings(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    changed = changed_settings(recorded.configuration, fresh.configuration)
    if not changed and recorded.configuration_hash != fresh.configuration_hash:
        return ["The recorded settings are not those of the run: the manifest was changed"]
    return [
        f"Setting {key} was {_shown(before)} and is {_shown(after)}"
        for key, (before, after) in changed.items()
    ]


def changed_settings(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> dict[str, tuple[JsonValue, JsonValue]]:
    """Return the settings that can change a result and differ, by dotted key; None is not set."""
    return _changed(_result_settings(before), _result_settings(after))


def _result_settings(configuration: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    ignored = {*WITHOUT_EFFECT_ON_RESULTS, *SECTIONS_WITHOUT_EFFECT_ON_RESULTS}
    return {
        key: value
        for key, value in _dotted(configuration)
        if key not in ignored and key.partition(".")[0] not in ignored
    }


def _dotted(section: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    for key, value in section.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _versions(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    changed = _changed(
        {**recorded.versions, "the scoring": recorded.score_version},
        {**fresh.versions, "the scoring": fresh.score_version},
    )
    return [
        f"Version of {name} was {before or _ABSENT} and is {after or _ABSENT}"
        for name, (before, after) in changed.items()
    ]


def _history(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    sentences = []
    for label, (before, after) in _changed(recorded.history.weeks, fresh.history.weeks).items():
        if after is None:
            sentences.append(f"The recorded scores of week {label} were used then and are not now")
        elif before is None:
            sentences.append(f"The recorded scores of week {label} are used now and were not then")
        else:
            sentences.append(f"The recorded scores of week {label} changed: it was run again")
    for label, (before, after) in _changed(recorded.history.reviews, fresh.history.reviews).items():
        if after is None:
            sentences.append(f"Verdicts on the list of week {label} were used then and are not now")
        elif before is None:
            sentences.append(f"Verdicts on the list of week {label} are used now; there were none")
        else:
            sentences.append(f"The verdicts on the list of week {label} are others now")
    sentences += [
        f"What drift is measured against, of week {label}, is other now"
        for label in _changed(recorded.history.drift, fresh.history.drift)
    ]
    if recorded.history.snoozes != fresh.history.snoozes:
        sentences.append("The snoozes that concern the week are others now")
    if recorded.seed != fresh.seed:
        sentences.append(f"The seed was {recorded.seed} and is {fresh.seed}")
    return sentences


def _files(recorded: RunManifest, fresh: RunManifest) -> list[str]:
    sentences = []
    for name, (before, after) in _changed(recorded.files, fresh.files).items():
        if after is None:
            sentences.append(f"{name} was written then and not now")
        elif before is None:
            sentences.append(f"{name} is written now and was not then")
        else:
            sentences.append(f"{name} has other bytes")
    return sentences


def _changed(
    before: Mapping[str, V], after: Mapping[str, V]
) -> dict[str, tuple[V | None, V | None]]:
    keys = sorted({*before, *after})
    pairs = {key: (before.get(key), after.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _shown(value: JsonValue) -> str:
    if value is None:
        return "not set"
    return f"'{value}'" if isinstance(value, str) else str(value)
