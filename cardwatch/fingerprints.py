"""Digests of what a list rests on: rows, recorded scores, and what makes scores comparable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import JsonValue

from cardwatch.week import ReportingWeek

_NO_SCORE_EFFECT = ("contamination", "random_state", "use_cache", "cache_dir")


def fingerprint(content: JsonValue) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def overall_fingerprint(weeks: Mapping[str, str], of_no_week: str = "") -> str:
    """Return one digest over the weeks' own and, where there is one, that of rows of no week."""
    return fingerprint({**weeks, "": of_no_week} if of_no_week else dict(weeks))


def scores_fingerprint(
    week: ReportingWeek, basis: str, score_quantiles: Mapping[str, float]
) -> str:
    """Return the digest of a week's recorded scores and of what made them comparable."""
    return fingerprint([week.label, basis, dict(score_quantiles)])


def score_basis(detector: str, score_version: str, configuration: Mapping[str, JsonValue]) -> str:
    """Return what must be the same for two weeks' scores to be comparable, as a digest.

    The detector, the version of the scoring, and the settings of the model and of its features
    except those that do not move scores (`contamination`, the seed, the cache); and that nothing is
    learnt from verdicts, where that is so. Records from before there were any count as learning.
    """
    settings = {
        f"{section}.{key}": value
        for section in ("model", "feature_engineering")
        for key, value in _section(configuration, section).items()
        if key not in _NO_SCORE_EFFECT
    }
    if _section(configuration, "review").get("learn") is False:
        settings["review.learn"] = False
    return fingerprint([detector, score_version, settings])


def _section(configuration: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    section = configuration.get(name)
    return section if isinstance(section, dict) else {}
