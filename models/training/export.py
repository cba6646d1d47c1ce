"""Writes a forest as ONNX: every row gets scikit-learn's own score, and the same forest gives the same bytes.

A scikit-learn threshold is f64, an ONNX one f32. `x <= threshold` for an f32 `x` keeps its meaning only when the
threshold is rounded *down*: rounded up, an `x` on it would go the other way. `nodes_hitrates` gets each node's training
weight, which explanations of a score need.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

OPSETS = {"": 17, "ai.onnx.ml": 1}
TOLERANCE = 1e-6
SIZE_MAX_BYTES = 5 << 20


def rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """The greatest f32 that is not above each threshold."""
    nearest = thresholds.astype(np.float32)
    above = nearest.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def to_onnx(forest: RandomForestClassifier, name: str) -> onnx.ModelProto:
    inputs = [("features", FloatTensorType([None, forest.n_features_in_]))]
    model = convert_sklearn(forest, name, inputs, target_opset=OPSETS, options={id(forest): {"zipmap": False}})
    patch_trees(model, forest)
    for part in (model, model.graph):
        part.doc_string = ""
    model.producer_name, model.producer_version, model.domain, model.model_version = "davy", "", "", 0
    del model.metadata_props[:]
    # The converter names a domain twice when given its version.
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    onnx.checker.check_model(model)
    return model


def patch_trees(model: onnx.ModelProto, forest: RandomForestClassifier) -> None:
    """Sets thresholds and hit rates from the forest itself, node by node."""
    (ensemble,) = [node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier"]
    given = {attribute.name: attribute for attribute in ensemble.attribute}
    tree_ids, node_ids = list(given["nodes_treeids"].ints), list(given["nodes_nodeids"].ints)
    modes = [mode.decode() for mode in given["nodes_modes"].strings]
    trees = [estimator.tree_ for estimator in forest.estimators_]
    down = [rounded_down(tree.threshold) for tree in trees]
    values, hits = [], []
    for position, (tree, node, mode) in enumerate(zip(tree_ids, node_ids, modes, strict=True)):
        is_leaf = mode == "LEAF"
        same = is_leaf == (trees[tree].children_left[node] == -1)
        same &= is_leaf or given["nodes_featureids"].ints[position] == trees[tree].feature[node]
        if not same:
            raise ValueError(f"tree {tree}, node {node}: the converter numbered nodes in another way")
        values.append(0.0 if is_leaf else float(down[tree][node]))
        hits.append(float(np.float32(trees[tree].weighted_n_node_samples[node])))
    for name, floats in (("nodes_values", values), ("nodes_hitrates", hits)):
        attribute = given.get(name) or ensemble.attribute.add()
        attribute.CopyFrom(onnx.helper.make_attribute(name, floats))


def save(model: onnx.ModelProto, path: Path) -> None:
    content = model.SerializeToString(deterministic=True)
    if len(content) > SIZE_MAX_BYTES:
        raise ValueError(f"{path.name} would have {len(content)} bytes; at most {SIZE_MAX_BYTES} may be committed")
    path.write_bytes(content)


def check(path: Path, forest: RandomForestClassifier, rows: np.ndarray) -> float:
    """The greatest difference between scikit-learn's scores and ONNX Runtime's; fails above TOLERANCE."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = forest.predict_proba(rows)
    worst = 0.0
    for start in range(0, len(rows), 50_000):
        part = slice(start, start + 50_000)
        _, found = session.run(None, {"features": rows[part]})
        worst = max(worst, float(np.abs(found - expected[part]).max()))
    if worst > TOLERANCE:
        raise ValueError(f"{path}: ONNX Runtime's scores differ by {worst:g} from scikit-learn's")
    return worst
