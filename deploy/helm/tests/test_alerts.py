"""The alerts: each fires and keeps quiet when it should, names metrics that Davy exports, and has a runbook."""

from __future__ import annotations

import pathlib
import re
import subprocess
import tempfile
import unittest
from typing import Any

import promql
import yaml
from chart import MINIMAL, NAMESPACE, REPOSITORY, Refused, Values, merged, of_kind, render

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(pathlib.Path(__file__).with_name("alerts.yaml").read_text())
RUNBOOKS = REPOSITORY / "docs/runbooks"
SECTIONS = ["Meaning", "First command", "Likely causes", "Remedy"]
ON: Values = {"alerts": {"enabled": True}}


def groups(*layers: Values) -> list[dict[str, Any]]:
    (rule,) = of_kind(render(MINIMAL, ON, *layers), "PrometheusRule")
    return rule["spec"]["groups"]


def rules(*layers: Values) -> dict[str, dict[str, Any]]:
    found = [rule for group in groups(*layers) for rule in group["rules"]]
    return {rule["alert"]: rule for rule in found}


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def series(line: str) -> dict[str, str]:
    metric, values = re.fullmatch(r"(\S+?\{.*\}) (.*)", line).groups()  # type: ignore[union-attr]
    return {"series": metric.replace("{", f'{{namespace="{NAMESPACE}",', 1), "values": values}


def unit_test(alert: str, case: dict[str, Any], kind: str) -> dict[str, Any]:
    """One test of promtool: how many alerts with these labels fire."""
    labels = {"alertname": alert, "alertstate": "firing", **case.get("labels", {})} if kind == "fires" else {"alertname": alert, "alertstate": "firing"}
    selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
    samples = [{"labels": "{}", "value": 1}] if kind == "fires" else []
    return {
        "name": f"{alert} {kind}: {case['name']}",
        "interval": "1m",
        "input_series": [series(line) for line in case[kind]],
        "promql_expr_test": [{"expr": f"count(ALERTS{{{selector}}})", "eval_time": case["at"], "exp_samples": samples}],
    }


def verdict(tests: list[dict[str, Any]], rule_groups: list[dict[str, Any]]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups}))
        pathlib.Path(folder, "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
        return promtool("check", "rules", f"{folder}/rules.yaml") or promtool("test", "rules", f"{folder}/test.yaml")


class Alerts(unittest.TestCase):
    def test_every_alert_fires_and_keeps_quiet_when_it_should(self) -> None:
        rule_groups = groups()
        self.assertGreaterEqual(sum(len(group["rules"]) for group in rule_groups), 12)
        tests = [unit_test(alert, case, kind) for alert, cases in CASES.items() for case in cases for kind in ("fires", "quiet") if kind in case]
        self.assertEqual(verdict(tests, rule_groups), "")

    def test_a_case_that_expects_the_opposite_fails(self) -> None:
        case = CASES["DavyTwoLeaders"][0]
        swapped = {**case, "fires": case["quiet"], "quiet": case["fires"]}
        rule_groups = groups()
        for kind in ("fires", "quiet"):
            self.assertIn("FAILED", verdict([unit_test("DavyTwoLeaders", swapped, kind)], rule_groups))

    def test_every_alert_has_both_kinds_of_cases(self) -> None:
        self.assertEqual(set(CASES), set(rules()))
        for alert, cases in CASES.items():
            for kind in ("fires", "quiet"):
                self.assertTrue(any(kind in case for case in cases), f"{alert}: no case `{kind}`")

    def test_every_alert_names_metrics_and_labels_that_davy_exports(self) -> None:
        metrics = promql.exported()
        for alert, rule in rules().items():
            self.assertEqual(promql.complaints(rule["expr"], metrics), [], alert)

    def test_every_alert_says_what_happens_and_links_to_its_runbook(self) -> None:
        for alert, rule in rules({"alerts": {"runbooksUrl": "https://example.org/runbooks/"}}).items():
            notes = rule["annotations"]
            self.assertEqual(set(notes), {"summary", "description", "runbook_url"}, alert)
            self.assertEqual(notes["runbook_url"], f"https://example.org/runbooks/{alert}.md")
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"), alert)

    def test_every_runbook_has_its_alert_and_its_sections(self) -> None:
        pages = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md")}
        self.assertEqual(set(pages), set(rules()))
        for alert, page in pages.items():
            self.assertTrue(page.startswith(f"# {alert}\n"), alert)
            self.assertEqual(re.findall(r"^## (.*)$", page, re.MULTILINE), SECTIONS, alert)
            first = re.search(r"## First command\n\n```sh\n(.+)\n```", page)
            self.assertIsNotNone(first, f"{alert}: no first command")

    def test_thresholds_are_values(self) -> None:
        changed = rules({"alerts": {"thresholds": {"lagMessages": 5, "commitSeconds": 0.5, "taskRestarts": 9}}, "coordinator": {"replicas": 3}})
        for alert, part in [("DavyLagGrows", "> 5)"), ("DavyCommitsSlow", "> 0.5"), ("DavyTaskRestarts", "> 9"), ("DavyNoStandby", "< 3")]:
            self.assertIn(part, changed[alert]["expr"])
        for rule in changed.values():
            self.assertEqual(re.findall(r"\b[A-Z]+_[A-Z]+\b|NAMESPACE|RUNBOOKS|COORDINATORS|RESTARTS", str(rule)), [])

    def test_a_wrong_threshold_is_refused_with_its_path(self) -> None:
        with self.assertRaisesRegex(Refused, "/alerts/thresholds/lateRowsShare"):
            render(merged(MINIMAL, ON, {"alerts": {"thresholds": {"lateRowsShare": 3}}}))


class Queries(unittest.TestCase):
    def test_an_unknown_metric_or_label_is_named(self) -> None:
        metrics = promql.exported()
        self.assertIn("davy_commit_seconds", metrics)
        for query, expected in [
            ('sum by (le) (rate(davy_commit_seconds_bucket{pipeline="a"}[1m]))', []),
            ("davy_commits", ["Davy exports no `davy_commits`"]),
            ("davy_commit_seconds", ["`davy_commit_seconds` is no series of the histogram `davy_commit_seconds`"]),
            ('davy_commit_total{topic="x"}', ["`davy_commit_total` has no label `topic`"]),
            ("sum by (table) (davy_commit_total)", ["no series of the query has a label `table`"]),
            ("up", ["names no metric of Davy: up"]),
        ]:
            self.assertEqual(promql.complaints(query, metrics), expected, query)


if __name__ == "__main__":
    unittest.main()
