"""Tests a recipe: split by capture, and leave-one-source-out. Every tested row is scored by a model, and judged by a
threshold, that saw nothing of its capture (or of its whole source)."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from . import data, forest, measures, splits

Splitter = Callable[[pd.DataFrame], Iterator[tuple[str, np.ndarray]]]


def tested(
    table: pd.DataFrame, recipe: forest.Recipe, splitter: Splitter, report: Callable[[str], None]
) -> pd.DataFrame:
    """All rows of all splits with `score`, `threshold` (of the split's model) and `alarm`.

    Rows of other labels (probes, unlabelled) are scored, never trained on.
    """
    parts = []
    trained = {}
    for name, test in splitter(table):
        splits.check_apart(table, test)
        train = table[~test & recipe.trains_on(table)]
        # Sources that teach nothing leave the same rows behind.
        rows = train.index.to_numpy().tobytes()
        if rows not in trained:
            threshold = forest.threshold(train, forest.out_of_fold(train, recipe), recipe)
            trained[rows] = forest.fit(train, recipe), threshold
        model, threshold = trained[rows]
        score = forest.scores(model, table[test], recipe)
        report(f"{recipe.name}: {name} left out: trained on {len(train)} rows, threshold {threshold:.2f}")
        parts.append(table[test].assign(split=name, score=score, threshold=threshold, alarm=score >= threshold))
    return pd.concat(parts).sort_index()


def with_hosts(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(host=table.source + "/" + table.capture + "/" + table.client)


def clients_of_flows(records: pd.DataFrame) -> pd.DataFrame:
    """Records with `client`, `server`, `port` and `host`, by the pipelines' idea of a server."""
    low = records.sp < records.dp
    named = records.assign(
        client=records.da.where(low, records.sa),
        server=records.sa.where(low, records.da),
        port=records.sp.where(low, records.dp),
    )
    return with_hosts(named)


def population(records: pd.DataFrame, rendering: str) -> dict[str, tuple[int, set]]:
    """Per source: the number of flows, and the hosts, that a false alarm could have come from."""
    chosen = clients_of_flows(records[(records.rendering == rendering) & (records.label == "benign")])
    return {source: (len(part), set(part.host)) for source, part in chosen.groupby("source")}


def judged(rows: pd.DataFrame, key: list[str], people: dict, sources: list[str] | None = None) -> measures.Verdict:
    """The verdict over rows of some sources (all by default), with their flows and hosts."""
    chosen = rows if sources is None else rows[rows.source.isin(sources)]
    present = [people[source] for source in chosen.source.unique() if source in people]
    n_flows = sum(n for n, _ in present)
    n_hosts = len(set().union(*(hosts for _, hosts in present)))
    return measures.judge(measures.units(chosen, key), n_flows, n_hosts)


def with_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """The NEMEA rule's alarms on the same rows; it has no score finer than its alarm."""
    return rows.assign(score=rows.rule.astype(float), alarm=rows.rule)


def with_cds(rows: pd.DataFrame, records: pd.DataFrame, flow_scores: np.ndarray, threshold: float) -> pd.DataFrame:
    """The CDS forest on the same series: the greatest confidence among their flows.

    It was made for records of both directions and gets those, whichever rendering the series was computed from.
    """
    scored = records.assign(cds=flow_scores)
    scored = clients_of_flows(scored[(scored.rendering == data.BOTH_WAYS) & (scored.pr == "TCP")])
    unit = ["source", "capture", "client", "server", "port"]
    best = scored.groupby(unit).cds.max().reset_index()
    joined = rows.drop(columns=["score", "alarm"]).merge(best, on=unit, how="left")
    confidence = joined.cds.fillna(0.0)
    return joined.assign(score=confidence, alarm=confidence >= threshold)


def never_scored(records: pd.DataFrame, rows: pd.DataFrame, rendering: str) -> pd.Series:
    """Miners per source that no window ever had three flows of: no series model can see them."""
    chosen = records[(records.rendering == rendering) & (records.pr == "TCP") & (records.label == "miner")]
    unit = ["source", "capture", "client", "server", "port"]
    everyone = clients_of_flows(chosen)[unit].drop_duplicates()
    seen = rows[rows.rendering == rendering][unit].drop_duplicates().assign(seen=True)
    joined = everyone.merge(seen, on=unit, how="left")
    return joined[joined.seen.isna()].groupby("source").size()
