"""The filter in front: thresholds of numbers, scores, and who passes."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from training import export, forest, isolation

RECIPE = replace(isolation.RECIPE, features=["x", "y"], parameters={"n_estimators": 10, "max_samples": 64})


def table(n_rows: int) -> pd.DataFrame:
    random = np.random.default_rng(3)
    columns = {name: np.exp(random.normal(5, 4, n_rows)).astype(np.float32) for name in RECIPE.features}
    label = np.where(np.arange(n_rows) % 5 == 0, "miner", "benign")
    where = {"source": "a", "capture": (np.arange(n_rows) % 7).astype(str), "rendering": RECIPE.renderings[0]}
    return pd.DataFrame({**columns, **where, "label": label})


class Isolation(unittest.TestCase):
    def test_a_threshold_on_a_logarithm_decides_every_number_as_before(self):
        thresholds = np.array([0.0, 1e-7, 0.1, 0.6931471805599453, 7.25, 20.7, 80.0])
        numbers = isolation.of_numbers(thresholds)
        for number, threshold in zip(numbers, thresholds, strict=True):
            near = [number]
            for _ in range(40):
                near = [np.nextafter(near[0], np.float32(-1)), *near, np.nextafter(near[-1], np.float32(np.inf))]
            near = np.array([value for value in near if value >= 0], np.float32)
            np.testing.assert_array_equal(near <= number, isolation.logarithms(near) <= threshold)

    def test_onnx_gives_the_scores_of_scikit_learn_on_the_thresholds_themselves(self):
        rows = isolation.benign(table(600), RECIPE)
        model = isolation.fit(rows, RECIPE)
        edges = np.concatenate([isolation.of_numbers(tree.tree_.threshold.clip(0)) for tree in model.trees.estimators_])
        edges = np.concatenate([edges, np.nextafter(edges, np.float32(np.inf))])
        with tempfile.TemporaryDirectory() as folder:
            first, second = Path(folder) / "first.onnx", Path(folder) / "second.onnx"
            for path in (first, second):
                export.save(isolation.to_onnx(model, "test"), path)
            for part in (np.stack([edges, edges], axis=1), forest.matrix(rows, RECIPE), np.full((1, 2), 1e30, np.float32)):
                self.assertLessEqual(isolation.check(first, model, part), 1e-6)
            self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_miners_teach_it_nothing(self):
        self.assertEqual(set(isolation.benign(table(200), RECIPE).label), {"benign"})

    def test_the_threshold_passes_the_share_that_was_wanted(self):
        rows = isolation.benign(table(2_000), RECIPE)
        model = isolation.fit(rows, RECIPE)
        for share in (0.1, 0.5):
            limit = isolation.threshold(model, rows, RECIPE, share)
            passed = np.mean(isolation.scores(model, rows, RECIPE) >= limit)
            self.assertAlmostEqual(passed, share, delta=0.02)


if __name__ == "__main__":
    unittest.main()
