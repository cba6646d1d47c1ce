#!/usr/bin/env python3
"""Measures the three options of the Cryptomining Detection System's own documents over the same topic of a real broker.

    make bench-options                  # or: benches/options.py --davy target/release/davy --data ../shared/data [--only found]

A is the Python way (benches/peers/cds_one_by_one.py), B is `davy cds`, C is pipelines/option_c.sql. All have the same forest, the one that the
system uses, as plain JSON in DATA. The records are labelled flows in DATA, of both directions, with their number and the time of
their production in the column for Zeek, which all options pass on. Prints one JSON object per measurement.

Rates count from the first verdicts to the last ones, so that the start of a process is left out; CPU seconds are those of the measured process alone. Latency is the time from just before a
record is produced until a consumer of committed messages has its verdict.
"""

import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import pandas as pd
from confluent_kafka import Consumer, Producer, TopicPartition

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "models")]
from kafka import PARTITIONS, cpu_seconds, report, tool  # noqa: E402
from training import data  # noqa: E402

FOREST = data.CDS_FOREST
THRESHOLD = "0.7"
# Trained by the project on captures that these flows are of; with its card's threshold.
OWN, OWN_THRESHOLD = ROOT / "models" / "cds_flow" / "card.toml", "0.88"
ZEEK = 48
STAMP = b"made-"
# Above so many flows per second, one in fifty is stamped, so that the bench's own consumer does not become the limit.
STAMP_ALL_MAX = 2_000
# How long no verdict comes before an option counts as done. A commit that waits for its broker takes some seconds.
SILENCE_S = 20


class Option:
    """A, B or C: how it is started."""

    def __init__(self, name, command, n_flows):
        self.name, self.command, self.n_flows = name, command, n_flows

    def start(self, source, sink, card=None):
        log = tempfile.TemporaryFile("w+")
        process = subprocess.Popen(self.command(source, sink, card), cwd=ROOT, stdout=log, stderr=log)
        process.log = log
        return process


def options(args, folder):
    forest = args.data / FOREST
    card = folder / "cds" / "card.toml"
    subprocess.run(
        [args.davy, "model", "import", forest, "--out", card.parent, "--name", "cds", "--threshold", THRESHOLD], check=True, stdout=subprocess.DEVNULL)
    broker = os.environ["DAVY_KAFKA"]
    peer = ROOT / "benches" / "peers" / "cds_one_by_one.py"
    commits = ["--commit-interval", args.commit_interval] if args.commit_interval else []

    def b(source, sink, model):
        return [args.davy, "cds", "-b", broker, "-c", source, "-p", sink, "--model", model or card, *commits]

    def c(source, sink, model):
        values = {"pipeline": f"c-{sink}", "mining_confidence.model": model or card, "flows.topic": source, "verdicts.topic": sink,
                  "flows.bootstrap_servers": broker, "verdicts.bootstrap_servers": broker}
        return [args.davy, "run", "pipelines/option_c.sql", *commits, *(part for key, value in values.items() for part in ("--set", f"{key}={value}"))]

    return [
        Option("A", lambda source, sink, _: [sys.executable, peer, broker, source, sink, forest], args.flows_a),
        Option("B", b, args.flows),
        Option("C", c, args.flows),
    ]


def labelled(folder):
    """Labelled flows of both directions as records of the system, and whether each is of a miner."""
    records = data.load(data.Folders(folder, ROOT / "models" / "capture"))
    rows = records[(records.rendering == data.BOTH_WAYS) & records.label.isin(["miner", "benign"])].sample(frac=1, random_state=1)
    return [record(row) for row in rows.itertuples()], (rows.label == "miner").tolist()


def record(row):
    """71 columns, in two parts, between which the stamp goes."""
    ratio = lambda a, b: a / b if b > 0 else 0.0  # noqa: E731
    moment = lambda s: str(pd.Timestamp(int(s), unit="s"))  # noqa: E731
    begin = [moment(row.ts), moment(row.te), f"{row.td:.3f}", row.sa, row.da, row.sp, row.dp, row.pr, row.flg, 0, 0, row.ipkt, row.ibyt, row.opkt, row.obyt]
    td = float(f"{row.td:.3f}")
    aggregates = [ratio(row.ipkt, td), ratio(row.opkt, td), ratio(row.ibyt, td), ratio(row.obyt, td),
                  ratio(row.ibyt, row.ipkt), ratio(row.obyt, row.opkt), ratio(row.ibyt, row.obyt), ratio(row.ipkt, row.opkt)]
    before = ",".join(str(value) for value in begin + [0] * 33)
    after = ",".join(str(value) for value in aggregates + [0] * 14)
    return f"{before},".encode(), f",{after}".encode()


class Bench:
    def __init__(self, records):
        self.records, self.broker, self.topics = records, os.environ["DAVY_KAFKA"], 0

    def topic(self, name):
        self.topics += 1
        name = f"{name}-{self.topics}"
        # Verdicts have the time of their flow, which is long ago.
        tool("TopicCommand", "--create", "--topic", name, "--partitions", str(PARTITIONS), "--config", "retention.ms=-1")
        return name

    def producer(self):
        return Producer({"bootstrap.servers": self.broker, "linger.ms": 2, "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000})

    def fill(self, topic, n_flows):
        producer = self.producer()
        for number in range(n_flows):
            self.produce(producer, topic, number, b"%d" % number)
        producer.flush()

    def produce(self, producer, topic, number, stamp):
        before, after = self.records[number % len(self.records)]
        while True:
            try:
                producer.produce(topic, value=before + stamp + after, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.01)
        if number % 100 == 0:
            producer.poll(0)

    def consumer(self, topic):
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "none", "enable.auto.commit": False, "isolation.level": "read_committed",
                             "fetch.wait.max.ms": 5, "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        return consumer


def batches(consumer, n_wanted, is_over):
    """Values of committed verdicts as the consumer has them, with the time."""
    n_seen = 0
    while n_seen < n_wanted and not is_over():
        values = [message.value() for message in consumer.consume(10_000, 0.2) if message.error() is None]
        n_seen += len(values)
        if values:
            yield time.time(), values


def silent_for(seconds, process, last):
    """Ends the wait for verdicts that a filter has kept back, and a measurement whose process has died."""

    def is_over():
        if process.poll() is not None:
            process.log.seek(0)
            sys.exit(f"it ended: {process.log.read()}")
        return last[0] is not None and seconds < time.time() - last[0]

    return is_over


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def drain(bench, option, source, keep, card=None):
    """Runs an option over the topic: rates from the first verdicts to the last, and the verdicts if `keep`."""
    sink, kept, last, first, n_seen = bench.topic(f"out-{option.name.lower()}"), [], [None], None, 0
    consumer = bench.consumer(sink)
    process = option.start(source, sink, card)
    # A filter keeps back what is not unusual: the topic has been read when no verdict has come for some seconds.
    for at, values in batches(consumer, option.n_flows, silent_for(SILENCE_S, process, last)):
        last[0], n_seen, cpu = at, n_seen + len(values), cpu_seconds(process.pid)
        first = first or (at, n_seen, cpu)
        if keep:
            kept += values
    stop(process)
    consumer.close()
    n_flows = option.n_flows * (n_seen - first[1]) / n_seen
    # Not zero where everything came at once, in a run that is too short to say anything.
    seconds, cpu = max(last[0] - first[0], 0.01), max(cpu - first[2], 0.01)
    return {"verdicts": n_seen, "flows_counted": n_flows, "seconds": seconds, "cpu_seconds": cpu}, kept


def throughput(bench, option, source, repeats):
    runs = [drain(bench, option, source, False)[0] for _ in range(repeats)]
    if 1 < len({run["verdicts"] for run in runs}) and option.name != "A":
        sys.exit(f"option {option.name} gave {[run['verdicts'] for run in runs]} verdicts for the same flows")
    rates = [run["flows_counted"] / run["seconds"] for run in runs]
    per_cpu = [run["flows_counted"] / run["cpu_seconds"] for run in runs]
    report("throughput", option=option.name, flows=option.n_flows, verdicts=runs[0]["verdicts"], flows_per_second=round(statistics.median(rates)),
           flows_per_cpu_second=round(statistics.median(per_cpu)), runs=[{key: round(value, 2) for key, value in run.items()} for run in runs])
    return statistics.median(rates)


def latency(bench, option, rate, seconds, repeats):
    p50, p99, n_all = [], [], 0
    for _ in range(repeats):
        waits = one_latency(bench, option, rate, seconds)
        n_all += len(waits)
        p50.append(waits[len(waits) // 2])
        p99.append(waits[len(waits) * 99 // 100])
    report("latency", option=option.name, rate=rate, verdicts=n_all, p50_ms=round(statistics.median(p50) * 1000), p99_ms=round(statistics.median(p99) * 1000),
           runs_p50_ms=[round(value * 1000) for value in p50], runs_p99_ms=[round(value * 1000) for value in p99])


def one_latency(bench, option, rate, seconds, warm_up=6):
    source, sink = bench.topic("live"), bench.topic("live-out")
    process = option.start(source, sink)
    done, last, waits = threading.Event(), [None], []
    begun = time.time()

    def produce():
        producer, number = bench.producer(), 0
        while time.time() - begun < warm_up + seconds:
            due = int((time.time() - begun) * rate)
            for number in range(number, due):
                bench.produce(producer, source, number, STAMP + b"%.6f" % time.time() if rate < STAMP_ALL_MAX or number % 50 == 0 else b"-")
            number = max(number, due)
            producer.poll(0.001)
        producer.flush()
        done.set()

    thread = threading.Thread(target=produce)
    thread.start()
    consumer = bench.consumer(sink)
    quiet = silent_for(3, process, last)
    for at, values in batches(consumer, sys.maxsize, lambda: quiet() and done.is_set()):
        last[0] = at
        for value in values:
            if STAMP in value:
                made = float(value.split(STAMP, 1)[1].split(b",", 1)[0])
                # The first seconds, in which the process starts, are left out.
                if begun + warm_up < made:
                    waits.append(at - made)
    thread.join()
    stop(process)
    consumer.close()
    if not waits:
        sys.exit(f"option {option.name} gave no verdict at {rate} flows per second")
    return sorted(waits)


def found(bench, given, is_miner):
    """Every labelled flow once: what is found with two forests, and whether the options agree on the confidences."""
    source = bench.topic("labelled")
    bench.fill(source, len(is_miner))
    for forest, card, threshold in (("CDS", None, THRESHOLD), ("cds_flow", OWN, OWN_THRESHOLD)):
        scores = {}
        for option in given:
            # A has the CDS forest only, and no time for all of the flows.
            if card is None or option.name != "A":
                scores[option.name] = confidences(bench, option, source, card, len(is_miner))
        for name, verdicts in scores.items():
            seen = verdicts if name == "A" else range(len(is_miner))
            alarms = [number for number, confidence in verdicts.items() if float(threshold) <= float(confidence)]
            report("found", forest=forest, option=name, verdicts=len(verdicts), miners=sum(is_miner[number] for number in seen),
                   found=sum(is_miner[number] for number in alarms), benign=sum(not is_miner[number] for number in seen),
                   false_alarms=sum(not is_miner[number] for number in alarms),
                   same_confidence_as_b=sum(scores.get("B", {}).get(number) == confidence for number, confidence in verdicts.items()))


def confidences(bench, option, source, card, n_flows):
    """The confidence of each flow that got a verdict, as text, by the number of the flow."""
    whole = option.n_flows
    option.n_flows = min(whole, n_flows)
    _, kept = drain(bench, option, source, True, card)
    option.n_flows = whole
    return {int(fields[ZEEK]): fields[-1] for fields in (value.split(b",") for value in kept)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davy", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the labelled captures")
    parser.add_argument("--flows", type=int, default=1_000_000, help="flows that B and C are measured with")
    parser.add_argument("--flows-a", type=int, default=2_000, help="flows that A is measured with")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rate", type=int, default=50, help="flows per second that all options sustain")
    parser.add_argument("--rate-max", type=int, default=20_000, help="flows per second that the bench's own clients sustain beside a broker")
    parser.add_argument("--seconds", type=int, default=15, help="how long latency is measured, after the start")
    parser.add_argument("--commit-interval", help="of B and C; by default that of Davy")
    parser.add_argument("--only", choices=["found", "throughput", "latency"])
    parser.add_argument("--options", default="ABC", help="those to measure")
    args = parser.parse_args()
    if "DAVY_KAFKA" not in os.environ:
        sys.exit("DAVY_KAFKA is not set: run it by `make bench-options`, or export the address of a broker")
    if not (args.data / FOREST).exists():
        sys.exit(f"no labelled captures and no forest in {args.data}: name their folder with --data")
    with tempfile.TemporaryDirectory() as folder:
        given = [option for option in options(args, pathlib.Path(folder)) if option.name in args.options]
        records, is_miner = labelled(args.data)
        bench = Bench(records)
        if args.only in (None, "found"):
            found(bench, given, is_miner)
        limits = {}
        if args.only in (None, "throughput"):
            source = bench.topic("flows")
            bench.fill(source, max(option.n_flows for option in given))
            limits = {option.name: throughput(bench, option, source, args.repeats) for option in given}
        if args.only in (None, "latency"):
            for option in given:
                latency(bench, option, args.rate, args.seconds, args.repeats)
                # 80 % of its own rate, as a queue grows without end at the limit itself.
                limit = min(args.rate_max, int(0.8 * limits.get(option.name, args.rate_max)))
                if args.rate < limit:
                    latency(bench, option, limit, args.seconds, args.repeats)


if __name__ == "__main__":
    main()
