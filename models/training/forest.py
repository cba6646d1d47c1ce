"""Trains a forest and chooses its threshold, both from training rows alone."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from . import splits

SEED = 20261121
# Probes of pools, P2P nodes of currencies and unlabelled networks are scored, but teach nothing.
TRAINED_LABELS = ["miner", "benign"]


@dataclass(frozen=True)
class Recipe:
    """How one of the models is made; the same for the shipped model and for every model of the evaluation."""

    name: str
    features: list[str]
    # A tested unit: what an analyst would get one alarm for. Its score is the greatest of its rows.
    unit: list[str]
    # The share of benign units that may be false alarms when the threshold is chosen.
    false_alarm_goal: float
    # Sources whose units do not count for the goal.
    goal_without: list[str]
    threshold_min: float
    n_inner_folds: int
    # Renderings that are trained on, and at most so many rows of each source and label in them.
    renderings: list[str]
    rows_max: int
    parameters: dict = field(default_factory=dict)
    # Between which scores golden rows are spread.
    score_range: tuple[float, float] = (0.0, 1.0)

    def with_features(self, features: list[str]) -> "Recipe":
        return replace(self, features=features)

    def trains_on(self, table: pd.DataFrame) -> np.ndarray:
        """Rows of a known label, in the renderings that are trained on."""
        return (table.label.isin(TRAINED_LABELS) & table.rendering.isin(self.renderings)).to_numpy()

    def sample(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows that are trained on: a few of each kind suffice where a source has many alike."""
        order = np.random.default_rng(SEED).permutation(len(table))
        shuffled = table.iloc[order]
        nth = shuffled.groupby(["source", "label", "rendering"]).cumcount()
        return shuffled[nth < self.rows_max].sort_index()

    def new_forest(self) -> RandomForestClassifier:
        return RandomForestClassifier(random_state=SEED, n_jobs=1, **self.parameters)


def matrix(table: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """Features as the model's door gets them: f64 cast to f32."""
    return table[recipe.features].to_numpy(np.float64).astype(np.float32)


def is_miner(table: pd.DataFrame) -> np.ndarray:
    return (table.label == "miner").to_numpy()


def weights(table: pd.DataFrame) -> np.ndarray:
    """Shares of the training, per label: a capture with 100 times the rows of another counts ten times as much, and so
    does a source with 100 times the captures.
    """
    n_rows = table.groupby(["source", "capture", "label"]).label.transform("size").to_numpy(np.float64)
    n_captures = table.groupby(["source", "label"]).capture.transform("nunique").to_numpy(np.float64)
    weight = 1 / np.sqrt(n_rows * n_captures)
    return weight / weight.mean()


def fit(table: pd.DataFrame, recipe: Recipe) -> RandomForestClassifier:
    table = recipe.sample(table)
    return recipe.new_forest().fit(matrix(table, recipe), is_miner(table), sample_weight=weights(table))


def scores(forest: RandomForestClassifier, table: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    return forest.predict_proba(matrix(table, recipe))[:, 1]


def out_of_fold(table: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """Each row's score by a forest that saw nothing of the row's capture."""
    folds = splits.capture_folds(table, recipe.n_inner_folds, SEED)
    result = np.zeros(len(table))
    for fold in range(recipe.n_inner_folds):
        test = folds == fold
        result[test] = scores(fit(table[~test], recipe), table[test], recipe)
    return result


def threshold(table: pd.DataFrame, score: np.ndarray, recipe: Recipe) -> float:
    """The least threshold, in steps of 0.01, at which the share of benign units that are alarms meets the goal."""
    counts = ~is_miner(table) & ~table.source.isin(recipe.goal_without).to_numpy()
    benign = table[counts][recipe.unit].assign(score=score[counts])
    if benign.empty:
        raise ValueError(f"{recipe.name}: no benign rows to choose a threshold by")
    units = benign.groupby(recipe.unit, sort=False).score.max().to_numpy()
    for step in range(round(recipe.threshold_min * 100), 100):
        if np.mean(units >= step / 100) <= recipe.false_alarm_goal:
            return step / 100
    return 0.99
