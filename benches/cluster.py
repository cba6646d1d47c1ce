#!/usr/bin/env python3
"""Measures a cluster over a real Kafka broker on this machine: failover, hand-over, and what a second worker brings.

    make bench-cluster                  # or: benches/cluster.py --davy target/release/davy [--only failover]

Coordinator and workers are processes of the release build. Speed is counted in CPU seconds of the workers' processes, so the broker and the
coordinator on the same cores do not count. Prints one JSON object per measurement.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kafka import FILL, PARTITIONS, TUMBLE, Bench, cpu_seconds, report  # noqa: E402

RATE = 20_000


class Cluster:
    """A coordinator and its workers."""

    def __init__(self, davy, folder, *options):
        self.davy, self.folder, self.workers = davy, folder, {}
        self.coordinator = subprocess.Popen(
            [davy, "coordinator", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--startup-grace-period", "0s", "--tasks", str(PARTITIONS), *options],
            stdout=subprocess.PIPE, stderr=(folder / "coordinator.log").open("w"), text=True)
        self.address = "http://" + re.search(r"grpc=(\S+)", self.coordinator.stdout.readline()).group(1)

    def start(self, name):
        log = (self.folder / f"{name}.log").open("w")
        command = [self.davy, "worker", "--coordinator", self.address, "--name", name, "--slots", "4", "--http", "off"]
        self.workers[name] = subprocess.Popen(command, stderr=log, env={**os.environ, "DAVY_LOG": "info"})

    def query(self, *arguments):
        out = subprocess.run([self.davy, *arguments, "--coordinator", self.address, "-o", "json"], capture_output=True, text=True)
        if out.returncode != 0:
            sys.exit(out.stderr)
        return [json.loads(line) for line in out.stdout.splitlines()]

    def await_running(self, on=None):
        while True:
            tasks = self.query("tasks")
            if tasks and all(t["state"] == "running" and (on is None or t["worker_name"] in on) for t in tasks):
                return tasks

    def stop(self):
        for process in [*self.workers.values(), self.coordinator]:
            process.send_signal(signal.SIGTERM)
        for process in [*self.workers.values(), self.coordinator]:
            process.wait(timeout=60)


def lines(path, ending):
    """Task and time of each log line about it that ends so."""
    found = {}
    for line in path.read_text().splitlines():
        if ending in line and (task := re.search(r"task=(\S+/\d+/\d+/\d+) epoch", line)):
            text = re.sub(r"\x1b\[[0-9;]*m", "", line).split()[0]
            found[task.group(1)] = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found


def failover(bench, repeats):
    """From SIGKILL of one of two workers until all tasks run and less than a second of input waits."""
    seconds = []
    bench.topic("failover")
    feeder = bench.start(bench.script(FILL.format(topic="failover", packed=1, rows=100_000_000, rate=RATE, realtime="true", extra="")))
    cluster = Cluster(bench.davy, bench.folder, "--lease-timeout", "3s", "--heartbeat", "500ms")
    cluster.start("w0")
    cluster.start("w1")
    cluster.query("submit", bench.script(TUMBLE.format(topic="failover")), "--name", "failover", "--wait")
    for turn in range(repeats):
        while len({t["worker_name"] for t in cluster.await_running()}) < 2:
            pass
        victim = f"w{turn}"
        begun = time.monotonic()
        cluster.workers.pop(victim).kill()
        survivors = set(cluster.workers)
        cluster.await_running(on=survivors)
        while sum(t["lag_messages"] for t in cluster.query("tasks")) > RATE:
            pass
        seconds.append(time.monotonic() - begun)
        cluster.start(f"w{turn + 2}")
    feeder.kill()
    cluster.stop()
    report("failover", lease_timeout_seconds=3, kills=repeats, seconds_median=round(statistics.median(seconds), 2), seconds_max=round(max(seconds), 2))


def hand_over(bench):
    """From a task's last commit on one worker until it runs on another, when a second worker joins and when one leaves."""
    bench.topic("moves")
    feeder = bench.start(bench.script(FILL.format(topic="moves", packed=1, rows=100_000_000, rate=RATE, realtime="true", extra="")))
    cluster = Cluster(bench.davy, bench.folder)
    cluster.start("a")
    cluster.query("submit", bench.script(TUMBLE.format(topic="moves")), "--name", "moves", "--wait")
    time.sleep(6)  # Moves for balance wait until the last one is some seconds old.
    cluster.start("b")
    while len({t["worker_name"] for t in cluster.await_running()}) < 2:
        pass
    joined = lines(bench.folder / "b.log", "running")
    left = lines(bench.folder / "a.log", "stopped after its last commit")
    gaps = [(joined[task] - left[task]).total_seconds() for task in joined if task in left]
    cluster.workers.pop("b").send_signal(signal.SIGTERM)
    cluster.await_running(on={"a"})
    back, gone = lines(bench.folder / "a.log", "running"), lines(bench.folder / "b.log", "stopped after its last commit")
    gaps += [(back[task] - gone[task]).total_seconds() for task in gone if task in back and gone[task] < back[task]]
    feeder.kill()
    cluster.stop()
    report("hand-over", tasks=len(gaps), seconds_median=round(statistics.median(gaps), 2), seconds_max=round(max(gaps), 2))


def scaling(bench, repeats):
    """Flows per CPU second of the workers, with one and with two of them, over the same input."""
    bench.topic("scaling")
    bench.fill("scaling", 1, bench.rows)
    speeds = {1: [], 2: []}
    for turn in range(repeats):
        for n in (1, 2):
            cluster = Cluster(bench.davy, bench.folder)
            for number in range(n):
                cluster.start(f"s{number}")
            while len(cluster.query("workers")) < n:
                pass
            script = bench.script(TUMBLE.format(topic="scaling"))
            name = pathlib.Path(script).stem
            cluster.query("submit", script, "--name", name, "--wait")
            while bench.lag(script) != 0:
                pass
            speeds[n].append(bench.rows / sum(cpu_seconds(worker.pid) for worker in cluster.workers.values()))
            cluster.stop()
    one, two = statistics.median(speeds[1]), statistics.median(speeds[2])
    report("scaling", flows=bench.rows, one_worker=round(one), two_workers=round(two), efficiency=round(two / one, 3),
           runs={n: [round(s) for s in speeds[n]] for n in speeds})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davy", required=True)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["failover", "hand-over", "scaling"])
    args = parser.parse_args()
    if "DAVY_KAFKA" not in os.environ:
        sys.exit("DAVY_KAFKA is not set: run it by `make bench-cluster`, or export the address of a broker")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.davy, args.rows, folder)
        bench.topic("sums")
        if args.only in (None, "failover"):
            failover(bench, 5)
        if args.only in (None, "hand-over"):
            hand_over(bench)
        if args.only in (None, "scaling"):
            scaling(bench, args.repeats)


if __name__ == "__main__":
    main()
