"""What a filter of unusual flows in front of a classifier spares, and what it loses (`pipelines/option_c.sql`)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import forest, isolation, rivals, splits
from .measures import Share

SHARES = [0.05, 0.1, 0.25, 0.5]
SPLITTERS = {"capture": splits.by_capture, "source": splits.by_source}


@dataclass(frozen=True)
class Cost:
    """A filter that passes some of the flows, on flows of captures that it saw nothing of."""

    benign_passed: Share
    miners_passed: Share
    # Detector -> miners found without and with the filter, and benign flows reported without and with it.
    found: dict[str, tuple[Share, Share]]
    false_alarms: dict[str, tuple[Share, Share]]


@dataclass(frozen=True)
class Study:
    """Keys: split, then the share of benign training flows that pass; of the sources: split, then source."""

    costs: dict[tuple[str, float], Cost]
    by_source: dict[tuple[str, str], Cost]


def study(table: pd.DataFrame, tested: dict[str, pd.DataFrame], say: Callable[[str], None]) -> Study:
    """`tested`: rows of `table` by split, with `alarm` of the model and `cds` of the forest that is in use."""
    costs, by_source = {}, {}
    for split, splitter in SPLITTERS.items():
        rows = scored(table, tested[split], splitter)
        say(f"{isolation.RECIPE.name}: tested by {split}")
        for share in SHARES:
            costs[split, share] = cost(rows, share)
        for source, part in rows.groupby("source"):
            by_source[split, source] = cost(part, isolation.RECIPE.false_alarm_goal)
    return Study(costs, by_source)


def scored(table: pd.DataFrame, tested: pd.DataFrame, splitter) -> pd.DataFrame:
    """Known rows with `passed <share>`: by filters that saw nothing of the row's capture, or source."""
    parts = []
    for _, test in splitter(table):
        rows = tested[tested.index.isin(table.index[test]) & tested.label.isin(forest.TRAINED_LABELS)]
        if rows.empty:
            continue
        taught = isolation.benign(table[~test], isolation.RECIPE)
        model = isolation.fit(taught, isolation.RECIPE)
        unusual = isolation.scores(model, rows, isolation.RECIPE)
        limits = {share: isolation.threshold(model, taught, isolation.RECIPE, share) for share in SHARES}
        parts.append(rows.assign(**{f"passed {share}": unusual >= limit for share, limit in limits.items()}))
    return pd.concat(parts)


def cost(rows: pd.DataFrame, share: float) -> Cost:
    passed = rows[f"passed {share}"].to_numpy()
    is_miner = forest.is_miner(rows)
    alarms = {"model": rows.alarm.to_numpy(bool), "cds": rows.cds.to_numpy() >= rivals.THRESHOLD}
    return Cost(
        benign_passed=share_of(passed, ~is_miner),
        miners_passed=share_of(passed, is_miner),
        found={name: (share_of(alarm, is_miner), share_of(alarm & passed, is_miner)) for name, alarm in alarms.items()},
        false_alarms={
            name: (share_of(alarm, ~is_miner), share_of(alarm & passed, ~is_miner)) for name, alarm in alarms.items()
        },
    )


def share_of(hits: np.ndarray, among: np.ndarray) -> Share:
    return Share(int((hits & among).sum()), int(among.sum()))
