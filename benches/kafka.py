#!/usr/bin/env python3
"""Measures Davy over a real Kafka broker on this machine: throughput, commits, recovery, latency, bytes.

    make bench-kafka                     # or: benches/kafka.py --davy target/release/davy [--rows 2000000] [--only throughput]

Flows are made by `netflow_generator` as whole 71-column records and written to topics by Davy itself, one and a hundred per message.
The pipeline reads, decodes, tumbles and writes. Its speed is counted in CPU seconds of its own process (`/proc/<pid>/stat`), so the
broker on the same cores does not count, and so do other programs as little as possible. Prints one JSON object per measurement.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KAFKA = str(ROOT / "scripts" / "kafka.sh")
TICKS = os.sysconf("SC_CLK_TCK")
PARTITIONS = 4
WARM_UP_MS = 6000

FLOWS = """CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, td DOUBLE, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, flg TEXT,
    fwd INT, stos INT, ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT,
    WATERMARK FOR te AS te - INTERVAL '5 seconds'
) WITH (connector = 'kafka', bootstrap_servers = '${{env:DAVY_KAFKA}}', topic = '{topic}', type = 'source', format = 'csv',
    'csv.columns' = 'nfdump');
"""

SUMS = """CREATE TABLE sums (start TIMESTAMP, {columns}, flows BIGINT, bytes BIGINT)
WITH (connector = 'kafka', bootstrap_servers = '${{env:DAVY_KAFKA}}', topic = 'sums', type = 'sink', format = 'json', key = 'sa');
INSERT INTO sums SELECT w.start, {keys}, n, b FROM
    (SELECT tumble(INTERVAL '1 minute') AS w, {keys}, count(*) AS n, sum(ibyt + obyt) AS b FROM flows GROUP BY w, {keys});
"""
# A row per host and minute, and a row per pair of hosts and minute: some thousands, and a quarter as many as there are flows.
TUMBLE = FLOWS + SUMS.replace("{columns}", "sa TEXT").replace("{keys}", "sa")
TUMBLE_PAIRS = FLOWS + SUMS.replace("{columns}", "sa TEXT, da TEXT").replace("{keys}", "sa, da")

FILL = """CREATE TABLE made (line TEXT METADATA FROM 'value') WITH (connector = 'netflow_generator', format = 'csv',
    'csv.columns' = 'nfdump', rows = '{rows}', rate = '{rate}', realtime = '{realtime}', splits = '2'{extra});
CREATE TABLE flows (line TEXT) WITH (connector = 'kafka', bootstrap_servers = '${{env:DAVY_KAFKA}}', topic = '{topic}',
    type = 'sink', format = 'raw_string', rows_per_message = '{packed}');
INSERT INTO flows SELECT line FROM made;
"""


class Bench:
    def __init__(self, davy, rows, folder):
        self.davy, self.rows, self.folder, self.runs = davy, rows, pathlib.Path(folder), 0

    def topic(self, name, partitions=PARTITIONS):
        tool("TopicCommand", "--create", "--topic", name, "--partitions", str(partitions))

    def script(self, text):
        self.runs += 1
        path = self.folder / f"bench{self.runs}.sql"
        path.write_text(text)
        return str(path)

    def fill(self, topic, packed, rows, rate=20000, realtime="false", extra="", options=()):
        text = FILL.format(topic=topic, packed=packed, rows=rows, rate=rate, realtime=realtime, extra=extra)
        subprocess.run([self.davy, "run", "-q", self.script(text), *options], check=True)

    def start(self, script, *options):
        return subprocess.Popen([self.davy, "run", script, *options], stderr=subprocess.PIPE, text=True)

    def lag(self, script):
        """Messages that wait, over all stages; None while a partition has no commit yet."""
        out = subprocess.run([self.davy, "lag", script, "-o", "json"], capture_output=True, text=True)
        if out.returncode != 0:
            return None
        rows = [json.loads(line) for line in out.stdout.splitlines()]
        if any(row["position"] is None for row in rows):
            return None
        return sum(row["lag_messages"] for row in rows)

    def drain(self, script, process, deadline=600):
        begun = time.monotonic()
        while self.lag(script) != 0:
            if process.poll() is not None:
                sys.exit(f"davy ended: {process.stderr.read()}")
            if time.monotonic() - begun > deadline:
                sys.exit("the lag did not go away")
        return time.monotonic() - begun


def tool(name, *args):
    kafka = os.environ["DAVY_KAFKA"]
    command = [KAFKA, "tool", f"org.apache.kafka.tools.{name}", "--bootstrap-server", kafka, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def stop(process):
    """Sends SIGTERM; returns what the process wrote, and how long it took to end."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1] or ""
    return said.strip().splitlines(), time.monotonic() - begun, process.returncode


def size_of(topic):
    text = tool("LogDirsCommand", "--describe", "--topic-list", topic)
    return sum(p["size"] for b in json.loads(text.splitlines()[-1])["brokers"] for d in b["logDirs"] for p in d["partitions"])


def throughput(bench, packed, keys, query, repeats):
    topic = f"flows{packed}{keys}"
    bench.topic(topic)
    bench.fill(topic, packed, bench.rows)
    cpu, wall, commits = [], [], ""
    for _ in range(repeats):
        # Another name each time: it begins at the beginning again.
        script = bench.script(query.format(topic=topic))
        begun = time.monotonic()
        process = bench.start(script)
        bench.drain(script, process)
        cpu.append(cpu_seconds(process.pid))
        wall.append(time.monotonic() - begun)
        said, seconds, code = stop(process)
        commits = said
        if code != 0:
            sys.exit("\n".join(said))
    name = pathlib.Path(script).stem
    exchange = size_of(f"davy.{name}.w1_1")
    report(
        "throughput", flows_per_message=packed, keys=keys, flows=bench.rows, flows_per_core_second=round(bench.rows / statistics.median(cpu)),
        flows_per_second=round(bench.rows / statistics.median(wall)), cpu_seconds=cpu, wall_seconds=[round(w, 2) for w in wall],
        input_bytes=size_of(topic), exchange_bytes=exchange, stop_seconds=round(seconds, 2), said=commits,
    )


def recovery(bench, repeats):
    """From SIGKILL to the new process's first commit of every task that has work."""
    seconds = []
    bench.topic("recovery")
    script = bench.script(TUMBLE.format(topic="recovery"))
    feeder_text = FILL.format(topic="recovery", packed=1, rows=100_000_000, rate=20000, realtime="true", extra="")
    feeder = bench.start(bench.script(feeder_text))
    process = bench.start(script)
    while bench.lag(script) is None:
        pass
    for _ in range(repeats):
        # Until it has worked for some commits.
        before = positions(bench, script)
        while not all(now > was + 1000 for now, was in zip(positions(bench, script), before)):
            pass
        process.kill()
        process.wait()
        begun = time.monotonic()
        process = bench.start(script)
        before = positions(bench, script)
        while not all(now > was for now, was in zip(positions(bench, script), before)):
            pass
        seconds.append(time.monotonic() - begun)
    stop(process)
    feeder.kill()
    report("recovery", kills=repeats, seconds_median=round(statistics.median(seconds), 2), seconds_max=round(max(seconds), 2))


def positions(bench, script):
    out = subprocess.run([bench.davy, "lag", script, "-o", "json"], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in out.stdout.splitlines()]
    return [row["position"] for row in rows if row["stage"] == 1]


def latency(bench, rate, seconds):
    """From the moment that ends a window, with the watermark's lag, to the result's time in its topic, at a steady rate.

    The made flows' clock is behind the wall's by as long as their process took to start. By how much is seen in the topic they are
    written to, every 20 ms: no flow is there earlier than this after its end."""
    bench.topic("live")
    bench.topic("live_sums")
    text = TUMBLE.replace("'sums'", "'live_sums'").replace("1 minute", "2 seconds").replace("'5 seconds'", "'1 second'")
    script = bench.script(text.format(topic="live"))
    process = bench.start(script, "--commit-interval", "200ms")
    begun = time.time() * 1000
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    bench.fill("live", 1, rate * seconds, rate=rate, realtime="true", extra=f", start_time = '{now}'",
               options=("--commit-interval", "20ms"))
    cpu = cpu_seconds(process.pid)
    bench.drain(script, process)
    said, _, _ = stop(process)
    behind = min(int(made) - int(te) for te, made in table(
        bench, "(te TIMESTAMP, made TIMESTAMP METADATA FROM 'timestamp')", "live", "'csv', 'csv.columns' = 'nfdump'", "te"))
    rows = [(int(start), int(made)) for start, made in table(
        bench, "(start TIMESTAMP, made TIMESTAMP METADATA FROM 'timestamp')", "live_sums", "'json'", "start")]
    # The first windows wait for the processes to start.
    late = sorted(made - start - 3000 - behind for start, made in rows if begun + WARM_UP_MS < start)
    report(
        "latency", flows_per_second=rate, results=len(late), cores_busy=round(cpu / seconds, 2), flows_clock_behind_ms=behind,
        p50_ms=late[len(late) // 2], p99_ms=late[len(late) * 99 // 100], max_ms=late[-1], said=said,
    )


def table(bench, columns, topic, form, time_column):
    """All rows of a topic: a time in it and the time it was written, in milliseconds."""
    reader = bench.script(
        f"CREATE TABLE t {columns} WITH (connector = 'kafka', bootstrap_servers = '${{env:DAVY_KAFKA}}', topic = '{topic}', "
        f"type = 'source', format = {form});\n"
        f"SELECT cast({time_column} AS BIGINT) / 1000000 AS a, cast(made AS BIGINT) / 1000000 AS b FROM t;\n"
    )
    results = bench.folder / "results.csv"
    with results.open("w") as out:
        rows = subprocess.Popen([bench.davy, "run", "-q", "-o", "csv", reader], stdout=out)
        bench.drain(reader, rows)
        rows.send_signal(signal.SIGTERM)
        rows.wait(timeout=30)
    return [line.split(",") for line in results.read_text().splitlines()[1:]]


def report(what, **values):
    print(json.dumps({"what": what, **values}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davy", required=True)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rate", type=int, default=50_000, help="flows per second while latency is measured")
    parser.add_argument("--only", choices=["throughput", "recovery", "latency"])
    args = parser.parse_args()
    if "DAVY_KAFKA" not in os.environ:
        sys.exit("DAVY_KAFKA is not set: run it by `make bench-kafka`, or export the address of a broker")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.davy, args.rows, folder)
        bench.topic("sums")
        if args.only in (None, "throughput"):
            for keys, query in (("host", TUMBLE), ("pair", TUMBLE_PAIRS)):
                for packed in (1, 100):
                    throughput(bench, packed, keys, query, args.repeats)
        if args.only in (None, "recovery"):
            recovery(bench, 5)
        if args.only in (None, "latency"):
            latency(bench, args.rate, 20)


if __name__ == "__main__":
    main()
