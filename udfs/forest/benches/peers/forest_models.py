"""Makes the models and rows of benches/score.rs and forest_peers.py, the same on every machine with the same scikit-learn.

    python forest_models.py [folder] [name…]        default folder: ~/.cache/davy/bench-models; default names: all

For each model, e.g. f8-d16: f8-d16.onnx (skl2onnx) and f8-d16.forest, a dump of that ONNX file's trees which the bench loads
(little endian: "FOREST1\0", u32 features, u32 trees; for each tree u32 n, then n each of i32 feature (-1: a leaf),
f32 threshold, u32 left, u32 right, f32 value). For each number of features: rows-f8.f32, 65,536 rows, column after column.
Needs numpy, scikit-learn, skl2onnx, onnx.
"""

import pathlib
import struct
import sys

import numpy as np

N_TRAIN = 150_000
N_ROWS = 65_536
N_TREES = 100
MODELS = [(8, 8), (8, 10), (8, 16), (8, 20), (8, None), (24, 8), (24, 16), (24, None)]


def name_of(n_features, depth):
    return f"f{n_features}-d{depth or 'max'}"


def rows(n_features, n, seed):
    """Heavy-tailed columns, as counters and durations are: log-normal, Pareto, and counts."""
    random = np.random.default_rng(seed)
    kinds = [
        lambda: random.lognormal(3, 2, n),
        lambda: random.pareto(1.2, n) * 10,
        lambda: random.exponential(50, n),
        lambda: random.geometric(0.01, n).astype(float),
    ]
    columns = [kinds[index % len(kinds)]() for index in range(n_features)]
    return np.stack(columns, axis=1).astype(np.float32)


def labels(x, seed):
    """A noisy rule over all columns, so that fully grown trees become large."""
    random = np.random.default_rng(seed)
    z = np.log1p(x)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    score = np.sin(2 * z[:, 0]) + z[:, 1] * z[:, 2] + np.abs(z[:, 3]) - z[:, 4:].mean(axis=1)
    return (score + random.normal(0, 1.2, len(x)) > np.median(score)).astype(np.int64)


def train(n_features, depth):
    from sklearn.ensemble import RandomForestClassifier

    x = rows(n_features, N_TRAIN, 1)
    forest = RandomForestClassifier(N_TREES, max_depth=depth, n_jobs=2, random_state=1)
    return forest.fit(x, labels(x, 2)), x


def to_onnx(forest, n_features):
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    options = {id(forest): {"zipmap": False}}
    inputs = [("input", FloatTensorType([None, n_features]))]
    return convert_sklearn(forest, initial_types=inputs, options=options, target_opset={"": 18, "ai.onnx.ml": 3})


def dump(model, n_features):
    import onnx

    (node,) = [node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier"]
    get = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    trees, ids = np.array(get["nodes_treeids"]), np.array(get["nodes_nodeids"])
    # Two classes with one weight a leaf: that of class 1, whatever the id.
    assert 1 == len(set(get["class_ids"])) and b"NONE" == get["post_transform"]
    begins = np.concatenate([np.flatnonzero(np.diff(trees, prepend=-1)), [len(trees)]])
    assert (ids == np.arange(len(ids)) - begins[trees]).all()
    value = np.zeros(len(trees), np.float32)
    value[begins[np.array(get["class_treeids"])] + np.array(get["class_nodeids"])] = get["class_weights"]
    modes = np.array(get["nodes_modes"])
    assert {b"LEAF", b"BRANCH_LEQ"} == set(modes)
    feature = np.where(modes == b"LEAF", -1, get["nodes_featureids"]).astype("<i4")
    columns = [feature, np.array(get["nodes_values"], "<f4"), np.array(get["nodes_truenodeids"], "<u4"),
               np.array(get["nodes_falsenodeids"], "<u4"), value]
    parts = [b"FOREST1\0", struct.pack("<II", n_features, len(begins) - 1)]
    for begin, end in zip(begins, begins[1:]):
        parts.append(struct.pack("<I", end - begin))
        parts += [column[begin:end].tobytes() for column in columns]
    return b"".join(parts)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "~/.cache/davy/bench-models").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    for n_features, depth in MODELS:
        name = name_of(n_features, depth)
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        (folder / f"rows-f{n_features}.f32").write_bytes(rows(n_features, N_ROWS, 3).T.tobytes())
        forest, _ = train(n_features, depth)
        model = to_onnx(forest, n_features)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        (folder / f"{name}.forest").write_bytes(dump(model, n_features))
        print(name, "nodes:", sum(tree.tree_.node_count for tree in forest.estimators_))


main()
