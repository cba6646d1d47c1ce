"""What is committed agrees: pipelines with each other and with the cards."""

import re
import tomllib
import unittest
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [
    ("miner_series", "features_series.sql", "miners_forest.sql"),
    ("cds_flow", "features_flow.sql", "cds_flow.sql"),
]


def pipeline(name: str) -> str:
    return (ROOT / "pipelines" / name).read_text(encoding="utf-8")


def feature_part(text: str) -> str:
    """From the source table to the end of the features, without comments."""
    part = text[text.index("CREATE TABLE flows") : text.index("-- End of the features.")]
    return re.sub(r" *--.*", "", part)


def card_of(model: str) -> dict:
    return tomllib.loads((ROOT / "models" / model / "card.toml").read_text(encoding="utf-8"))


class Package(unittest.TestCase):
    def test_what_scores_computes_the_features_that_were_trained_on(self):
        for _, trained, served in PAIRS:
            self.assertEqual(feature_part(pipeline(trained)), feature_part(pipeline(served)))

    def test_a_pipeline_hands_over_the_features_of_its_card_in_order(self):
        for model, _, served in PAIRS:
            names = [feature["name"] for feature in card_of(model)["features"]]
            call = re.search(r"mining_\w+\(([^)]*)\)", pipeline(served))
            self.assertEqual([name.strip() for name in call[1].split(",")], names)

    def test_a_pipeline_has_the_threshold_of_its_card(self):
        for model, _, served in PAIRS:
            threshold = card_of(model)["threshold"]
            self.assertIn(f">= {threshold}", pipeline(served), f"set {threshold} in pipelines/{served}")

    def test_the_filter_in_front_takes_features_and_threshold_of_its_card(self):
        card = card_of("anomaly_flow")
        text = pipeline("option_c.sql")
        names = [feature["name"] for feature in card["features"]]
        call = re.search(r" anomaly\(([^)]*)\)", text)
        self.assertEqual([name.strip() for name in call[1].split(",")], names)
        self.assertIn(f">= {card['threshold']};", text, f"set {card['threshold']} in pipelines/option_c.sql")

    def test_option_c_judges_records_as_the_pipeline_without_a_filter(self):
        alone, behind = (pipeline(name) for name in ("cds.sql", "option_c.sql"))
        begin, end = "CREATE TABLE flows", "CREATE VIEW scored"
        filtered = behind[behind.index(begin) : behind.index("-- 0.")]
        self.assertEqual(alone[alone.index(begin) : alone.index(end)], filtered)
        self.assertEqual(alone[alone.index(end) :], behind[behind.index(end) :].replace("FROM unusual;", "FROM features;"))

    def test_a_card_holds_the_hash_of_its_model(self):
        for model in (*(model for model, _, _ in PAIRS), "anomaly_flow"):
            content = (ROOT / "models" / model / "model.onnx").read_bytes()
            self.assertEqual(card_of(model)["sha256"], sha256(content).hexdigest())


if __name__ == "__main__":
    unittest.main()
