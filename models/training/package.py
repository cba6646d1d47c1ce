"""Puts a trained model into its package: what it was trained on, what it is worth, and rows to check it by."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import sklearn
from sklearn.ensemble import RandomForestClassifier

from . import card, filtering, forest, isolation, recipes

# Of the data and of this code, not of the run: two runs give the same bytes.
DATE = "2026-11-21"
VERSION = "1.0.0"
N_GOLDEN = 24

DESCRIPTIONS = {
    "miner_series": "Finds cryptomining in the series of TCP flows between a client and a server's port in 15 minutes. "
    "Kept-alive connections with small, steady messages look alike.",
    "cds_flow": "Scores single flows by the 13 features of the Cryptomining Detection System, in place of its forest. "
    "One flow says little about mining: use miner_series where flows can be watched for 15 minutes.",
    "anomaly_flow": "Says how unusual a flow is among benign ones: a filter in front of a classifier. It knows nothing of "
    "mining.",
}
SQL = {
    "miner_series": "pipelines/features_series.sql",
    "cds_flow": "pipelines/features_flow.sql",
    "anomaly_flow": "pipelines/features_flow.sql",
}
CLASSES = {"anomaly_flow": ["usual", "unusual"]}

SOURCES = [
    "cj-sniffer: CJ-Sniffer-Dataset, xmrig and ethminer at real pools 2019-21 (yebof, MIT)",
    "cesnet-miner22: sample of CESNET-MINER22, flows of an ISP without addresses "
    "(DatasetCatalog-Example, FETA-Project, Apache-2.0; Zenodo 7189293)",
    "iot-cset2021: IoT devices in a lab for hours to days (IoT-Dataset, tj-oconnor, no licence file)",
    "iot-sentinel: set-up of IoT devices (IoT_Sentinel, andypitcher, MIT)",
    "iot23-honeypot: benign flows of IoT-23 devices (sensor-data, aucad, terms per set)",
    "ndpi-pcaps: captures of named applications (nDPI, ntop, LGPL-3)",
    "nesfit-mining: a miner at Zcash and other pools (DI-cryptominingdetection, nesfit, no licence file)",
    "peafowl-mining: Stratum of two miners (peafowl, DanieleDeSensi, MIT)",
    "zeek-cryptomining: a browser miner and its machine (zeek-cryptomining, jsiwek, BSD-3-Clause)",
    "lab: the project's own recording, models/capture (Apache-2.0)",
    "Only the trained trees and statistics of features are shipped, none of the records.",
]


@dataclass
class Built:
    """A model that was trained and written, before its card."""

    recipe: forest.Recipe
    forest: RandomForestClassifier | isolation.Isolation
    rows: pd.DataFrame
    threshold: float
    edge: card.Edge
    numbers: dict = field(default_factory=dict)


def model_path(recipe: forest.Recipe, out: Path) -> Path:
    folder = out / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "model.onnx"


def write(built: Built, out: Path) -> None:
    recipe = built.recipe
    is_series = recipe.name == recipes.SERIES.name
    about = recipes.ABOUT_SERIES if is_series else recipes.ABOUT_FLOW
    classes = CLASSES.get(recipe.name, ["benign", "miner"])
    head = {
        "format": 1,
        "name": recipe.name,
        "version": VERSION,
        "description": DESCRIPTIONS[recipe.name],
        "license": "Apache-2.0",
        "model": "model.onnx",
        "classes": classes,
        "positive": classes[1],
        "threshold": built.threshold,
        "not_finite": "null",
        "tolerance": 1e-6,
    }
    window = {"width": "15m", "key": ["server", "port", "client"], "rows_min": 3}
    training = {
        "date": DATE,
        "data": SOURCES,
        "trainer": f"scikit-learn {sklearn.__version__}, {' '.join(repr(built.forest).split())}",
        "command": "make models",
        "sql": SQL[recipe.name],
    }
    tables = {**({"window": window} if is_series else {}), "training": training}
    if built.numbers:
        tables["evaluation"] = built.numbers
    golden = card.golden_rows(built.forest, built.rows, recipe, built.edge, N_GOLDEN)
    card.write(
        out / recipe.name,
        head,
        tables,
        card.feature_entries(built.rows, recipe, about),
        card.golden_entries(built.forest, golden),
    )


def numbers(study) -> dict:
    """What `davy model info` shows: the verdicts over all sources, and where to read more."""
    result = {"page": "models/EVALUATION.md"}
    for split, words in (("capture", "held_out_captures"), ("source", "left_out_sources")):
        verdict = study.verdicts[split, "model", ""]
        result |= {
            f"{words}_recall": rounded(verdict.recall.value),
            f"{words}_precision": rounded(verdict.precision.value),
            f"{words}_f1": rounded(verdict.f1),
            f"{words}_auc": rounded(verdict.auc),
            f"{words}_false_alarm_share": rounded(verdict.false_alarms.value),
            f"{words}_miners": verdict.recall.total,
            f"{words}_benign": verdict.false_alarms.total,
        }
    return {key: value for key, value in result.items() if value is not None}


def numbers_of_filter(study: filtering.Study) -> dict:
    """What the filter passes at the card's threshold, of captures and sources that it saw nothing of."""
    result = {"page": "models/EVALUATION.md"}
    for split, words in (("capture", "held_out_captures"), ("source", "left_out_sources")):
        cost = study.costs[split, isolation.RECIPE.false_alarm_goal]
        result |= {
            f"{words}_benign_passed_share": rounded(cost.benign_passed.value),
            f"{words}_miners_passed_share": rounded(cost.miners_passed.value),
        }
    return result


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


ORIGIN_OF = {entry.partition(":")[0]: entry.partition(": ")[2] for entry in SOURCES[:-1]}
