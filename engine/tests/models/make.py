"""Writes the model that the tests of CREATE FUNCTION call: two trees over two features, small enough to score by hand.

    python3 make.py         needs the package onnx

tree 0: bytes <= 100 ? 0.25 : (gap <= 2.5 ? 0.5 : 1.0)        tree 1: gap <= 10 ? 0.0 : 1.0        score: their mean
"""

import hashlib
import pathlib

from onnx import TensorProto, helper

HERE = pathlib.Path(__file__).parent / "tiny"
LEAF, SPLIT = "LEAF", "BRANCH_LEQ"

# tree, node, mode, feature, threshold, left, right, share of class 1 in a leaf
NODES = [
    (0, 0, SPLIT, 0, 100.0, 1, 2, None),
    (0, 1, LEAF, 0, 0.0, 0, 0, 0.25),
    (0, 2, SPLIT, 1, 2.5, 3, 4, None),
    (0, 3, LEAF, 0, 0.0, 0, 0, 0.5),
    (0, 4, LEAF, 0, 0.0, 0, 0, 1.0),
    (1, 0, SPLIT, 1, 10.0, 1, 2, None),
    (1, 1, LEAF, 0, 0.0, 0, 0, 0.0),
    (1, 2, LEAF, 0, 0.0, 0, 0, 1.0),
]
LEAVES = [(tree, node, share) for tree, node, mode, *_, share in NODES if mode == LEAF]


def model():
    ensemble = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        classlabels_int64s=[0, 1],
        post_transform="NONE",
        nodes_treeids=[node[0] for node in NODES],
        nodes_nodeids=[node[1] for node in NODES],
        nodes_modes=[node[2] for node in NODES],
        nodes_featureids=[node[3] for node in NODES],
        nodes_values=[node[4] for node in NODES],
        nodes_truenodeids=[node[5] for node in NODES],
        nodes_falsenodeids=[node[6] for node in NODES],
        class_treeids=[leaf[0] for leaf in LEAVES for _ in range(2)],
        class_nodeids=[leaf[1] for leaf in LEAVES for _ in range(2)],
        class_ids=[k for _ in LEAVES for k in range(2)],
        class_weights=[share / 2 for leaf in LEAVES for share in (1 - leaf[2], leaf[2])],
    )
    graph = helper.make_graph(
        [ensemble],
        "tiny",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


CARD = """\
format = 1
name = "tiny"
version = "1.0.0"
description = "Two trees, for tests"
model = "model.onnx"
sha256 = "{sha256}"
classes = ["benign", "miner"]
positive = "miner"
threshold = 0.5
not_finite = "null"
tolerance = 0.0

[training]
date = "2026-11-21"
data = ["none: written by hand"]
trainer = "by hand"
command = "python3 engine/tests/models/make.py"

[[features]]
name = "bytes_pp"
unit = "B"
description = "bytes per packet"
edges = [100.0, 1000.0]
shares = [0.5, 0.25, 0.25]

[[features]]
name = "gap_s"
unit = "s"
description = "seconds between flows"

[[golden]]
features = [100.0, 10.0]
score = 0.125

[[golden]]
features = [100.5, 2.5]
score = 0.25

[[golden]]
features = [1500.0, 60.0]
score = 1.0
"""

if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    data = model()
    (HERE / "model.onnx").write_bytes(data)
    (HERE / "card.toml").write_text(CARD.format(sha256=hashlib.sha256(data).hexdigest()))
