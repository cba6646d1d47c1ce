"""What the models are compared with: the forest of the Cryptomining Detection System, on the same rows."""

import gzip
import json
from pathlib import Path

import numpy as np

THRESHOLD = 0.7


class CdsForest:
    """50 trees of depth 20 over the 13 features of `cds_flow`; votes are summed in f64."""

    def __init__(self, path: Path):
        with gzip.open(path) as file:
            content = json.load(file)
        self.trees = [
            tuple(np.asarray(tree[name]) for name in ("children_left", "children_right", "feature", "threshold"))
            + (shares(tree["value"]),)
            for tree in content["trees"]
        ]

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """`rows` are f32 and compared with f64 thresholds, as scikit-learn does."""
        return sum(walk(tree, rows) for tree in self.trees) / len(self.trees)


def shares(value: list) -> np.ndarray:
    """The share of class 1 in each node."""
    counts = np.asarray(value, dtype=np.float64).reshape(len(value), -1)
    return counts[:, 1] / counts.sum(axis=1)


def walk(tree: tuple, rows: np.ndarray) -> np.ndarray:
    left, right, feature, threshold, share = tree
    node = np.zeros(len(rows), dtype=np.int64)
    everyone = np.arange(len(rows))
    while True:
        inner = left[node] != -1
        if not inner.any():
            return share[node]
        goes_left = rows[everyone, np.where(inner, feature[node], 0)] <= threshold[node]
        following = np.where(goes_left, left[node], right[node])
        node = np.where(inner, following, node)
