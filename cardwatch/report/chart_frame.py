"""What charts share: frame, colours, axes, layers; and how a specification is compiled.

It is compiled once for all charts that differ in figures only, which halves the time of drawing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

Spec = dict[str, Any]

INK: Final = "#1d2733"
MUTED: Final = "#556070"
GRID: Final = "#e1e6ec"
EARLIER: Final = "#8296ad"
THIS_WEEK: Final = "#c2500c"
USUAL: Final = "#3f74b5"
BAND: Final = "#d8e6f6"
CATEGORY_COLOURS: Final[Mapping[str, str]] = {
    "critical": "#8f1d2c",
    "high": "#d5642a",
    "medium": "#e3ad3f",
}

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_FONT = "Arial, Liberation Sans, sans-serif"
_WIDTH, _HEIGHT = 308, 140
_MARGINS: Final = {"left": 44, "right": 8, "top": 22, "bottom": 24}
_LABEL_EVERY = 6


def compiled(spec: Spec) -> Spec:
    """Return the Vega specification: compiled once for all charts that differ in figures only."""
    aside = ("datasets", "description", "usermeta")
    shape = {key: value for key, value in spec.items() if key not in aside}
    vega: Spec = json.loads(_compiled_shape(json.dumps(shape)))
    for source in vega["data"]:
        if source["name"] in spec["datasets"]:
            source["values"] = spec["datasets"][source["name"]]
    return vega


@lru_cache(maxsize=64)
def _compiled_shape(shape: str) -> str:
    import vl_convert  # when it is used: it takes its time to load

    return json.dumps(vl_convert.vegalite_to_vega(shape))


def frame(title: str, description: str, size: tuple[int, int], margins: Mapping[str, int]) -> Spec:
    """Return what every specification begins with; its data sets and layers are still to come."""
    return {
        "$schema": _SCHEMA,
        "description": description,
        "usermeta": {"title": title},
        "width": size[0],
        "height": size[1],
        "autosize": {"type": "none"},
        "padding": dict(margins),
        "background": "#ffffff",
        "config": {
            "font": _FONT,
            "view": {"stroke": None},
            "bar": {"color": EARLIER},
            "text": {"fontSize": 11, "color": INK},
            "axis": {
                "labelColor": MUTED,
                "labelFontSize": 11,
                "gridColor": GRID,
                "domain": False,
                "ticks": False,
                "labelPadding": 6,
                "title": None,
            },
            "scale": {"bandPaddingInner": 0.28, "bandPaddingOuter": 0.14},
        },
    }


def over_weeks(
    title: str,
    description: str,
    names: Sequence[str],
    layers: Sequence[Spec],
    datasets: Mapping[str, list[Spec]],
) -> Spec:
    """Put layers over an axis of weeks, of which every few are named, the last one always."""
    axis = {"values": names[::-1][::_LABEL_EVERY], "labelAngle": 0, "grid": False}
    x = {"field": "week", "type": "ordinal", "axis": axis, "scale": {"domain": names}}
    for layer in layers:
        if layer["encoding"]["x"].get("field") == "week":
            layer["encoding"]["x"] = x
    return {
        **frame(title, description, (_WIDTH, _HEIGHT), _MARGINS),
        "datasets": dict(datasets),
        "layer": list(layers),
    }


def amounts_axis(field: str) -> Spec:
    """Return an upright axis with two or three round numbers."""
    label = "datum.value === 0 ? '0' : format(datum.value, '~s')"
    return {"field": field, "type": "quantitative", "axis": {"tickCount": 2, "labelExpr": label}}


def said_on_top() -> Spec:
    """Return the last week's figure above everything, where no bar can be in its way."""
    return {
        "data": {"name": "last"},
        "mark": {"type": "text", "align": "right", "fontWeight": "bold", "color": THIS_WEEK},
        "encoding": {
            "x": {"value": _WIDTH},
            "y": {"value": -10},
            "text": {"field": "said", "type": "nominal"},
        },
    }


def missing_runs() -> Spec:
    """Return a dash where a week has no run, which is not the same as nothing found."""
    return {
        "data": {"name": "missing"},
        "mark": {"type": "text", "dy": -6, "color": MUTED},
        "encoding": {
            "x": {"field": "week", "type": "ordinal"},
            "y": {"field": "at", "type": "quantitative"},
            "text": {"field": "said", "type": "nominal"},
        },
    }


def usual_layers() -> list[Spec]:
    """Return the shaded usual range and the dashed usual week."""
    across = {"x": {"value": 0}, "x2": {"value": _WIDTH}}
    band = {
        "data": {"name": "usual"},
        "mark": {"type": "rect", "color": BAND},
        "encoding": {**across, "y": amounts_axis("low"), "y2": {"field": "high"}},
    }
    middle = {
        "data": {"name": "usual"},
        "mark": {"type": "rule", "color": USUAL, "strokeDash": [4, 3]},
        "encoding": {**across, "y": amounts_axis("middle")},
    }
    return [band, middle]
