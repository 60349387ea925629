"""A drawing as a page wants it: no more than it shows, scaling, and readable to everybody."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Final

SHAPES: Final = frozenset({"svg", "g", "path", "line", "rect", "circle", "text"})
"""Elements that stay; a drawing of ours has no other."""
ATTRIBUTES: Final = frozenset(
    {
        "viewBox",
        "transform",
        "d",
        "x",
        "y",
        "x2",
        "y2",
        "width",
        "height",
        "fill",
        "stroke",
        "stroke-width",
        "stroke-dasharray",
        "opacity",
        "font-size",
        "font-weight",
        "text-anchor",
    }
)
"""Attributes that stay: none of them can name an address, a script or an identifier."""

_IMPLIED = frozenset({("opacity", "1"), ("stroke-width", "1"), ("text-anchor", "start")})
_DIGITS = re.compile(r"-?[0-9]+\.[0-9]+(?:e-?[0-9]+)?")
_NAMESPACE = "{http://www.w3.org/2000/svg}"


def slim(drawing: str, name: str, *, title: str, description: str) -> str:
    """Return a drawing as an image for a page, with a title and a text alternative.

    What only tells programs how it was made is left away, which is most of it, and so are its
    background and its fonts, which are the page's.

    Parameters
    ----------
    drawing : str
        An SVG document.
    name : str
        Unique on the page; the names of title and text alternative begin with it.
    """
    root = ET.fromstring(drawing)
    root.tag = root.tag.removeprefix(_NAMESPACE)
    _keep_only_what_shows(root)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title {name}-text"}
    for position, (tag, suffix, words) in enumerate(
        (("title", "title", title), ("desc", "text", description))
    ):
        element = ET.Element(tag, {"id": f"{name}-{suffix}"})
        element.text = words
        root.insert(position, element)
    return ET.tostring(root, encoding="unicode")


def _keep_only_what_shows(element: ET.Element) -> None:
    element.attrib = {
        key: _DIGITS.sub(_rounded, value)
        for key, value in element.attrib.items()
        if key in ATTRIBUTES and (key, value) not in _IMPLIED
    }
    element.tail = None
    kept: list[ET.Element] = []
    for child in element:
        child.tag = child.tag.removeprefix(_NAMESPACE)
        if child.tag not in SHAPES:
            continue
        _keep_only_what_shows(child)
        if _is_plain_group(child):
            kept += child
        elif _is_seen(child):
            kept.append(child)
    element[:] = kept


def _is_plain_group(element: ET.Element) -> bool:
    """Whether a group does nothing to what is in it."""
    if element.tag != "g":
        return False
    moves = element.get("transform", "translate(0,0)") != "translate(0,0)"
    return not moves and set(element.attrib) <= {"transform"}


def _is_seen(element: ET.Element) -> bool:
    match element.tag:
        case "g":
            return len(element) > 0
        case "text":
            return bool(element.text)
        case "path":
            painted = element.get("fill"), element.get("stroke")
            return bool(element.get("d")) and any(each not in (None, "none") for each in painted)
        case "rect":
            return False  # the background
        case _:
            return True


def _rounded(number: re.Match[str]) -> str:
    """Round to a hundredth of a pixel, which no eye sees and no processor computes otherwise."""
    return f"{round(float(number[0]), 2) + 0.0:g}"
