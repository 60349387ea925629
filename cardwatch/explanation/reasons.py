"""The reasons of a customer: figures and sentences, from what speaks for each family."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from cardwatch.explanation.numbers import count, ratio, share, weeks
from cardwatch.explanation.totals import net
from cardwatch.explanation.words import Words, words_for
from cardwatch.schema import Attribution, CustomerFacts, Feature, Reason

MAX_REASONS = 3

_SHARES = (
    "new_share",
    "top_share",
    "driver_users",
    "driver_share",
    "driver_usual_share",
    "driver_count_share",
    "driver_usual_count_share",
    "concentration",
    "peer_concentration",
)
_COUNTS = (
    "count",
    "usual_count",
    "peer_count",
    "category_count",
    "peer_categories",
    "driver_count",
    "driver_others",
    "driver_others_usual",
)
_RATIOS = ("count_ratio", "driver_ratio")

_UNITS: dict[str, str] = {
    **dict.fromkeys(_SHARES, "share"),
    **dict.fromkeys(_COUNTS, "count"),
    **dict.fromkeys(_RATIOS, "ratio"),
    "gap": "weeks",
}
_SAYERS: dict[str, Callable[[float], str]] = {
    "share": share,
    "count": count,
    "ratio": ratio,
    "weeks": weeks,
}


def reasons_for(
    attributions: Sequence[Attribution],
    facts: CustomerFacts,
    catalogue: Mapping[str, Feature],
    risky: Sequence[str],
) -> tuple[Reason, ...]:
    """Return up to three reasons, from different families, largest contribution first.

    Parameters
    ----------
    attributions : sequence of Attribution
        One per family, largest first; a family without a leading feature gives no reason.
    risky : sequence of str
        Codes of the watched merchant categories.
    """
    return tuple(
        explain(attribution, facts, catalogue[attribution.feature], risky)
        for attribution in [part for part in attributions if part.feature][:MAX_REASONS]
    )


def explain(
    attribution: Attribution, facts: CustomerFacts, feature: Feature, risky: Sequence[str]
) -> Reason:
    """Return the reason that one attribution is."""
    words = words_for(facts, feature.name, risky)
    value, usual, basis = feature.shows
    observed, expected = _figure(words, value), _figure(words, usual)
    high = attribution.is_high
    if feature.sentence_low and observed is not None and expected is not None:
        high = observed >= expected  # what is said agrees with the figures it says
    return Reason(
        code=feature.code,
        family=feature.family,
        feature=feature.name,
        value=_rounded(observed) or 0.0,
        usual=_rounded(expected),
        usual_basis=basis,
        unit=_UNITS.get(value, "amount"),
        contribution=attribution.contribution,
        sentence=(feature.sentence if high else feature.sentence_low).format_map(_say(words)),
        mcc=facts.drivers.get(feature.name),
    )


def _say(words: Words) -> dict[str, str]:
    said = {}
    for name, value in words.items():
        if isinstance(value, str):
            said[name] = value
        elif value is None:
            said[name] = "nothing"
        else:
            said[name] = _SAYERS.get(_UNITS.get(name, ""), net)(value)
    return said


def _figure(words: Words, name: str) -> float | None:
    value = words.get(name) if name else None
    return float(value) if isinstance(value, int | float) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
