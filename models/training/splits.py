"""Decides what is trained on and what is tested on: whole captures, with all their windows and renderings."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

N_FOLDS = 5


def capture_ids(table: pd.DataFrame) -> np.ndarray:
    return (table.source + "/" + table.capture).to_numpy()


def capture_folds(table: pd.DataFrame, n_folds: int = N_FOLDS, seed: int = 0) -> np.ndarray:
    """The fold of each row. Captures are dealt out source by source and label by label, so that folds are alike."""
    ids = capture_ids(table)
    first = pd.DataFrame({"id": ids, "source": table.source.to_numpy(), "miner": (table.label == "miner").to_numpy()})
    kinds = first.groupby("id").agg(source=("source", "first"), miner=("miner", "any")).sort_index()
    random = np.random.default_rng(seed)
    shuffled = kinds.iloc[random.permutation(len(kinds))].sort_values(["miner", "source"], kind="stable")
    fold_of = pd.Series(np.arange(len(shuffled)) % n_folds, index=shuffled.index)
    return fold_of[ids].to_numpy()


def by_capture(table: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Name and test rows of each fold: every capture is tested once, by a model that saw nothing of it."""
    folds = capture_folds(table)
    for fold in range(N_FOLDS):
        yield f"fold {fold + 1}", folds == fold


def by_source(table: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Name and test rows of each source: tested by a model that saw nothing of that network."""
    for source in sorted(table.source.unique()):
        yield source, (table.source == source).to_numpy()


def check_apart(table: pd.DataFrame, test: np.ndarray) -> None:
    shared = set(capture_ids(table[test])) & set(capture_ids(table[~test]))
    if shared:
        raise ValueError(f"captures on both sides of a split: {sorted(shared)[:3]}")
