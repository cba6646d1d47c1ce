"""Other libraries on the models and rows of benches/score: rows/s of one thread, medians of thread time.

    python forest_peers.py [name…]                  default: every model that forest_models.py made

ONNX Runtime runs the same ONNX file as the bench does, so ratios to it connect the two. scikit-learn is trained again, which
gives the same forest; XGBoost trains a random forest of its own (as many trees, as deep, exact leaves allowed), whose
size is printed, and predicts from the array in place. Needs numpy, scikit-learn, onnxruntime, xgboost.
"""

import os
import pathlib
import statistics
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

import forest_models as models

FOLDER = pathlib.Path("~/.cache/davy/bench-models").expanduser()
BATCHES = [1_024, 16_384]
N_RUNS = 7
XGBOOST_DEPTH_MAX = 10


def rate(predict, x, batch):
    """Median rows/s over batches of different rows."""
    predict(x[:batch])
    rates = []
    for run in range(N_RUNS):
        begin, rows, n = time.thread_time(), 0, 0
        while n == 0 or time.thread_time() - begin < 0.3:
            at = (run + n) * batch % len(x)
            predict(x[at:at + batch])
            rows, n = rows + batch, n + 1
        rates.append(rows / (time.thread_time() - begin))
    return statistics.median(rates)


def onnxruntime(name):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"input": x})


def scikit_learn(n_features, depth):
    forest, _ = models.train(n_features, depth)
    forest.n_jobs = 1
    return forest.predict_proba


def xgboost(n_features, depth):
    import xgboost

    x = models.rows(n_features, models.N_TRAIN, 1)
    settings = {"max_depth": depth, "num_parallel_tree": models.N_TREES, "subsample": 0.632, "colsample_bynode": 0.5,
                "learning_rate": 1, "min_child_weight": 0, "lambda": 0, "objective": "binary:logistic", "max_bin": 1024,
                "nthread": 2, "seed": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(x, models.labels(x, 2)), 1)
    booster.set_param({"nthread": 1})
    n_nodes = sum(tree.count("leaf") * 2 - 1 for tree in booster.get_dump())
    # Not `predict`: it remembers what it said about a matrix.
    return n_nodes, booster.inplace_predict


def main():
    for n_features, depth in models.MODELS:
        name = models.name_of(n_features, depth)
        if (sys.argv[1:] and name not in sys.argv[1:]) or not (FOLDER / f"{name}.onnx").exists():
            continue
        columns = np.fromfile(FOLDER / f"rows-f{n_features}.f32", np.float32).reshape(n_features, -1)
        x = np.ascontiguousarray(columns.T)
        peers = {"onnxruntime": onnxruntime(name), "scikit-learn": scikit_learn(n_features, depth)}
        rates = {peer: [rate(predict, x, batch) for batch in BATCHES] for peer, predict in peers.items()}
        if depth and depth <= XGBOOST_DEPTH_MAX:
            n_nodes, predict = xgboost(n_features, depth)
            rates[f"xgboost ({n_nodes} nodes)"] = [rate(predict, x, batch) for batch in BATCHES]
        for peer, (small, large) in rates.items():
            print(f"{name}  {peer:28} {small:12,.0f} {large:12,.0f}", flush=True)


main()
