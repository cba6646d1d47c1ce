"""Draws the evaluation, as SVG that is the same in every run: no date, no random ids, text as text."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 the backend has to be chosen first

STYLE = {
    "svg.hashsalt": "davy",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
COLOURS = {"model": "#1b6ca8", "rule": "#b8860b", "cds": "#a83232"}


# Where a logarithmic axis shows none.
LEFT_EDGE = 2e-4
N_STEPS = 120


def save(figure, path: Path, bottom: float) -> None:
    """`bottom` is the share of the height that a legend below the axes needs."""
    figure.tight_layout(rect=(0, bottom, 1, 1))
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def shares_by_source(verdicts: dict, measure: str, names: dict[str, str], title: str, path: Path) -> None:
    """Points with 95 % intervals: one line per left-out source, one colour per detector."""
    detectors = [detector for detector in names if ("source", detector, "") in verdicts]
    shares = {
        (detector, source): getattr(verdict, measure)
        for (split, detector, source), verdict in verdicts.items()
        if split == "source" and detector in detectors and source and getattr(verdict, measure).total
    }
    sources = sorted({source for _, source in shares})
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.4, 1.1 + 0.42 * len(sources)))
        for nth, detector in enumerate(detectors):
            offset = 0.22 * (nth - (len(detectors) - 1) / 2)
            rows = np.arange(len(sources)) + offset
            lows, highs = zip(*(shares[detector, source].interval for source in sources), strict=True)
            values = [shares[detector, source].value for source in sources]
            axes.hlines(rows, lows, highs, color=COLOURS[detector], linewidth=1.2)
            axes.plot(values, rows, "o", color=COLOURS[detector], markersize=4, label=names[detector])
        totals = [shares[detectors[0], source].total for source in sources]
        labels = [f"{source} ({n:,})" for source, n in zip(sources, totals, strict=True)]
        axes.set_yticks(range(len(sources)), labels)
        axes.invert_yaxis()
        axes.set_xlim(-0.02, 1.02)
        axes.set_title(title, loc="left")
        figure.legend(loc="lower center", ncol=3, frameon=False)
        save(figure, path, bottom=0.35 / figure.get_figheight())


def trade(units: dict, rivals: dict, names: dict[str, str], title: str, path: Path) -> None:
    """Recall against false alarms over all thresholds; detectors with a fixed threshold are points."""
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.0))
        for split, words, line in (("capture", "captures held out", "-"), ("source", "a source left out", "--")):
            false, recall = curve(units[split])
            axes.step(false, recall, line, where="post", color=COLOURS["model"], label=f"model, {words}")
        for detector, verdict in rivals.items():
            point = max(verdict.false_alarms.value, LEFT_EDGE), verdict.recall.value
            axes.plot(*point, "o", color=COLOURS[detector], label=names[detector], clip_on=False)
        axes.set_xscale("log")
        axes.set_xlim(LEFT_EDGE, 1)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("share of benign units that are alarms (left edge: none)")
        axes.set_ylabel("recall")
        axes.set_title(title, loc="left")
        axes.legend(frameon=False, loc="best")
        save(figure, path, bottom=0)


def curve(units) -> tuple[np.ndarray, np.ndarray]:
    """False alarms and recall at up to N_STEPS thresholds, from the greatest to the least."""
    is_miner, score = units.label.to_numpy() == "miner", units.score.to_numpy()
    steps = np.unique(np.quantile(score[is_miner], np.linspace(0, 1, N_STEPS)))[::-1]
    recall = [np.mean(score[is_miner] >= step) for step in steps]
    false = [np.mean(score[~is_miner] >= step) for step in steps]
    return np.maximum(false, LEFT_EDGE), np.array(recall)
