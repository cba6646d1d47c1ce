"""The evaluation of both models, as numbers: what `report` prints and `plots` draws."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from . import augment, data, evaluate, features, forest, measures, recipes, rivals, splits

NEVER_TRAINED = ["pool-probe", "coin-p2p", "unlabelled"]


@dataclass
class Study:
    """Verdicts of one model. Keys: split (`capture`, `source`), then detector, then source ('' = all)."""

    verdicts: dict[tuple[str, str, str], measures.Verdict]
    # Held-out captures, by rendering: the same models, on other exports of the captures.
    renderings: dict[str, measures.Verdict]
    # (source, label) -> alarms of units that are neither miners nor known to be benign, by models without that source.
    others: dict[tuple[str, str], measures.Share]
    # Split -> tested units with their scores.
    units: dict[str, pd.DataFrame]
    never_scored: dict[str, int]
    thresholds: dict[str, list[float]]
    # Split -> tested flows of the main tables, with the confidence of the CDS forest as `cds`.
    flows: dict[str, pd.DataFrame] = field(default_factory=dict)


def known(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows.label.isin(forest.TRAINED_LABELS)]


def known_sources(rows: pd.DataFrame) -> list[str]:
    return ["", *sorted(known(rows).source.unique())]


def verdicts_of(rows: pd.DataFrame, key: list[str], people: dict) -> dict[str, measures.Verdict]:
    rows = known(rows)
    return {source: evaluate.judged(rows, key, people, [source] if source else None) for source in known_sources(rows)}


def other_alarms(rows: pd.DataFrame, key: list[str]) -> dict[tuple[str, str], measures.Share]:
    chosen = rows[rows.label.isin(NEVER_TRAINED)]
    units = measures.units(chosen, key)
    return {
        group: measures.Share(int(part.alarm.sum()), len(part))
        for group, part in units.groupby(["unit_source", "label"])
    }


def units_of(tested: dict[str, pd.DataFrame], renderings: list[str], key: list[str]) -> dict[str, pd.DataFrame]:
    return {split: measures.units(known(rows[rows.rendering.isin(renderings)]), key) for split, rows in tested.items()}


def thresholds_of(rows: pd.DataFrame) -> list[float]:
    return rows.groupby("split").threshold.first().tolist()


def series_study(
    table: pd.DataFrame,
    records: pd.DataFrame,
    cds: rivals.CdsForest,
    flow_table: pd.DataFrame,
    card_threshold: float,
    say,
) -> Study:
    """`table`: rows of features_series.sql; `flow_table`: rows of features_flow.sql of `records`, in their order."""
    key = recipes.SERIES.unit
    people = evaluate.population(records, data.ROUTER)
    cds_scores = cds.scores(forest.matrix(flow_table, recipes.FLOW))
    verdicts, tested = {}, {}
    for split, splitter in (("capture", splits.by_capture), ("source", splits.by_source)):
        tested[split] = evaluate.tested(table, recipes.SERIES, splitter, say)
        rows = tested[split][tested[split].rendering == data.ROUTER]
        at_card = rows.assign(alarm=rows.score >= card_threshold)
        detectors = {
            "model": rows,
            "card": at_card,
            "rule": evaluate.with_rule(rows),
            "cds": evaluate.with_cds(rows, records, cds_scores, rivals.THRESHOLD),
        }
        for detector, judged_rows in detectors.items():
            for source, verdict in verdicts_of(judged_rows, key, people).items():
                verdicts[split, detector, source] = verdict
    held_out = tested["capture"]
    return Study(
        verdicts=verdicts,
        renderings=by_rendering(held_out, key, records),
        others=other_alarms(tested["source"][tested["source"].rendering == data.ROUTER], key),
        units=units_of(tested, [data.ROUTER], key),
        never_scored=evaluate.never_scored(records, table, data.ROUTER).to_dict(),
        thresholds={split: thresholds_of(rows) for split, rows in tested.items()},
    )


def by_rendering(rows: pd.DataFrame, key: list[str], records: pd.DataFrame) -> dict[str, measures.Verdict]:
    names = [*data.RENDERINGS, *augment.RENDERINGS]
    result = {}
    for name in names:
        chosen = known(rows[rows.rendering == name])
        if len(chosen):
            result[name] = evaluate.judged(chosen, key, evaluate.population(records, name))
    return result


def flow_study(table: pd.DataFrame, records: pd.DataFrame, cds: rivals.CdsForest, card_threshold: float, say) -> Study:
    """Per flow: records of both directions, each once as the client's and once as the server's flow came first."""
    key = recipes.FLOW.unit
    judged_renderings = [data.BOTH_WAYS, data.SERVER_FIRST]
    people = evaluate.population(records, data.BOTH_WAYS)
    verdicts, tested, judged = {}, {}, {}
    for split, splitter in (("capture", splits.by_capture), ("source", splits.by_source)):
        tested[split] = evaluate.tested(table, recipes.FLOW, splitter, say)
        rows = tested[split][tested[split].rendering.isin(judged_renderings)]
        confidence = cds.scores(forest.matrix(rows, recipes.FLOW))
        judged[split] = rows.assign(cds=confidence)
        detectors = {
            "model": rows,
            "card": rows.assign(alarm=rows.score >= card_threshold),
            "cds": rows.assign(score=confidence, alarm=confidence >= rivals.THRESHOLD),
        }
        for detector, judged_rows in detectors.items():
            for source, verdict in verdicts_of(judged_rows, key, doubled(people)).items():
                verdicts[split, detector, source] = verdict
    held_out = tested["capture"]
    sources = tested["source"]
    return Study(
        verdicts=verdicts,
        renderings={
            name: evaluate.judged(known(held_out[held_out.rendering == name]), key, evaluate.population(records, name))
            for name in data.FLOW_RENDERINGS
        },
        others=other_alarms(sources[sources.rendering.isin(judged_renderings)], key),
        units=units_of(tested, judged_renderings, key),
        never_scored={},
        thresholds={split: thresholds_of(rows) for split, rows in tested.items()},
        flows=judged,
    )


def doubled(people: dict) -> dict:
    """Each flow is judged in both orders, so that each counts twice."""
    return {source: (2 * n_flows, hosts) for source, (n_flows, hosts) in people.items()}


@dataclass(frozen=True)
class Ablation:
    """What a choice of features is worth: area under the curve, and recall at one false alarm in a hundred units."""

    name: str
    auc_capture: float
    recall_capture: float
    auc_source: float
    recall_source: float


def ablation(name: str, table: pd.DataFrame, recipe: forest.Recipe) -> Ablation:
    numbers = []
    rows = known(table).reset_index(drop=True)
    for splitter in (splits.by_capture, splits.by_source):
        parts = []
        for _, test in splitter(rows):
            model = forest.fit(rows[~test & recipe.trains_on(rows)], recipe)
            chosen = rows[test & (rows.rendering == data.ROUTER).to_numpy()]
            if len(chosen):
                parts.append(chosen.assign(score=forest.scores(model, chosen, recipe), alarm=False))
        units = measures.units(pd.concat(parts), recipe.unit)
        numbers += [measures.auc(units), recall_at(units, 0.01)]
    return Ablation(name, *numbers)


def recall_at(units: pd.DataFrame, false_alarm_share: float) -> float:
    """Recall at the least threshold with at most this share of false alarms among these units."""
    benign = np.sort(units[units.label == "benign"].score.to_numpy())[::-1]
    limit = benign[int(false_alarm_share * len(benign))]
    return float(np.mean(units[units.label == "miner"].score.to_numpy() > limit))


FEATURE_SETS = {"without timing (the model)": recipes.SERIES.features, "with timing": features.SERIES_FEATURES}
