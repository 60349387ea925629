"""How surprising a value is: -log10 of its tail probability among all customers.

A feature is brought to slog(robust z). In the body the probability is the empirical rank. Beyond it
the surprise follows a straight line, because the largest values are the anomalies themselves and a
tail fitted on them would hide them (masking). Two slopes are used: one from the body (the 90th to
the 97th percentile), one from the mean excess over the 98th; ``averaged`` takes the mean of both.

Features with a smooth, light tail lose by the logarithm: what lies far beyond their body is brought
near. `fit_shaped` leaves them on the scale of the robust z and takes the bend of the tail from the
body as well: the shape of a generalised Pareto law, estimated from three quantiles as Pickands did
(1975, Annals of Statistics 3, 119-131), but under the 97th percentile, where the anomalies are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from cardwatch.robust import Floats, slog, spread

MAX_SURPRISE = 30.0
RARE = 3.0
"""A tapered law grows slowly beyond the surprise of one customer in `RARE` · √customers."""
TAPER = 0.3
"""How fast it grows there, beside the law that is tapered."""
BODY = (0.90, 0.97)
BODY_ONLY = (0.93, 0.98)
EXCESS_FROM = 0.98
MIN_EXCESSES = 10
MIN_SLOPE = 1e-3
SHAPE_FROM = (0.80, 0.90, 0.97)
SHAPES = (0.1, 1.0)
"""Bounds of the shape: 0 would be an exponential tail, in which a few far values outdo all else."""
_LN10 = float(np.log(10.0))

TailMethod = Literal["averaged", "body"]


@dataclass(frozen=True)
class Line:
    """Surprise above `start`: base + x/ln 10 with x = (z - start)/slope, a straight line.

    With a `shape` over 0 it bends: ln(1 + shape · x)/shape takes the place of x.
    """

    start: float
    base: float
    slope: float
    shape: float = 0.0

    def surprise(self, z: Floats) -> Floats:
        """Return the surprise of each z, `base` for those under `start`."""
        away = np.maximum(z - self.start, 0) / self.slope
        bent = np.log1p(self.shape * away) / self.shape if self.shape > 0 else away
        return np.asarray(self.base + bent / _LN10)


@dataclass(frozen=True)
class UpperTail:
    """Surprise of high values: from `knots` in the body, beyond it the mean of `lines`."""

    knots: tuple[float, ...]
    surprises: tuple[float, ...]
    lines: tuple[Line, ...]

    def surprise(self, z: Floats) -> Floats:
        """Return the surprise of each z, in log10 units, in [0, `MAX_SURPRISE`]."""
        body = np.interp(z, self.knots, self.surprises)
        if not self.lines:
            return body
        along = [
            np.where(
                z > line.start,
                line.surprise(z),
                np.minimum(body, line.base),  # knots are sparse: never above where the line begins
            )
            for line in self.lines
        ]
        return np.asarray(np.clip(sum(along) / len(along), 0, MAX_SURPRISE))


@dataclass(frozen=True)
class FeatureTail:
    """The fitted law of one feature: its centre and scale, and one or two tails.

    `compressed` says whether the tails are those of slog(robust z), or of the robust z itself.
    """

    centre: float
    scale: float
    upper: UpperTail
    lower: UpperTail | None
    compressed: bool = True

    def surprise(self, values: Floats) -> Floats:
        """Return the surprise of raw feature values; 0 where a value is NaN."""
        away = (values - self.centre) / self.scale
        z = np.nan_to_num(slog(away) if self.compressed else away)
        high = self.upper.surprise(z)
        if self.lower is not None:
            both = np.maximum(high, self.lower.surprise(-z)) - np.log10(2)
            high = np.maximum(both, 0)
        return np.asarray(np.where(np.isnan(values), 0.0, high))

    def to_json(self) -> dict[str, Any]:
        """Return the law as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> FeatureTail:
        """Read what `to_json` wrote; raises KeyError or TypeError when it is something else."""
        lower = state["lower"]
        return cls(
            centre=float(state["centre"]),
            scale=float(state["scale"]),
            upper=_tail_from_json(state["upper"]),
            lower=None if lower is None else _tail_from_json(lower),
            compressed=bool(state["compressed"]),
        )


@dataclass(frozen=True)
class Approach:
    """The law of a value that is a surprise already: it approaches `cap`, and never reaches it.

    Nearing the cap smoothly keeps different values apart, so that no cut falls among equal scores.
    """

    cap: float

    def surprise(self, values: Floats) -> Floats:
        """Return cap · (1 - exp(-value / cap)); 0 where a value is NaN or the cap is 0."""
        if self.cap <= 0:
            return np.zeros(len(values))
        return np.asarray(-self.cap * np.expm1(-np.maximum(np.nan_to_num(values), 0) / self.cap))

    def to_json(self) -> dict[str, Any]:
        """Return the law as plain JSON values."""
        return asdict(self)

    @classmethod
    def among(cls, cap: float, customers: int) -> Approach:
        """Return the law whose cap is no more surprising than one customer in √customers."""
        return cls(min(cap, float(np.log10(max(customers, 1))) / 2))


@dataclass(frozen=True)
class Given:
    """The law of a value that is a surprise already, and is taken as it is up to `most`."""

    most: float = MAX_SURPRISE

    def surprise(self, values: Floats) -> Floats:
        """Return the values, in [0, most]; 0 where a value is NaN."""
        return np.clip(np.nan_to_num(values), 0, self.most)

    def to_json(self) -> dict[str, Any]:
        """Return the law as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Tapered:
    """The law of a value that, once it is rare, tells little more by being rarer.

    Up to `start` it is `law`; beyond, it grows by `TAPER` of what `law` does.
    """

    law: FeatureTail
    start: float

    def surprise(self, values: Floats) -> Floats:
        """Return the surprise of raw feature values; 0 where a value is NaN."""
        plain = self.law.surprise(values)
        return np.minimum(plain, self.start + TAPER * np.maximum(plain - self.start, 0))

    def to_json(self) -> dict[str, Any]:
        """Return the law as plain JSON values."""
        return {"law": self.law.to_json(), "start": self.start}

    @classmethod
    def among(cls, law: FeatureTail, customers: int) -> Tapered:
        """Return the law that is tapered from one customer in `RARE` · √customers on."""
        return cls(law, float(np.log10(RARE * np.sqrt(max(customers, 1)))))


Law = FeatureTail | Approach | Given | Tapered


def law_from_json(state: dict[str, Any]) -> Law:
    """Read what ``to_json`` of any law wrote; raises KeyError or TypeError otherwise."""
    if "cap" in state:
        return Approach(float(state["cap"]))
    if "start" in state:
        return Tapered(FeatureTail.from_json(state["law"]), float(state["start"]))
    return Given(float(state["most"])) if "most" in state else FeatureTail.from_json(state)


def fit_tail(values: Floats, two_sided: bool, method: TailMethod) -> FeatureTail | None:
    """Fit a feature's law on its non-NaN values; None when it has none, or only one value."""
    present = values[~np.isnan(values)]
    if len(present) == 0 or present.min() == present.max():
        return None
    centre, scale = _location(present)
    z = np.sort(slog((present - centre) / scale))
    return FeatureTail(
        centre=centre,
        scale=scale,
        upper=_fit_upper(z, method),
        lower=_fit_upper(-z[::-1], method) if two_sided else None,
    )


def fit_shaped(values: Floats) -> FeatureTail | None:
    """Fit the upper tail whose shape the body gives; None where the body is flat or has ties."""
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return None
    centre, scale = _location(present)
    ordered = np.sort((present - centre) / scale)
    line = _shaped_line(ordered)
    if line is None:
        return None
    return FeatureTail(centre, scale, _upper(ordered, [line]), lower=None, compressed=False)


def _location(present: Floats) -> tuple[float, float]:
    centre = float(np.median(present))
    robust, deviation = spread(present), float(present.std())
    return centre, (robust if robust > 1e-6 * max(deviation, 1e-9) else deviation) or 1.0


def _fit_upper(ordered: Floats, method: TailMethod) -> UpperTail:
    excess = _excess_line(ordered)
    if method == "body":
        return _upper(ordered, [_body_line(ordered, *BODY_ONLY) or excess])
    return _upper(ordered, [excess, _body_line(ordered, *BODY) or excess])


def _upper(ordered: Floats, lines: Sequence[Line | None]) -> UpperTail:
    n = len(ordered)
    positions = np.concatenate([np.linspace(0, n - 1, 65), np.linspace(0.9 * (n - 1), n - 1, 65)])
    knots = np.unique(ordered[np.round(positions).astype(np.int64)])
    above = n - np.searchsorted(ordered, knots, side="left")
    surprises = -np.log10(np.minimum((above + 1) / (n + 1), 1.0))
    return UpperTail(
        knots=tuple(float(knot) for knot in knots),
        surprises=tuple(float(surprise) for surprise in surprises),
        lines=tuple(line for line in lines if line is not None),
    )


def _body_line(ordered: Floats, low: float, high: float) -> Line | None:
    """Slope between two quantiles of the body; None where it is flat, as in zero-inflated data."""
    n = len(ordered)
    start, end = ordered[min(n - 1, int(low * n))], ordered[min(n - 1, int(high * n))]
    slope = float(end - start) / float(np.log((1 - low) / (1 - high)))
    if slope <= MIN_SLOPE:
        return None
    return Line(start=float(end), base=-float(np.log10(1 - high)), slope=slope)


def _shaped_line(ordered: Floats) -> Line | None:
    """Return a generalised Pareto tail from three quantiles; None where two of them are equal.

    From one quantile to the next, a factor e^h rarer, such a law grows e^(shape · h) times faster:
    two growths give the shape, and the second one the slope where the tail begins.
    """
    n = len(ordered)
    low, middle, start = (float(ordered[min(n - 1, int(q * n))]) for q in SHAPE_FROM)
    first, second = (np.log((1 - a) / (1 - b)) for a, b in pairwise(SHAPE_FROM))
    if middle - low <= MIN_SLOPE * first or start - middle <= MIN_SLOPE * second:
        return None
    growth = ((start - middle) / second) / ((middle - low) / first)
    shape = float(np.clip(2 * np.log(growth) / (first + second), *SHAPES))
    slope = (start - middle) / second * np.exp(shape * second / 2)
    return Line(start, -float(np.log10(1 - SHAPE_FROM[-1])), float(slope), shape)


def _excess_line(ordered: Floats) -> Line | None:
    """Mean excess over the 98th percentile, the excesses winsorised at their own 98th."""
    start = float(np.quantile(ordered, EXCESS_FROM))
    excess = ordered[ordered > start] - start
    if len(excess) < MIN_EXCESSES:
        return None
    slope = max(float(np.mean(np.minimum(excess, np.quantile(excess, 0.98)))), MIN_SLOPE)
    return Line(start=start, base=-float(np.log10(len(excess) / len(ordered))), slope=slope)


def _tail_from_json(state: dict[str, Any]) -> UpperTail:
    return UpperTail(
        knots=tuple(state["knots"]),
        surprises=tuple(state["surprises"]),
        lines=tuple(Line(**line) for line in state["lines"]),
    )
