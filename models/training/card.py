"""Writes a model card: everything that a program needs to run the model, and a person to judge it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from . import forest

N_BINS = 10


def drift_bins(values: np.ndarray) -> tuple[list[float], list[float]]:
    """Inner edges at the deciles, without doubles, and the share of values in each bin.

    Bins are open below and closed above: (.., e0], (e0, e1], ..., (e_last, ..).
    """
    deciles = np.quantile(values, np.arange(1, N_BINS) / N_BINS, method="higher")
    edges = np.unique(deciles)
    # The last bin must not be empty: all values at most the last edge would leave it so.
    edges = edges[edges < values.max()] if len(edges) > 1 else edges
    bins = np.searchsorted(edges, values, side="left")
    shares = np.bincount(bins, minlength=len(edges) + 1) / len(values)
    return edges.tolist(), shares.tolist()


@dataclass(frozen=True)
class Edge:
    """A split of a tree: a feature's number, and the threshold."""

    feature: int
    threshold: float


def golden_rows(model, table: pd.DataFrame, recipe: forest.Recipe, edge_of: Edge, n_rows: int) -> np.ndarray:
    """Rows that a loader must score alike: vectors between recorded ones, plus edges where a mistake would show.

    Most are mixed of two recorded rows each, at scores spread over the model's range, so that no record is in the card.
    The others are zeros, large numbers, and rows that stand on a threshold of the first tree and one f32 beside it.
    """
    random = np.random.default_rng(forest.SEED)
    known = forest.matrix(table, recipe)
    left, right = (known[random.integers(0, len(known), 20_000)].astype(np.float64) for _ in range(2))
    mixed = rounded(left + (right - left) * random.random((len(left), 1)))
    score = model.predict_proba(mixed.astype(np.float32))[:, 1]
    wanted = np.linspace(*recipe.score_range, n_rows - 5)
    spread = mixed[[int(np.abs(score - value).argmin()) for value in wanted]]
    edge = rounded(np.median(mixed, axis=0))
    beside = np.tile(edge, (3, 1))
    on = float(np.float32(edge_of.threshold))
    beside[:, edge_of.feature] = [on, float(np.nextafter(np.float32(on), np.float32(np.inf))), edge_of.threshold]
    return np.vstack([np.zeros(len(edge)), np.full(len(edge), 1e9), beside, spread])


def rounded(rows: np.ndarray) -> np.ndarray:
    """Five significant digits, which keeps a card readable."""
    with np.errstate(divide="ignore"):
        digits = 4 - np.floor(np.log10(np.abs(rows)))
    scale = 10.0 ** np.where(np.isfinite(digits), digits, 0)
    return np.round(rows * scale) / scale


def toml_value(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def table_lines(name: str, fields: dict) -> list[str]:
    return ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in fields.items())]


def array_lines(name: str, fields: dict) -> list[str]:
    return ["", f"[[{name}]]", *(f"{key} = {toml_value(value)}" for key, value in fields.items())]


def write(folder: Path, head: dict, tables: dict[str, dict], features: list[dict], golden: list[dict]) -> None:
    """Writes `card.toml` beside `model.onnx`, whose hash it holds."""
    digest = hashlib.sha256((folder / head["model"]).read_bytes()).hexdigest()
    lines = ["# Written by models/train.py; change it there.", ""]
    lines += [f"{key} = {toml_value(value)}" for key, value in {**head, "sha256": digest}.items()]
    for name, fields in tables.items():
        lines += table_lines(name, fields)
    for name, rows in (("features", features), ("golden", golden)):
        for fields in rows:
            lines += array_lines(name, fields)
    (folder / "card.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def feature_entries(table: pd.DataFrame, recipe: forest.Recipe, about: dict[str, tuple[str, str]]) -> list[dict]:
    entries = []
    for name in recipe.features:
        edges, shares = drift_bins(table[name].to_numpy(np.float64))
        unit, description = about[name]
        entries.append({"name": name, "unit": unit, "description": description, "edges": edges, "shares": shares})
    return entries


def golden_entries(model, rows: np.ndarray) -> list[dict]:
    score = model.predict_proba(rows.astype(np.float32))[:, 1]
    return [{"features": list(row), "score": value} for row, value in zip(rows, score, strict=True)]
