"""What a query in PromQL names: metrics and labels, and whether Davy exports them, by the tables of docs/operations.md."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chart import REPOSITORY

# What Prometheus and its operator add to every series of a pod, and what distinguishes the buckets of a histogram.
ADDED = frozenset({"namespace", "pod", "container", "job", "instance", "node", "endpoint"})
SUFFIXES = ("_bucket", "_sum", "_count")
_ROW = re.compile(r"^\| `(davy_[a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*)\|")
_SELECTOR = re.compile(r"\b(davy_[a-z_]+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Metric:
    kind: str
    labels: frozenset[str]


def exported() -> dict[str, Metric]:
    """The metrics of coordinators and workers. A test of the command line compares the page with what processes export."""
    rows = (_ROW.match(line) for line in (REPOSITORY / "docs/operations.md").read_text().splitlines())
    return {row[1]: Metric(row[2], frozenset(re.findall(r"`([a-z_]+)`", row[3]))) for row in rows if row}


def complaints(query: str, metrics: dict[str, Metric]) -> list[str]:
    """Metrics and labels of a query that Davy does not export."""
    found: list[str] = []
    usable = set(ADDED)
    named = list(_SELECTOR.finditer(re.sub(r'"[^"]*"', '""', query)))
    if not named:
        found.append(f"names no metric of Davy: {query}")
    for match in named:
        name = match[1]
        family = next((name.removesuffix(end) for end in SUFFIXES if name.removesuffix(end) in metrics and name.endswith(end)), name)
        metric = metrics.get(family)
        if metric is None:
            found.append(f"Davy exports no `{name}`")
            continue
        if (metric.kind == "histogram") == (family == name):
            found.append(f"`{name}` is no series of the {metric.kind} `{family}`")
        labels = metric.labels | ADDED | ({"le"} if name.endswith("_bucket") else set())
        usable |= labels
        found += [f"`{name}` has no label `{label}`" for label in _LABEL.findall(match[2] or "") if label not in labels]
    for match in _GROUPING.finditer(query):
        names = [label.strip() for label in match[1].split(",") if label.strip()]
        found += [f"no series of the query has a label `{label}`" for label in names if label not in usable]
    return found
