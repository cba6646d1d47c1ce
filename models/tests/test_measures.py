"""What an alarm is, and what counts as one."""

import unittest

import pandas as pd

from training import measures


def windows() -> pd.DataFrame:
    rows = [
        ("miner", "m1", "a", 0.9, True),
        ("miner", "m1", "a", 0.2, False),
        ("miner", "m2", "b", 0.4, False),
        ("benign", "b1", "a", 0.1, False),
        ("benign", "b1", "a", 0.8, True),
        ("benign", "b2", "c", 0.3, False),
    ]
    table = pd.DataFrame(rows, columns=["label", "unit", "capture", "score", "alarm"])
    return table.assign(source="s", host="s/" + table.capture)


class Measures(unittest.TestCase):
    def test_one_window_is_enough_for_an_alarm_and_many_are_one(self):
        units = measures.units(windows(), ["unit"])
        self.assertEqual(list(units.score), [0.8, 0.3, 0.9, 0.4])
        self.assertEqual(list(units.alarm), [True, False, True, False])

    def test_a_verdict_counts_units_flows_and_hosts(self):
        verdict = measures.judge(measures.units(windows(), ["unit"]), n_benign_flows=1000, n_benign_hosts=4)
        self.assertEqual((verdict.recall.hits, verdict.recall.total), (1, 2))
        self.assertEqual((verdict.precision.hits, verdict.precision.total), (1, 2))
        self.assertEqual((verdict.false_alarms.hits, verdict.false_alarms.total), (1, 2))
        self.assertEqual(verdict.per_million_flows, 1000)
        self.assertEqual(verdict.per_thousand_hosts, 250)
        self.assertEqual(verdict.f1, 0.5)
        self.assertEqual(verdict.auc, 0.75)

    def test_without_miners_there_is_no_recall_and_no_area(self):
        benign = windows()[lambda table: table.label == "benign"]
        verdict = measures.judge(measures.units(benign, ["unit"]), n_benign_flows=10, n_benign_hosts=2)
        self.assertIsNone(verdict.recall.value)
        self.assertIsNone(verdict.auc)
        self.assertIsNone(verdict.f1)


if __name__ == "__main__":
    unittest.main()
