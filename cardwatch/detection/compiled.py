"""Walks an isolation forest in compiled code; scikit-learn's own walk gives the same leaves.

A tree's nodes lie level by level, siblings side by side, so that a step is one comparison and one
addition: a node's left child is `left`, its right child the node after. A leaf is its own left
child and every value goes left there, so that all rows of a tree take the same number of steps and
no branch is guessed wrong. Several rows walk in turn, which keeps the processor busy while it waits
for memory.

Numba compiles the walk when it is first used, in a second; nothing is kept on disk, so that an
installation may be read-only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import uint64

from cardwatch.detection.trees import Floats, Integers, Singles, Trees

WORTHWHILE_STEPS = 50_000_000
"""Rows times trees from which on compiling the walk costs less time than it saves."""

_SIDE_BY_SIDE = 16
_TILE_ROWS = 2_048
"""Rows walked through every tree before the next ones: few enough to stay in the cache."""
_NODE = np.dtype([("threshold", np.float32), ("column", np.uint32), ("left", np.uint32)])


def is_installed() -> bool:
    """Return whether the library that compiles the walk is there; the extra ``forest`` has it."""
    return find_spec("numba") is not None


@dataclass(frozen=True)
class CompiledForest:
    """Trees laid out to be walked, and what each leaf is worth.

    Attributes
    ----------
    nodes : ndarray of _NODE
        Tree after tree; `column` counts the columns twice (see `_twice`).
    credits : ndarray, shape (nodes, groups)
        What a row that ends in the node is credited with.
    roots, depths : ndarray, shape (trees,)
        Where each tree begins, and how many steps lead to its deepest leaf.
    """

    nodes: npt.NDArray[Any]
    credits: Floats
    roots: npt.NDArray[np.uint64]
    depths: Integers

    @classmethod
    def of(cls, trees: Trees, credits: Floats, columns: int) -> CompiledForest:
        """Lay trees out; `credits` has a row for each of their nodes, in their order."""
        order, depths = _by_level(trees)
        first = np.repeat(trees.offsets(), trees.nodes)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        inner = trees.left[order] >= 0
        left = np.where(inner, trees.left[order] + first[order], order)
        goes_left = (trees.missing_left[order] == 1) | ~inner
        nodes = np.empty(len(order), _NODE)
        nodes["threshold"] = np.where(inner, _rounded_down(trees.threshold[order]), np.inf)
        nodes["column"] = np.where(inner, trees.feature[order], 0) + columns * goes_left
        nodes["left"] = place[left]
        return cls(nodes, credits[order], trees.offsets().astype(np.uint64), depths)

    def sums(self, rows: Singles) -> Floats:
        """Return each row's credits, summed tree after tree, shape (rows, groups)."""
        total = np.zeros((len(rows), self.credits.shape[1]))
        for at in range(0, len(rows), _TILE_ROWS):
            tile = slice(at, at + _TILE_ROWS)
            forest = self.nodes, self.credits, self.roots, self.depths
            _compiled()(*forest, _twice(rows[tile]), total[tile])
        return total


def _by_level(trees: Trees) -> tuple[Integers, Integers]:
    """Return the nodes tree by tree and level by level, siblings together; and the depths."""
    first = np.repeat(trees.offsets(), trees.nodes)
    tree = np.repeat(np.arange(len(trees.nodes)), trees.nodes)
    depths = np.zeros(len(trees.nodes), np.int64)
    levels = [trees.offsets()]
    while True:
        parents = levels[-1][trees.left[levels[-1]] >= 0]
        if not parents.size:
            break
        depths[tree[parents]] = len(levels)
        children = np.stack([trees.left[parents], trees.right[parents]], axis=1)
        levels.append((children + first[parents][:, None]).ravel())
    nodes = np.concatenate(levels)
    return nodes[np.argsort(tree[nodes], kind="stable")], depths


def _rounded_down(thresholds: Floats) -> Singles:
    """Return the largest float32 up to each threshold: the same float32 values go left of it."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)


def _twice(rows: Singles) -> Singles:
    """Return the columns twice: a missing value goes right in the first, left in the second."""
    return np.hstack([rows, np.where(np.isnan(rows), np.float32(-np.inf), rows)])


@cache
def _compiled() -> Callable[..., None]:
    from numba import njit

    walk: Callable[..., None] = njit(nogil=True)(_walk)
    return walk


def _walk(
    nodes: npt.NDArray[Any],
    credits: Floats,
    roots: npt.NDArray[np.uint64],
    depths: Integers,
    rows: Singles,
    total: Floats,
) -> None:
    """Add to `total` the credits of the leaf that each row reaches in each tree, in order.

    Unsigned indices spare the check for negative ones.
    """
    many, groups, width = uint64(rows.shape[0]), credits.shape[1], uint64(_SIDE_BY_SIDE)
    node = np.zeros(_SIDE_BY_SIDE, np.uint64)
    for tree in range(len(depths)):
        begin = uint64(0)
        while begin < many:
            abreast = min(width, many - begin)
            node[:] = roots[tree]
            for _ in range(depths[tree]):
                for i in range(abreast):
                    here = nodes[node[i]]
                    value = rows[begin + uint64(i), uint64(here.column)]
                    node[i] = uint64(here.left) + uint64(not value <= here.threshold)
            for i in range(abreast):
                for group in range(groups):
                    total[begin + uint64(i), uint64(group)] += credits[node[i], uint64(group)]
            begin += width
