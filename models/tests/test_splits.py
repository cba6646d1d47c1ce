"""No capture on both sides of a split, no test row in a choice."""

import unittest

import numpy as np
import pandas as pd
from training import data, forest, splits


def table() -> pd.DataFrame:
    rows = [
        {
            "source": source,
            "capture": f"c{capture}",
            "rendering": rendering,
            "label": label,
            "unit": f"{source}{capture}",
        }
        for source, label in (("a", "miner"), ("b", "benign"), ("c", "miner"), ("c", "benign"))
        for capture in range(7)
        for rendering in (data.ROUTER, data.LONG)
    ]
    return pd.DataFrame(rows)


def recipe(**changes) -> forest.Recipe:
    fields = {
        "name": "test",
        "features": ["x"],
        "unit": ["unit"],
        "false_alarm_goal": 0.25,
        "goal_without": [],
        "threshold_min": 0.5,
        "n_inner_folds": 2,
        "renderings": [data.ROUTER, data.LONG],
        "rows_max": 100,
        "parameters": {},
    }
    return forest.Recipe(**{**fields, **changes})


class Splits(unittest.TestCase):
    def test_every_row_is_tested_once_and_captures_stay_whole(self):
        rows = table()
        tested = np.zeros(len(rows), dtype=int)
        for _, test in splits.by_capture(rows):
            splits.check_apart(rows, test)
            tested += test
        self.assertEqual(set(tested), {1})

    def test_a_left_out_source_teaches_nothing(self):
        rows = table()
        for source, test in splits.by_source(rows):
            self.assertNotIn(source, set(rows[~test].source))

    def test_folds_share_out_the_miners_of_each_source(self):
        rows = table()
        folds = splits.capture_folds(rows)
        sizes = rows.assign(fold=folds)[rows.label == "miner"].drop_duplicates("unit").groupby("fold").size()
        self.assertLessEqual(sizes.max() - sizes.min(), 1)

    def test_a_capture_on_both_sides_is_refused(self):
        rows = table()
        test = np.zeros(len(rows), dtype=bool)
        test[0] = True
        with self.assertRaises(ValueError):
            splits.check_apart(rows, test)

    def test_the_threshold_is_the_least_that_meets_the_goal(self):
        rows = pd.DataFrame({"label": ["benign"] * 4 + ["miner"], "source": "a", "unit": list("wxyzm")})
        score = np.array([0.2, 0.6, 0.705, 0.9, 0.1])
        self.assertEqual(forest.threshold(rows, score, recipe()), 0.71)
        self.assertEqual(forest.threshold(rows, score, recipe(false_alarm_goal=0.0)), 0.91)

    def test_a_threshold_without_benign_rows_is_refused(self):
        rows = pd.DataFrame({"label": ["benign", "miner"], "source": "a", "unit": list("xm")})
        with self.assertRaises(ValueError):
            forest.threshold(rows, np.array([0.2, 0.9]), recipe(goal_without=["a"]))

    def test_a_unit_has_the_greatest_score_of_its_windows(self):
        rows = pd.DataFrame({"label": "benign", "source": "a", "unit": ["x", "x", "y", "z"]})
        score = np.array([0.9, 0.1, 0.2, 0.3])
        self.assertEqual(forest.threshold(rows, score, recipe(false_alarm_goal=0.0)), 0.91)

    def test_a_sample_takes_at_most_so_many_rows_of_a_kind(self):
        rows = recipe(rows_max=3).sample(table())
        self.assertEqual(rows.groupby(["source", "label", "rendering"]).size().max(), 3)
        self.assertTrue(rows.index.is_monotonic_increasing)


if __name__ == "__main__":
    unittest.main()
