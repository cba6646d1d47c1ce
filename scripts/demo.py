#!/usr/bin/env python3
"""Reports on the recorded session: who mines, which detectors find it, and why.

    scripts/demo.py --davy target/release/davy

The session in models/capture has labels. Beside the verdicts of the forest this prints, for each conversation that a detector reports or
that is a miner by its label: the best score of the forest, the points of the transparent rule, and whether the connection deviates from
a baseline. Then it compares each detector with the labels, and proves one verdict with `davy explain-alert`.

The baseline stands for the time before the miners came: it is learned from the other conversations of the first quarter of an hour.
"""

import argparse
import csv
import gzip
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SESSION = ROOT / "models/capture/lab.csv.gz"
LABELS = ROOT / "models/capture/labels.csv"
FOREST = ROOT / "pipelines/miners_forest.sql"
LEARNED_UNTIL = "2026-11-21 06:45:00"
N_FLOWS = 5

# Client, server and port of the server.
Conversation = tuple[str, str, str]


class Demo:
    def __init__(self, davy: str, folder: pathlib.Path):
        self.davy, self.folder = davy, folder
        with LABELS.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.labels = {(row["client"], row["server"], row["server_port"]): row for row in rows if row["protocol"] == "tcp"}

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.davy, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(done.returncode)
        return done.stdout

    def rows(self, script: pathlib.Path | str, *arguments: str) -> list[dict]:
        lines = self.run("run", str(script), "--quiet", "-o", "json", *arguments)
        return [json.loads(line) for line in lines.splitlines()]

    def is_miner(self, conversation: Conversation) -> bool:
        return conversation in self.labels and self.labels[conversation]["label"] == "miner"

    def kind(self, conversation: Conversation) -> str:
        return self.labels[conversation]["kind"] if conversation in self.labels else "unlabelled"

    def deviations(self) -> set[Conversation]:
        """The new connections after a baseline without miners."""
        before, after = self.folder / "before.csv", self.folder / "after.csv"
        with gzip.open(SESSION, "rt", newline="") as file, before.open("w", newline="") as early, after.open("w", newline="") as late:
            header, *records = (row for row in csv.reader(file) if 7 < len(row))
            for output in (early, late):
                csv.writer(output).writerow(header)
            for row in records:
                sa, da, sp, dp = row[3:7]
                if row[1] >= LEARNED_UNTIL:
                    csv.writer(late).writerow(row)
                elif not self.is_miner((sa, da, dp)) and not self.is_miner((da, sa, sp)):
                    csv.writer(early).writerow(row)
        baseline = self.folder / "baseline.yaml"
        subprocess.run([self.davy, "baseline", "learn", "--input", before, "--out", baseline], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        subprocess.run([self.davy, "baseline", "export", baseline, "--out", self.folder], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        lists = [f"{name}.path={self.folder / name}.csv" for name in ("connections", "hosts", "suppressions")]
        sets = [argument for setting in lists for argument in ("--set", setting)]
        found = self.rows("pipelines/baseline.sql", "--input", str(after), *sets)
        return {(row["host"], row["peer"], str(row["port"])) for row in found if row["direction"] == "out" and row["protocol"] == "TCP"}

    def evidence_script(self) -> pathlib.Path:
        """The forest's pipeline with an id and what moved the score, so that a verdict can be explained."""
        text = FOREST.read_text()
        features = re.search(r"mining_score\((.*?)\) AS score", text, re.DOTALL)
        head, found, tail = text.rpartition("\nSELECT\n")
        if features is None or not found:
            sys.exit(f"{FOREST}: the query has changed, and this demo has not")
        added = "    alert_id('demo', client, server, port, window.start) AS id,\n    mining_score_explain(" + features[1] + ") AS why,\n"
        script = self.folder / "evidence.sql"
        script.write_text(head + found + added + tail)
        return script


def key(row: dict) -> Conversation:
    return row["client"], row["server"], str(row["port"])


def best(rows: list[dict]) -> dict[Conversation, float]:
    scores: dict[Conversation, float] = {}
    for row in rows:
        scores[key(row)] = max(row["score"], scores.get(key(row), 0))
    return scores


def cell(scores: dict[Conversation, float], one: Conversation) -> str:
    return f"{scores[one]:g}" if one in scores else "-"


def show(header: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--davy", required=True)
    davy = parser.parse_args().davy
    with tempfile.TemporaryDirectory() as folder:
        report(Demo(davy, pathlib.Path(folder)))


def report(demo: Demo) -> None:
    evidence = demo.evidence_script()
    verdicts = demo.rows(evidence)
    forest, rule, new = best(verdicts), best(demo.rows("pipelines/miners.sql", "--input", str(SESSION))), demo.deviations()
    miners = {conversation for conversation in demo.labels if demo.is_miner(conversation)}

    print("Who mines: the forest, the transparent rule, the baseline, and the labels\n")
    shown = sorted(miners | set(forest), key=lambda one: (-forest.get(one, 0), one))
    rows = [[*one, cell(forest, one), cell(rule, one), "new" if one in new else "-", demo.kind(one)] for one in shown]
    show(["client", "server", "port", "forest", "rule", "connection", "label"], rows)

    print("How right they are, by the labels of the session's TCP conversations\n")
    detectors = {"forest (score from 0.89)": set(forest), "rule (points of NEMEA)": set(rule), "baseline (new connections)": new}
    rows = []
    for name, found in detectors.items():
        found &= set(demo.labels)
        rows.append([name, f"{len(found & miners)} of {len(miners)}", f"{len(found - miners)} of {len(demo.labels) - len(miners)}"])
    show(["detector", "miners found", "benign reported"], rows)
    print("The forest was trained on this session: models/EVALUATION.md says how good it is elsewhere. The baseline was learned from the")
    print("benign conversations of the first quarter of an hour, as before the miners came.\n")

    print("Why: the first verdict, from its flows again (davy explain-alert)\n", flush=True)
    alert = demo.folder / "alert.json"
    alert.write_text(json.dumps(max(verdicts, key=lambda row: row["score"])))
    subprocess.run([demo.davy, "explain-alert", alert, "--pipeline", evidence, "--flows", str(N_FLOWS)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
