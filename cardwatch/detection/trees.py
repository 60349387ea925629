"""The trees of an isolation forest as plain arrays: stored as JSON, walked fast, credited exactly.

A tree isolates a customer by random splits; an unusual customer is alone after few. With c(n) the
mean number of splits that isolate one of n customers, a split that leads from a node of n to one
of m customers spared c(n) - 1 - c(m) splits. That is the credit of the feature it splits on. Along
a path the credits telescope to c(root) - h, h being the path length, so that the credits of the
features add up to the evidence of the score exactly.

References
----------
F. T. Liu, K. M. Ting, Z.-H. Zhou (2008), Isolation Forest, ICDM, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.tree._tree import NODE_DTYPE, Tree

from cardwatch.detection.artefact import pack, unpack
from cardwatch.errors import ModelError

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_TYPES = {
    "nodes": "<i4",
    "feature": "<i4",
    "threshold": "<f8",
    "left": "<i4",
    "right": "<i4",
    "samples": "<i4",
    "missing_left": "|u1",
}
_LEAF = -1


@dataclass(frozen=True)
class Trees:
    """Every node of every tree, tree after tree, a parent before its children.

    Attributes
    ----------
    nodes : ndarray, shape (trees,)
        Nodes per tree.
    feature : ndarray, shape (sum of nodes,)
        Column that the node splits on; -2 in a leaf.
    threshold : ndarray, shape (sum of nodes,)
        A value up to it goes left.
    left, right : ndarray, shape (sum of nodes,)
        Children, counted from the tree's first node; -1 in a leaf.
    samples : ndarray, shape (sum of nodes,)
        Customers of the fit that reached the node.
    missing_left : ndarray, shape (sum of nodes,)
        Whether a missing value goes left.
    """

    nodes: Integers
    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    samples: Integers
    missing_left: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, forest: IsolationForest) -> Trees:
        """Take the trees out of a fitted scikit-learn forest."""
        trees = [estimator.tree_ for estimator in forest.estimators_]

        def joined(attribute: str) -> npt.NDArray[Any]:
            return np.concatenate([getattr(tree, attribute) for tree in trees])

        return cls(
            nodes=np.array([tree.node_count for tree in trees]),
            feature=joined("feature"),
            threshold=joined("threshold"),
            left=joined("children_left"),
            right=joined("children_right"),
            samples=joined("n_node_samples"),
            missing_left=joined("missing_go_to_left"),
        )

    def state(self) -> dict[str, Any]:
        """Return the arrays as JSON."""
        return {name: pack(getattr(self, name), kind) for name, kind in _TYPES.items()}

    @classmethod
    def from_state(cls, state: object, columns: int) -> Trees:
        """Read the arrays back, and check that they are trees over that many columns.

        Raises
        ------
        ModelError
            If an array is missing, damaged, or the arrays do not make trees.
        """
        if not isinstance(state, Mapping):
            raise _no_trees("no arrays")
        arrays = {name: unpack(state.get(name)) for name in _TYPES}
        if any(array.dtype.str != _TYPES[name] for name, array in arrays.items()):
            raise _no_trees("arrays of other types")
        wide = {"threshold": np.float64, "missing_left": np.uint8}
        trees = cls(**{key: item.astype(wide.get(key, np.int64)) for key, item in arrays.items()})
        trees._check(columns)
        return trees

    def credits(self, group_of: Sequence[int], groups: int) -> Floats:
        """Return the splits spared on the way to each node, per group of features.

        Parameters
        ----------
        group_of : sequence of int, length columns
            The group of each column.
        groups : int
            How many groups there are.

        Returns
        -------
        ndarray, shape (sum of nodes, groups)
            Unit: splits. The sum over groups is c(root) - h(node).
        """
        mean_length = average_path_length(self.samples)
        credit = np.zeros((len(self.samples), groups))
        group = np.asarray(group_of)
        first = np.repeat(self.offsets(), self.nodes)
        level = self.offsets()
        while level.size:
            parents = level[self.left[level] != _LEAF]
            for side in (self.left, self.right):
                children = side[parents] + first[parents]
                credit[children] = credit[parents]
                spared = mean_length[parents] - 1.0 - mean_length[children]
                credit[children, group[self.feature[parents]]] += spared
            level = np.concatenate(
                [side[parents] + first[parents] for side in (self.left, self.right)]
            )
        return credit

    def walkers(self, columns: int) -> Iterator[Any]:
        """Yield scikit-learn's compiled tree for each tree; ``apply(rows)`` gives the leaves.

        Parameters
        ----------
        columns : int
            Width of the float32 rows that will be walked.

        Raises
        ------
        ModelError
            If the installed scikit-learn lays its nodes out in another way.
        """
        layout = {"left_child", "right_child", "feature", "threshold", "missing_go_to_left"}
        if not layout <= set(NODE_DTYPE.names):
            raise ModelError(
                "The installed scikit-learn cannot walk stored trees",
                observed="another layout of its tree nodes",
                next_step="Install the version that requirements.txt pins",
            )
        for start, count in zip(self.offsets(), self.nodes, strict=True):
            part = slice(start, start + count)
            node = np.zeros(count, dtype=NODE_DTYPE)
            node["left_child"], node["right_child"] = self.left[part], self.right[part]
            node["feature"], node["threshold"] = self.feature[part], self.threshold[part]
            node["missing_go_to_left"] = self.missing_left[part]
            tree = Tree(columns, np.array([1], dtype=np.intp), 1)
            values = np.zeros((count, 1, 1))
            tree.__setstate__(
                {"max_depth": 0, "node_count": count, "nodes": node, "values": values}
            )
            yield tree

    def offsets(self) -> Integers:
        """Return where each tree begins."""
        return np.cumsum(self.nodes) - self.nodes

    def _check(self, columns: int) -> None:
        total = len(self.feature)
        sizes = {len(getattr(self, name)) for name in _TYPES if name != "nodes"}
        if sizes != {total} or not self.nodes.size or self.nodes.min() < 1:
            raise _no_trees("arrays of different lengths")
        if int(self.nodes.sum()) != total:
            raise _no_trees("arrays of different lengths")
        first = np.repeat(self.offsets(), self.nodes)
        place = np.arange(total) - first
        size = np.repeat(self.nodes, self.nodes)
        inner = self.left != _LEAF
        left, right = self.left[inner], self.right[inner]
        within = (left > place[inner]) & (right > left) & (right < size[inner])
        known = (self.feature[inner] >= 0) & (self.feature[inner] < columns)
        if not (within.all() and known.all() and (self.right[~inner] == _LEAF).all()):
            raise _no_trees("nodes that point outside their tree")
        below = self.samples[left + first[inner]] + self.samples[right + first[inner]]
        if self.samples.min() < 1 or (below != self.samples[inner]).any():
            raise _no_trees("nodes whose customers do not add up")


def average_path_length(samples: npt.ArrayLike) -> Floats:
    """Return c(n), the mean number of splits that isolate one of n customers.

    Examples
    --------
    >>> average_path_length([1, 2, 256]).round(4).tolist()
    [0.0, 1.0, 10.2448]
    """
    n = np.maximum(np.asarray(samples, dtype=np.float64), 1.0)
    many = np.maximum(n, 3.0)
    length = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(n > 2.0, length, n - 1.0)


def _no_trees(observed: str) -> ModelError:
    return ModelError(
        "The stored isolation forest cannot be used",
        observed=observed,
        expected="whole trees over the features it was fitted on",
        next_step="Fit the detector again",
    )
