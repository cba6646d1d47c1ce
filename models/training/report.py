"""Writes EVALUATION.md: every number in it comes from this run."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from . import augment, data, filtering, isolation, measures, package, plots, prose, recipes
from .measures import Share, Verdict

SHORT = {"model": "model", "card": "at card's", "rule": "NEMEA", "cds": "CDS"}
THRESHOLDS = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97]
NAMES = {
    "model": "model",
    "card": "model at the card's threshold",
    "rule": "NEMEA rule",
    "cds": "CDS forest (0.7)",
}
EMPTY = "–"


def write(out: Path, records: pd.DataFrame, series: pd.DataFrame, studies: dict, ablations: list, built: list) -> None:
    series_study, flow_study = studies["miner_series"], studies["cds_flow"]
    folder = out / "plots"
    folder.mkdir(exist_ok=True)
    draw(folder, series_study, flow_study)
    renderings_intro = prose.RENDERINGS.format(untrained=data.LONG_BOTH_WAYS, sampling=augment.SAMPLING)
    parts = [
        prose.OPENING,
        in_words(series_study, flow_study),
        headline(series_study, flow_study),
        aims(series_study),
        prose.READING,
        prose.METHOD,
        sources_table(records, series),
        prose.SERIES.format(threshold=built[0].threshold),
        *model_parts(series_study, "miner_series"),
        "### Exports that differ",
        renderings_intro,
        renderings_table(series_study),
        "### Alike, but not mining",
        prose.OTHERS,
        others_table(series_study),
        "### What the features are worth",
        prose.ABLATION,
        ablation_table(ablations),
        importance_table(built[0]),
        prose.FLOW.format(threshold=built[1].threshold),
        *model_parts(flow_study, "cds_flow"),
        "### Exports that differ",
        prose.FLOW_RENDERINGS,
        renderings_table(flow_study),
        *filter_parts(studies[isolation.RECIPE.name], built[2].threshold),
        prose.LIMITS,
        prose.CLOSING,
    ]
    text = "\n\n".join(part.strip("\n") for part in parts) + "\n"
    (out / "EVALUATION.md").write_text(text, encoding="utf-8")


def percent(value: float | None, digits: int = 1) -> str:
    return EMPTY if value is None else f"{100 * value:.{digits}f} %"


def share(part: Share) -> str:
    if not part.total:
        return EMPTY
    low, high = part.interval
    return f"{percent(part.value)} ({100 * low:.1f}–{100 * high:.1f}), {part.hits}/{part.total}"


def number(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return EMPTY
    return f"{value:.3f}" + (f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else "")


def rate(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    alignment = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, alignment, *rows])


def verdict_row(name: str, verdict: Verdict) -> list[str]:
    has_benign = verdict.false_alarms.total > 0
    return [
        name,
        share(verdict.recall),
        share(verdict.precision) if verdict.recall.total and has_benign else EMPTY,
        number(verdict.f1, verdict.f1_interval),
        number(verdict.auc, verdict.auc_interval),
        share(verdict.false_alarms),
        rate(verdict.per_million_flows) if has_benign else EMPTY,
        rate(verdict.per_thousand_hosts) if has_benign else EMPTY,
    ]


HEAD = ["recall", "precision", "F1", "AUC", "false alarms", "per million flows", "per 1,000 hosts"]


def verdict_table(study, split: str, source: str) -> str:
    present = [detector for detector in NAMES if (split, detector, source) in study.verdicts]
    return table(
        ["", *HEAD], [verdict_row(NAMES[detector], study.verdicts[split, detector, source]) for detector in present]
    )


def source_table(study, split: str, detector: str) -> str:
    sources = sorted(source for s, d, source in study.verdicts if s == split and d == detector and source)
    return table(
        ["source", *HEAD], [verdict_row(source, study.verdicts[split, detector, source]) for source in sources]
    )


def model_parts(study, name: str) -> list[str]:
    captures, sources = study.thresholds["capture"], study.thresholds["source"]
    parts = [
        "### Split by capture",
        f"Thresholds of the five models: {span(captures)}.",
        verdict_table(study, "capture", ""),
        f"![Recall against false alarms](plots/{name}-trade.svg)",
        "The model, by source:",
        source_table(study, "capture", "model"),
        "### Leave one source out",
        f"Each source by a model that was not trained on it; thresholds {span(sources)}. All sources together:",
        verdict_table(study, "source", ""),
        "The model, by source:",
        source_table(study, "source", "model"),
        "All detectors, by source:",
        comparison_table(study, "source"),
        f"![Recall per source](plots/{name}-recall.svg)",
    ]
    if name == "miner_series":
        parts += ["![False alarms per source](plots/miner_series-alarms.svg)"]
    if study.never_scored:
        listed = ", ".join(f"{source} {n}" for source, n in sorted(study.never_scored.items()))
        parts.append(prose.NEVER_SCORED.format(listed=listed))
    return [*parts, "### Other thresholds", prose.THRESHOLDS, threshold_table(study)]


def comparison_table(study, split: str) -> str:
    """Recall and false alarms of every detector side by side; all judged the same units."""
    detectors = [detector for detector in NAMES if (split, detector, "") in study.verdicts]
    sources = sorted({source for s, _, source in study.verdicts if s == split and source})
    rows = []
    for source in sources:
        verdicts = [study.verdicts[split, detector, source] for detector in detectors]
        n_miners, n_benign = verdicts[0].recall.total, verdicts[0].false_alarms.total
        found = [f"{verdict.recall.hits}" if n_miners else EMPTY for verdict in verdicts]
        false = [f"{verdict.false_alarms.hits}" if n_benign else EMPTY for verdict in verdicts]
        rows.append([source, f"{n_miners:,}", *found, f"{n_benign:,}", *false])
    names = [SHORT[detector] for detector in detectors]
    head = ["source", "miners", *(f"found: {name}" for name in names), "benign", *(f"false: {name}" for name in names)]
    return table(head, rows)


def threshold_table(study) -> str:
    rows = []
    for step in THRESHOLDS:
        cells = []
        for split in ("capture", "source"):
            units = study.units[split]
            alarm = units.score >= step
            is_miner = units.label == "miner"
            cells += [
                share(measures.Share(int((alarm & is_miner).sum()), int(is_miner.sum()))),
                share(measures.Share(int((alarm & ~is_miner).sum()), int((~is_miner).sum()))),
            ]
        rows.append([f"{step:.2f}", *cells])
    head = ["threshold", "recall, captures held out", "false alarms", "recall, a source left out", "false alarms"]
    return table(head, rows)


def span(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def headline(series, flow) -> str:
    rows = []
    for name, study in (("miner_series", series), ("cds_flow", flow)):
        for split, words in (("capture", "captures held out"), ("source", "a source left out")):
            for detector in ("model", "rule", "cds"):
                if (split, detector, "") in study.verdicts:
                    verdict = study.verdicts[split, detector, ""]
                    who = f"`{name}`" if detector == "model" else NAMES[detector]
                    unit = "series" if name == "miner_series" else "flows"
                    rows.append(
                        [
                            f"{unit}, {words}",
                            who,
                            share(verdict.recall),
                            share(verdict.precision),
                            number(verdict.f1),
                            share(verdict.false_alarms),
                        ]
                    )
    return table(["tested", "detector", "recall", "precision", "F1", "false alarms"], rows)


def in_words(series, flow) -> str:
    """The page in a few sentences; the numbers are this run's."""
    held_out, left_out = series.verdicts["capture", "model", ""], series.verdicts["source", "model", ""]
    at_card = series.verdicts["source", "card", ""]
    rule = series.verdicts["capture", "rule", ""]
    flows = flow.verdicts["source", "model", ""]
    words = (
        f"In short: of captures that were held out, `miner_series` finds {of(held_out.recall)} series of miners and "
        f"reports {of(held_out.false_alarms)} benign series. Of whole sources that were left out it finds "
        f"{of(left_out.recall)} and reports {of(left_out.false_alarms)}, with the threshold that each model chose for "
        f"itself; with the card's stricter threshold it finds {of(at_card.recall)}. The transparent NEMEA rule finds "
        f"{of(rule.recall)} on the same rows, and reports {of(rule.false_alarms)} benign series. Single flows do not "
        f"transfer to other networks: with its source left out, `cds_flow` finds {percent(flows.recall.value)} of the "
        f"flows of miners."
    )
    return textwrap.fill(words, 80)


def of(part: Share) -> str:
    return f"{part.hits} of {part.total}"


def sources_table(records: pd.DataFrame, series: pd.DataFrame) -> str:
    both, router = records[records.rendering == data.BOTH_WAYS], series[series.rendering == data.ROUTER]
    rows = []
    for (source, label), part in both.groupby(["source", "label"]):
        windows = router[(router.source == source) & (router.label == label)]
        n_units = windows[recipes.SERIES.unit].drop_duplicates().shape[0]
        origin = package.ORIGIN_OF.get(source, "unlabelled network, for the count of alarms only")
        rows.append(
            [source, label, str(part.capture.nunique()), f"{len(part):,}", str(n_units), f"{len(windows):,}", origin]
        )
    return table(["source", "label", "captures", "flows", "series", "windows", "origin"], rows)


def renderings_table(study) -> str:
    return table(["export", *HEAD], [verdict_row(name, verdict) for name, verdict in study.renderings.items()])


def others_table(study) -> str:
    return table(
        ["source", "label", "alarms"],
        [[source, label, share(part)] for (source, label), part in sorted(study.others.items())],
    )


def filter_parts(study: filtering.Study, threshold: float) -> list[str]:
    return [
        prose.FILTER.format(threshold=threshold),
        filter_table(study),
        prose.FILTER_SOURCES,
        filter_source_table(study),
        prose.FILTER_CLOSING,
    ]


SPLIT_NAMES = {"capture": "captures held out", "source": "a source left out"}


def filter_table(study: filtering.Study) -> str:
    rows = []
    for (split, share_passed), cost in study.costs.items():
        is_card = share_passed == isolation.RECIPE.false_alarm_goal
        name = f"{SPLIT_NAMES[split]}, filter for {percent(share_passed, 0)}" + (" (card)" if is_card else "")
        pairs = [pair for name in ("model", "cds") for pair in (cost.found[name], cost.false_alarms[name])]
        rows.append(
            [name, percent(cost.benign_passed.value), percent(cost.miners_passed.value), *(fewer(pair) for pair in pairs)]
        )
    head = ["tested", "benign passed", "miners passed", "found: model", "false: model", "found: CDS", "false: CDS"]
    return table(head, rows)


def fewer(pair: tuple[Share, Share]) -> str:
    return f"{pair[0].hits:,} → {pair[1].hits:,}"


def filter_source_table(study: filtering.Study) -> str:
    rows = [
        [source, share(cost.benign_passed), share(cost.miners_passed)]
        for (split, source), cost in sorted(study.by_source.items())
        if split == "source"
    ]
    return table(["source", "benign passed", "miners passed"], rows)


def ablation_table(ablations: list) -> str:
    rows = [
        [
            item.name,
            number(item.auc_capture),
            percent(item.recall_capture),
            number(item.auc_source),
            percent(item.recall_source),
        ]
        for item in ablations
    ]
    head = ["features", "AUC, captures held out", "recall at 1 %", "AUC, a source left out", "recall at 1 %"]
    return table(head, rows)


def importance_table(built) -> str:
    gain = built.forest.feature_importances_
    order = np.argsort(-gain, kind="stable")
    return table(
        ["feature", "share of the impurity that it removes"],
        [[f"`{built.recipe.features[i]}`", percent(gain[i])] for i in order],
    )


def aims(series) -> str:
    """What was aimed at, and whether it was reached."""
    capture, source = series.verdicts["capture", "model", ""], series.verdicts["source", "model", ""]
    rows = [
        ["captures held out: F1 ≥ 0.96", number(capture.f1, capture.f1_interval), met(capture.f1 >= 0.96)],
        ["captures held out: precision ≥ 0.999", share(capture.precision), met(capture.precision.value >= 0.999)],
        ["a source left out: recall ≥ 0.9", share(source.recall), met(source.recall.value >= 0.9)],
        [
            "a source left out: false alarms ≤ 0.1 %",
            share(source.false_alarms),
            met(source.false_alarms.value <= 0.001),
        ],
    ]
    return "Goals of `miner_series`:\n\n" + table(["aim", "measured", ""], rows)


def met(is_met: bool) -> str:
    return "met" if is_met else "not met"


def draw(folder: Path, series, flow) -> None:
    names = {"model": "model", "rule": "NEMEA rule", "cds": "CDS forest"}
    for study, name, measure, title in (
        (series, "miner_series-recall", "recall", "Recall per left-out source (series of miners)"),
        (series, "miner_series-alarms", "false_alarms", "False alarms per left-out source (benign series)"),
        (flow, "cds_flow-recall", "recall", "Recall per left-out source (flows of miners)"),
    ):
        plots.shares_by_source(study.verdicts, measure, names, title, folder / f"{name}.svg")
    for name, study in (("miner_series", series), ("cds_flow", flow)):
        rivals = {d: study.verdicts["capture", d, ""] for d in ("rule", "cds") if ("capture", d, "") in study.verdicts}
        plots.trade(study.units, rivals, names, f"{name}: all thresholds", folder / f"{name}-trade.svg")
