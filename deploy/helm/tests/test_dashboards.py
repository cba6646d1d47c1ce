"""The dashboards: Grafana can read them, every query parses, and names metrics and labels that Davy exports."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from typing import Any

import promql
import yaml
from chart import CHART, MINIMAL, Values, of_kind, render

FOLDER = CHART / "files/dashboards"
ON: Values = {"dashboards": {"enabled": True, "labels": {"grafana_dashboard": "1"}}}
# What Grafana puts in place of its variables.
FILLED = {"$__rate_interval": "5m", "$namespace": "davy-system", "$pipeline": ".*"}


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each query of each panel and variable, with where it is."""
    for file, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield f"{file}, panel `{panel['title']}`", target["expr"]
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.*), ([a-z_]+)\)", variable["definition"])
                assert found, f"{file}: variable {variable['name']} is no call of label_values"
                yield f"{file}, variable `{variable['name']}`", f"count by ({found[2]}) ({found[1]})"


def filled(query: str) -> str:
    for variable, value in FILLED.items():
        query = query.replace(variable, value)
    return query


def parse_errors(expressions: list[str]) -> str:
    """What promtool says of these queries, as rules."""
    rules = [{"record": f"query:{index}", "expr": filled(query)} for index, query in enumerate(expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        done = subprocess.run(["promtool", "check", "rules", "--lint=none", file.name], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Dashboards(unittest.TestCase):
    def test_every_query_parses_and_names_what_davy_exports(self) -> None:
        metrics = promql.exported()
        all_queries = list(queries())
        self.assertGreater(len(all_queries), 40)
        self.assertEqual(parse_errors([query for _, query in all_queries]), "")
        for place, query in all_queries:
            self.assertEqual(promql.complaints(filled(query), metrics), [], place)
            self.assertNotIn("$", filled(query), place)

    def test_a_query_that_does_not_parse_is_refused(self) -> None:
        self.assertIn("could not parse expression", parse_errors(["sum by (pipeline) (rate(davy_commit_total[5m])"]))

    def test_every_metric_of_a_cluster_is_on_a_dashboard(self) -> None:
        shown = " ".join(query for _, query in queries())
        # Few and rare: only alerts look at them.
        left_out = {"davy_coordinator_connections_refused_total", "davy_coordinator_workers_hung_up_total", "davy_coordinator_catalog_writes_total"}
        missing = [name for name in promql.exported() if not re.search(rf"\b{name}(_bucket)?\b", shown) and name not in left_out]
        self.assertEqual(missing, [])

    def test_every_panel_is_explained_and_in_its_place(self) -> None:
        self.assertEqual(set(dashboards()), {"overview.json", "pipeline.json", "detections.json"})
        for file, dashboard in dashboards().items():
            self.assertEqual(dashboard["uid"], f"davy-{pathlib.Path(file).stem}")
            taken: set[tuple[int, int]] = set()
            ids = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)), file)
            for panel in dashboard["panels"]:
                grid = panel["gridPos"]
                cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
                self.assertFalse(cells & taken, f"{file}: `{panel['title']}` lies on another panel")
                self.assertLessEqual(grid["x"] + grid["w"], 24)
                taken |= cells
            for panel in panels(dashboard):
                self.assertTrue(panel["description"], f"{file}: {panel['title']}")
                self.assertEqual(panel["datasource"]["uid"], "${datasource}", f"{file}: {panel['title']}")

    def test_the_chart_makes_a_config_map_of_each_file_as_it_is(self) -> None:
        maps = of_kind(render(MINIMAL, ON), "ConfigMap")
        files = {name: text for found in maps for name, text in found["data"].items() if name.endswith(".json")}
        self.assertEqual({name: json.loads(text) for name, text in files.items()}, dashboards())
        labelled = [found for found in maps if found["metadata"]["labels"].get("grafana_dashboard") == "1"]
        self.assertEqual(len(labelled), len(files))


if __name__ == "__main__":
    unittest.main()
