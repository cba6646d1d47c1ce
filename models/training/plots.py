"""Draws the evaluation, as SVG that is the same in every run: no date, no random ids, text as text."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 the backend has to be chosen first

STYLE = {
    "svg.hashsalt": "davy", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
}
COLOURS = {"model": "#1b6ca8", "card": "#1b6ca8", "rule": "#b8860b", "cds": "#a83232"}


def save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def shares_by_source(study, split: str, measure: str, names: dict[str, str], title: str, path: Path) -> None:
    """Points with 95 % intervals: one line per source, one colour per detector."""
    detectors = [detector for detector in names if (split, detector, "") in study.verdicts]
    sources = sorted({source for _, _, source in study.verdicts if source})
    sources = [s for s in sources if getattr(study.verdicts.get((split, "model", s)), measure, None) and getattr(study.verdicts[split, "model", s], measure).total]
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.4, 0.9 + 0.42 * len(sources)))
        for nth, detector in enumerate(detectors):
            offset = 0.22 * (nth - (len(detectors) - 1) / 2)
            for row, source in enumerate(sources):
                share = getattr(study.verdicts[split, detector, source], measure)
                low, high = share.interval
                axes.plot([low, high], [row + offset] * 2, color=COLOURS[detector], linewidth=1.2)
                axes.plot(share.value, row + offset, "o", color=COLOURS[detector], markersize=4,
                          label=names[detector] if row == 0 else None)
        totals = [getattr(study.verdicts[split, "model", source], measure).total for source in sources]
        axes.set_yticks(range(len(sources)), [f"{source} ({n})" for source, n in zip(sources, totals)])
        axes.invert_yaxis()
        axes.set_xlim(-0.02, 1.02)
        axes.set_title(title, loc="left")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.2 / len(sources)), ncol=3, frameon=False)
        save(figure, path)


def trade(units, others: dict, names: dict[str, str], title: str, path: Path) -> None:
    """Recall against false alarms over all thresholds; detectors with a fixed threshold are points."""
    miner = units.label.to_numpy() == "miner"
    score = units.score.to_numpy()
    steps = np.unique(score)[::-1]
    recall = [np.mean(score[miner] >= step) for step in steps]
    false = [np.mean(score[~miner] >= step) for step in steps]
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.4, 2.8))
        axes.step(np.maximum(false, 2e-4), recall, where="post", color=COLOURS["model"], label=names["model"])
        for detector, verdict in others.items():
            axes.plot(max(verdict.false_alarms.value, 2e-4), verdict.recall.value, "o", color=COLOURS[detector], label=names[detector])
        axes.set_xscale("log")
        axes.set_xlabel("share of benign units that are alarms (left edge: none)")
        axes.set_ylabel("recall")
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(title, loc="left")
        axes.legend(frameon=False, loc="lower right")
        save(figure, path)
