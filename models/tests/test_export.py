"""Thresholds, drift bins and intervals."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from training import augment, card, export, measures


class Export(unittest.TestCase):
    def test_a_threshold_is_rounded_down_and_never_up(self):
        thresholds = np.array([0.1, 0.2, 0.5, -0.1, -0.3, 1e-3, 16777217.0, 0.0])
        down = export.rounded_down(thresholds)
        self.assertEqual(down.dtype, np.float32)
        self.assertTrue((down.astype(np.float64) <= thresholds).all())
        self.assertTrue((np.nextafter(down, np.float32(np.inf)).astype(np.float64) > thresholds).all())

    def test_onnx_gives_the_same_scores_on_the_thresholds_themselves(self):
        random = np.random.default_rng(1)
        rows = random.random((300, 3)).astype(np.float32)
        forest = RandomForestClassifier(5, max_depth=4, random_state=1).fit(rows, rows[:, 0] + rows[:, 1] > 1)
        edges = np.concatenate([export.rounded_down(tree.tree_.threshold) for tree in forest.estimators_])
        edges = np.concatenate([edges, np.nextafter(edges, np.float32(2))])
        on_edges = np.stack([edges, edges, edges], axis=1)
        with tempfile.TemporaryDirectory() as folder:
            first, second = Path(folder) / "first.onnx", Path(folder) / "second.onnx"
            for path in (first, second):
                export.save(export.to_onnx(forest, "test"), path)
            self.assertLessEqual(export.check(first, forest, on_edges), 1e-6)
            self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_hit_rates_are_the_training_weight_of_each_node(self):
        rows = np.arange(20, dtype=np.float32).reshape(-1, 1)
        forest = RandomForestClassifier(1, bootstrap=False, random_state=1).fit(rows, rows[:, 0] > 4)
        (node,) = export.to_onnx(forest, "test").graph.node
        hits = next(attribute for attribute in node.attribute if attribute.name == "nodes_hitrates").floats
        self.assertEqual(list(hits), [20.0, 5.0, 15.0])

    def test_drift_bins_split_at_deciles_and_hold_everything(self):
        edges, shares = card.drift_bins(np.arange(100, dtype=np.float64))
        self.assertEqual((len(edges), len(shares)), (9, 10))
        self.assertAlmostEqual(sum(shares), 1.0)
        self.assertLess(max(shares) - min(shares), 0.03)

    def test_drift_bins_of_few_values_have_no_double_edge(self):
        for values in ([0.0] * 95 + [1.0] * 5, [0.0] * 10, [0.0] * 50 + [1.0] * 50):
            edges, shares = card.drift_bins(np.array(values))
            self.assertEqual(sorted(set(edges)), edges)
            self.assertGreaterEqual(len(edges), 1)
            self.assertEqual(len(shares), len(edges) + 1)
            self.assertAlmostEqual(sum(shares), 1.0)

    def test_wilson_of_all_hits_does_not_promise_everything(self):
        low, high = measures.Share(40, 40).interval
        self.assertAlmostEqual(low, 0.912, places=3)
        self.assertEqual(high, 1.0)

    def test_flags_of_single_packets_vanish_when_sampled_away(self):
        self.assertEqual(augment.thinned_flags("...AP.SF", edge_was_seen=False), "...AP...")
        self.assertEqual(augment.thinned_flags("...AP.SF", edge_was_seen=True), "...AP.SF")


if __name__ == "__main__":
    unittest.main()
