#!/usr/bin/env python3
"""Makes the packages that the tests load: small models of each kind, with the trainer's own scores as golden rows.

Run it in an environment with scikit-learn, skl2onnx, onnx, onnxmltools and xgboost (versions are written into the cards):

    python3 udfs/forest/tests/it/make_packages.py

Seeds are fixed; what changes between versions of the trainers is committed with the packages.
"""

import hashlib
import json
import pathlib
import warnings

import numpy as np
import onnx
import skl2onnx
import sklearn
import xgboost
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
FOLDER = pathlib.Path(__file__).parent / "packages"
N_FEATURES = 5


def data():
    rng = np.random.default_rng(7)
    x = np.exp(rng.normal(scale=2, size=(200, N_FEATURES))).astype(np.float32)
    x[:, 3] = np.round(x[:, 3])
    noise = rng.random(200) < 0.1
    y = ((x[:, 0] > 1) & (x[:, 1] < x[:, 3] + 2)) ^ noise
    return x, y.astype(int), y.astype(int) + (x[:, 4] > 2)


def golden_rows(x, model):
    """Random rows, and rows that sit on thresholds, where a wrong rounding shows."""
    rng = np.random.default_rng(8)
    rows = list(x[:6]) + list(np.exp(rng.normal(scale=3, size=(6, N_FEATURES))).astype(np.float32))
    trees = [np.ravel(tree)[0] for tree in np.ravel(getattr(model, "estimators_", []))]
    for tree in trees[:8]:
        row = x[rng.integers(len(x))].copy()
        feature, threshold = tree.tree_.feature[0], tree.tree_.threshold[0]
        if feature >= 0:
            row[feature] = np.float32(threshold)
            rows.append(row)
    return np.array(rows, dtype=np.float32)


def as_json(model):
    """The forest as the importer takes it."""
    fields = ["children_left", "children_right", "feature", "threshold"]

    def tree(estimator):
        parts = estimator.tree_
        lists = {field: getattr(parts, field).tolist() for field in fields}
        return lists | {"weighted": parts.weighted_n_node_samples.tolist(), "value": parts.value[:, 0, :].tolist()}

    params = {"n_estimators": model.n_estimators, "max_depth": model.max_depth, "_sklearn_version": sklearn.__version__}
    return {"n_features": model.n_features_in_, "trees": [tree(e) for e in model.estimators_], "params": params}


def quote(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(name, trainer, proto, rows, scores, classes, positive, tolerance):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for text in (proto.producer_version, proto.doc_string):
        assert len(text) < 200, text
    model = proto.SerializeToString()
    (folder / "model.onnx").write_bytes(model)
    lines = [
        "format = 1",
        f"name = {quote(name)}",
        'version = "1.0.0"',
        'description = "A small model for the tests of the loader."',
        'model = "model.onnx"',
        f"sha256 = {quote(hashlib.sha256(model).hexdigest())}",
        f"classes = [{', '.join(map(quote, classes))}]",
        f"positive = {quote(positive)}",
        "threshold = 0.5",
        'not_finite = "null"',
        f"tolerance = {tolerance}",
        "",
        "[training]",
        'date = "2026-11-21"',
        'data = ["made up by make_packages.py; no licence needed"]',
        f"trainer = {quote(trainer)}",
        'command = "python3 udfs/forest/tests/it/make_packages.py"',
    ]
    for feature in range(rows.shape[1]):
        lines += ["", "[[features]]", f'name = "x{feature}"', 'unit = "1"', 'description = "made up"']
    for row, score in zip(rows, scores):
        values = ", ".join(repr(float(value)) for value in row)
        lines += ["", "[[golden]]", f"features = [{values}]", f"score = {float(score)!r}"]
    (folder / "card.toml").write_text("\n".join(lines) + "\n")


def main():
    x, y, y3 = data()
    sk = f"scikit-learn {sklearn.__version__}, skl2onnx {skl2onnx.__version__}, "
    xg = f"xgboost {xgboost.__version__}, onnxmltools, "
    forest = dict(n_estimators=5, random_state=0)
    pair, triple = ["benign", "miner"], ["benign", "miner", "scanner"]
    plain = {"zipmap": False}
    ml3 = {"": 18, "ai.onnx.ml": 3}
    cases = [
        ("forest_zipmap", RandomForestClassifier(**forest), y, np.float32, None, None, pair, 0),
        ("forest_shallow", RandomForestClassifier(max_depth=4, **forest), y, np.float32, plain, None, pair, 1e-6),
        ("forest_f64", RandomForestClassifier(max_depth=4, **forest), y, np.float64, plain, ml3, pair, 1e-6),
        ("forest_three", RandomForestClassifier(**forest), y3, np.float32, plain, None, triple, 0),
        ("forest_regressor", RandomForestRegressor(max_depth=4, **forest), y.astype(float), np.float32, None, None, pair, 1e-6),
        ("boosted", GradientBoostingClassifier(max_depth=3, **forest), y, np.float32, plain, None, pair, 1e-6),
        ("boosted_three", GradientBoostingClassifier(max_depth=2, **forest), y3, np.float32, plain, None, triple, 1e-6),
        ("linear", make_pipeline(StandardScaler(), LogisticRegression()), y, np.float32, plain, None, pair, 1e-6),
    ]
    for name, model, target, dtype, options, opset, classes, tolerance in cases:
        model.fit(x.astype(np.float64) if dtype == np.float64 else x, target)
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        proto = skl2onnx.to_onnx(model, x[:1].astype(dtype), options={id(last): options} if options else None, target_opset=opset)
        rows = golden_rows(x, model)
        scores = model.predict_proba(rows)[:, 1] if hasattr(model, "predict_proba") else model.predict(rows)
        write(name, sk + repr(last), proto, rows, scores, classes, classes[1], tolerance)

    model = RandomForestClassifier(max_depth=3, **forest).fit(x, y3)
    rows = golden_rows(x, model)
    scores = {"rows": rows.tolist(), "scores": model.predict_proba(rows)[:, 1].tolist()}
    (FOLDER / "forest.json").write_text(json.dumps(as_json(model) | scores) + "\n")

    for name, target, classes in (("xgboost", y, pair), ("xgboost_three", y3, triple)):
        model = xgboost.XGBClassifier(n_estimators=5, max_depth=3, base_score=0.5, random_state=0).fit(x, target)
        proto = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, N_FEATURES]))])
        rows = golden_rows(x, model)
        write(name, xg + "XGBClassifier", proto, rows, model.predict_proba(rows)[:, 1], classes, classes[1], 1e-6)


if __name__ == "__main__":
    main()
