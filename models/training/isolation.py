"""Trains an isolation forest on benign flows alone, and writes it as ONNX: how unusual a flow is, from 0 to 1.

It stands in front of a classifier in `pipelines/option_c.sql`. The counts and rates of flows span nine decades, so the forest
is grown on their logarithms. The model that is written takes the numbers themselves: a threshold on a logarithm is a
threshold on the number, and the greatest f32 that stays below it is found exactly.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from onnx import TensorProto, helper
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length

from . import card, data, export, features, forest

RECIPE = forest.Recipe(
    name="anomaly_flow",
    features=features.FLOW_FEATURES,
    unit=["row"],
    # The share of benign flows that pass the filter: a smaller one spares the forest behind it more, and loses more miners.
    false_alarm_goal=0.5,
    goal_without=[],
    threshold_min=0.0,
    n_inner_folds=0,
    renderings=data.FLOW_RENDERINGS,
    rows_max=700,
    parameters={"n_estimators": 50, "max_samples": 256},
    score_range=(0.37, 0.75),
)
# The greatest finite f32, as an integer: f32 numbers from 0 on are in the order of their bits.
GREATEST_BITS = 0x7F7FFFFF
N_BITS = 31


@dataclass(frozen=True)
class Isolation:
    """A fitted forest; `predict_proba` as classifiers have it: usual, unusual."""

    trees: IsolationForest

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        unusual = -self.trees.score_samples(logarithms(rows))
        return np.stack([1 - unusual, unusual], axis=1)

    def __repr__(self) -> str:
        return f"{' '.join(repr(self.trees).split())} on log1p of the features"


def edge(model: Isolation) -> card.Edge:
    """The first tree's first split, on the number itself."""
    root = model.trees.estimators_[0].tree_
    return card.Edge(int(root.feature[0]), float(of_numbers(root.threshold[:1])[0]))


def logarithms(rows: np.ndarray) -> np.ndarray:
    return np.log1p(rows.astype(np.float64)).astype(np.float32)


def scores(model: Isolation, table: pd.DataFrame, recipe: forest.Recipe) -> np.ndarray:
    return model.predict_proba(forest.matrix(table, recipe))[:, 1]


def benign(table: pd.DataFrame, recipe: forest.Recipe) -> pd.DataFrame:
    """The rows that teach it: no miner is among them."""
    return recipe.sample(table[recipe.trains_on(table) & ~forest.is_miner(table)])


def fit(rows: pd.DataFrame, recipe: forest.Recipe) -> Isolation:
    """`rows`: those of `benign`."""
    trees = IsolationForest(random_state=forest.SEED, n_jobs=1, **recipe.parameters)
    return Isolation(trees.fit(logarithms(forest.matrix(rows, recipe)), sample_weight=forest.weights(rows)))


def threshold(model: Isolation, rows: pd.DataFrame, recipe: forest.Recipe, share: float) -> float:
    """From this score on a flow passes: so does this share of benign rows, each source by its weight."""
    score = scores(model, rows, recipe)
    order = np.argsort(-score, kind="stable")
    passed = np.cumsum(forest.weights(rows)[order])
    return round(float(score[order][np.searchsorted(passed, share * passed[-1])]), 3)


def of_numbers(thresholds: np.ndarray) -> np.ndarray:
    """For each threshold on a logarithm the greatest f32 whose logarithm is not above it."""
    low, high = np.zeros(len(thresholds), np.int64), np.full(len(thresholds), GREATEST_BITS, np.int64)
    for _ in range(N_BITS):
        middle = (low + high + 1) // 2
        below = logarithms(middle.astype(np.int32).view(np.float32)) <= thresholds
        low, high = np.where(below, middle, low), np.where(below, high, middle - 1)
    return low.astype(np.int32).view(np.float32)


def path_lengths(tree) -> np.ndarray:
    """Of each node: the splits from the root to it, and those that its rows would still have needed."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child != -1:
                depth[child] = depth[node] + 1
    return depth + _average_path_length(tree.n_node_samples)


def to_onnx(model: Isolation, name: str) -> onnx.ModelProto:
    """2 to the power of minus the mean path length, as a share of the expected one: scikit-learn's `-score_samples`."""
    trees = [estimator.tree_ for estimator in model.trees.estimators_]
    expected = len(trees) * _average_path_length([model.trees.max_samples_])[0]
    lists: dict[str, list] = {key: [] for key in NODE_LISTS + LEAF_LISTS}
    for number, tree in enumerate(trees):
        is_leaf = tree.children_left == -1
        nodes = np.arange(tree.node_count)
        # An index instead of -2, and 0 instead of a child, where a leaf has none.
        lists["nodes_treeids"] += [number] * tree.node_count
        lists["nodes_nodeids"] += nodes.tolist()
        lists["nodes_featureids"] += np.where(is_leaf, 0, tree.feature).tolist()
        lists["nodes_modes"] += np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist()
        lists["nodes_values"] += np.where(is_leaf, 0, of_numbers(tree.threshold)).astype(np.float32).tolist()
        lists["nodes_truenodeids"] += np.where(is_leaf, 0, tree.children_left).tolist()
        lists["nodes_falsenodeids"] += np.where(is_leaf, 0, tree.children_right).tolist()
        lists["target_treeids"] += [number] * int(is_leaf.sum())
        lists["target_nodeids"] += nodes[is_leaf].tolist()
        lists["target_ids"] += [0] * int(is_leaf.sum())
        lists["target_weights"] += (-path_lengths(tree)[is_leaf] / expected).astype(np.float32).tolist()
    power = {"n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE"}
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["exponent"], domain="ai.onnx.ml", **power, **lists
    )
    base = helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])
    graph = helper.make_graph(
        [ensemble, helper.make_node("Pow", ["two", "exponent"], ["score"])],
        name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, model.trees.n_features_in_])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [base],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in export.OPSETS.items()]
    result = helper.make_model(graph, producer_name="davy", opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(result)
    return result


NODE_LISTS = [
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
]
LEAF_LISTS = ["target_treeids", "target_nodeids", "target_ids", "target_weights"]


def check(path: Path, model: Isolation, rows: np.ndarray) -> float:
    """The greatest difference between scikit-learn's scores and ONNX Runtime's; fails above the exporter's tolerance."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"features": rows})
    worst = float(np.abs(found[:, 0] - model.predict_proba(rows)[:, 1]).max())
    if worst > export.TOLERANCE:
        raise ValueError(f"{path}: ONNX Runtime's scores differ by {worst:g} from scikit-learn's")
    return worst
