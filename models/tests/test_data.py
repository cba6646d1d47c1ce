"""Flags, directions and labels of records."""

import unittest

import pandas as pd
from training import data, features


def record(**fields) -> dict:
    plain = {
        "source": "s",
        "capture": "c",
        "rendering": data.ROUTER,
        "label": "benign",
        "ts": 0.0,
        "te": 1.0,
        "td": 1.0,
        "sa": "client",
        "da": "server",
        "sp": 50000,
        "dp": 443,
        "pr": "TCP",
        "flg": "...AP...",
        "flg_in": "...AP.S.",
        "flg_out": "...A...F",
        "ipkt": 3,
        "ibyt": 300,
        "opkt": 2,
        "obyt": 900,
    }
    return {**plain, **fields}


class Data(unittest.TestCase):
    def test_flags_of_both_directions_are_merged(self):
        self.assertEqual(data.merged_flags("...AP.S.", "...A...F"), "...AP.SF")
        self.assertEqual(data.merged_flags("...A....", ""), "...A....")
        self.assertEqual(data.merged_flags("", ""), "........")

    def test_a_conversation_becomes_a_record_per_direction(self):
        halves = data.one_way(pd.DataFrame([record(), record(opkt=0, obyt=0)]), data.LONG)
        self.assertEqual(list(halves.ipkt), [3, 3, 2])
        self.assertEqual(list(halves.sa), ["client", "client", "server"])
        self.assertEqual(list(halves.flg), ["...AP.S.", "...AP.S.", "...A...F"])
        self.assertEqual(set(halves.opkt), {0})

    def test_directions_exchanged_twice_are_as_before(self):
        table = pd.DataFrame([record()])
        twice = data.swapped(data.swapped(table))
        self.assertEqual(twice.iloc[0].to_dict(), table.iloc[0].to_dict())

    def test_a_series_has_its_label_whichever_side_was_first(self):
        rows = [
            record(label="miner"),
            record(label="miner", sa="server", da="client", sp=443, dp=50000),
            record(da="other"),
        ]
        labels = features.labels_of_series(pd.DataFrame(rows))
        found = {(row.client, row.server, row.port): row.label for row in labels.itertuples()}
        self.assertEqual(found, {("client", "server", 443): "miner", ("client", "other", 443): "benign"})

    def test_one_miner_among_the_records_makes_the_series_a_miners(self):
        labels = features.labels_of_series(pd.DataFrame([record(), record(label="miner"), record()]))
        self.assertEqual(list(labels.label), ["miner"])

    def test_a_record_that_ends_before_it_began_lasts_no_time(self):
        raw = pd.DataFrame(
            [
                {
                    "ts": "1970-01-01 00:00:05",
                    "te": "1970-01-01 00:00:04",
                    "td": 18446744073709540.0,
                    "sa": "a",
                    "da": "b",
                    "sp": 1,
                    "dp": 2,
                    "pr": "TCP",
                    "flg": "........",
                    "ipkt": 1,
                    "ibyt": 40,
                    "opkt": 0,
                    "obyt": 0,
                }
            ]
        )
        self.assertEqual(data.from_nfdump(raw).td.iloc[0], 0.0)


if __name__ == "__main__":
    unittest.main()
