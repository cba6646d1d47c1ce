"""Numbers of the evaluation: what a detector's scores on tested rows are worth, with confidence intervals.

Rows become *units* first: a unit is what gets one alarm (a series of flows, or a flow), and its score is the greatest
of its rows. Intervals of 95 %: Wilson's for shares (recall, precision, false alarms), as the numbers are small and sit
at the edge of their range; for F1 and AUC a bootstrap over captures, as units of one capture are no independent
witnesses.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

N_RESAMPLES = 200
Z = 1.959964


@dataclass(frozen=True)
class Share:
    """`hits` of `total`, with Wilson's interval."""

    hits: int
    total: int

    @property
    def value(self) -> float | None:
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        if not self.total:
            return 0.0, 1.0
        share, n = self.hits / self.total, self.total
        middle = share + Z * Z / (2 * n)
        spread = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


@dataclass(frozen=True)
class Verdict:
    """What a detector did on a set of units."""

    recall: Share
    precision: Share
    false_alarms: Share
    n_flows: int
    n_hosts: int
    hosts_with_false_alarm: int
    auc: float | None
    auc_interval: tuple[float, float] | None
    f1: float | None
    f1_interval: tuple[float, float] | None

    @property
    def per_million_flows(self) -> float | None:
        return 1e6 * self.false_alarms.hits / self.n_flows if self.n_flows else None

    @property
    def per_thousand_hosts(self) -> float | None:
        return 1e3 * self.hosts_with_false_alarm / self.n_hosts if self.n_hosts else None


def units(rows: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row per unit: label, capture, host, `score` (greatest) and `alarm` (any)."""
    grouped = rows.groupby(key, sort=True)
    return grouped.agg(
        label=("label", "first"),
        unit_source=("source", "first"),
        unit_capture=("capture", "first"),
        host=("host", "first"),
        score=("score", "max"),
        alarm=("alarm", "max"),
    ).reset_index(drop=True)


def judge(table: pd.DataFrame, n_benign_flows: int, n_benign_hosts: int, seed: int = 0) -> Verdict:
    """Judges units (see `units`); the flows and hosts are those that a false alarm could have come from."""
    miner, benign = table[table.label == "miner"], table[table.label != "miner"]
    hits, false = int(miner.alarm.sum()), int(benign.alarm.sum())
    low_auc, high_auc, low_f1, high_f1 = resampled(table, seed)
    return Verdict(
        recall=Share(hits, len(miner)),
        precision=Share(hits, hits + false),
        false_alarms=Share(false, len(benign)),
        n_flows=n_benign_flows,
        n_hosts=n_benign_hosts,
        hosts_with_false_alarm=benign[benign.alarm].host.nunique(),
        auc=auc(table),
        auc_interval=None if low_auc is None else (low_auc, high_auc),
        f1=f1(table),
        f1_interval=None if low_f1 is None else (low_f1, high_f1),
    )


def f1(table: pd.DataFrame, weight: np.ndarray | None = None) -> float | None:
    miner, alarm = (table.label == "miner").to_numpy(), table.alarm.to_numpy(bool)
    weight = np.ones(len(table)) if weight is None else weight
    total = weight[miner].sum() + weight[alarm].sum()
    has_both = miner.any() and not miner.all()
    return float(2 * weight[miner & alarm].sum() / total) if has_both and total else None


def auc(table: pd.DataFrame, weight: np.ndarray | None = None) -> float | None:
    miner = (table.label == "miner").to_numpy()
    weight = np.ones(len(table)) if weight is None else weight
    if not weight[miner].any() or not weight[~miner].any():
        return None
    return float(roc_auc_score(miner, table.score.to_numpy(), sample_weight=weight))


def resampled(table: pd.DataFrame, seed: int) -> tuple[float | None, float | None, float | None, float | None]:
    """The intervals of AUC and of F1 over samples of captures, drawn with replacement."""
    if auc(table) is None:
        return None, None, None, None
    random = np.random.default_rng(seed)
    capture = table.groupby(["unit_source", "unit_capture"]).ngroup().to_numpy()
    n_captures = capture.max() + 1
    areas, harmonics = [], []
    for _ in range(N_RESAMPLES):
        times_drawn = np.bincount(random.integers(0, n_captures, n_captures), minlength=n_captures)
        weight = times_drawn[capture].astype(np.float64)
        area, harmonic = auc(table, weight), f1(table, weight)
        if area is not None and harmonic is not None:
            areas.append(area)
            harmonics.append(harmonic)
    if not areas:
        return None, None, None, None
    return (*np.percentile(areas, [2.5, 97.5]), *np.percentile(harmonics, [2.5, 97.5]))
