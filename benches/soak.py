#!/usr/bin/env python3
"""Runs sessions, hopping windows and a session that never ends for an hour, and looks whether anything grows.

    make soak                            # or: benches/soak.py --davy target/release/davy [--minutes 60] [--rate 20000]

Flows are made by `netflow_generator` in real time and written to a topic; one process of Davy reads them. Twice a minute this program
takes down the process's resident memory, threads and file descriptors, the size of the exchange topics, and what waits. After the
first ten minutes these must be flat: the mean of the last ten minutes is compared with the mean of the ten minutes after the start.
Prints one JSON object per sample and one at the end; exits with 1 when something has grown by more than a tenth.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from kafka import FILL, FLOWS, Bench, cpu_seconds, stop, tool

WARM_UP_MINUTES = 10
SAMPLE_SECONDS = 30
ALLOWED_GROWTH = 1.1
# The input and the results are not what is measured: old segments go.
RETENTION = ["retention.bytes=268435456", "segment.bytes=67108864"]

# Hosts come and go, their windows overlap, and there is always another flow of TCP.
QUERIES = {
    "sessions": ("sa TEXT", "sa", "session(INTERVAL '10 seconds')"),
    "hops": ("sa TEXT", "sa", "hop(INTERVAL '30 seconds', INTERVAL '2 minutes')"),
    "endless": ("pr TEXT", "pr", "session(INTERVAL '1 minute')"),
}
QUERY = """CREATE TABLE {name} (start TIMESTAMP, {columns}, flows BIGINT, bytes BIGINT)
WITH (connector = 'kafka', bootstrap_servers = '${{env:DAVY_KAFKA}}', topic = '{name}', type = 'sink', format = 'json');
INSERT INTO {name} SELECT w.start, {keys}, n, b FROM
    (SELECT {window} AS w, {keys}, count(*) AS n, sum(ibyt + obyt) AS b FROM flows GROUP BY w, {keys});
"""


def script():
    queries = (QUERY.format(name=name, columns=columns, keys=keys, window=window) for name, (columns, keys, window) in QUERIES.items())
    return FLOWS.format(topic="flows") + "".join(queries)


def sample(pid, pipeline):
    """What the process holds now; sizes in MiB."""
    proc = pathlib.Path(f"/proc/{pid}")
    rss = next(int(line.split()[1]) for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS:"))
    return {
        "memory_mib": round(rss / 1024, 1),
        "threads": len(list((proc / "task").iterdir())),
        "file_descriptors": len(list((proc / "fd").iterdir())),
        "exchange_mib": round(exchange_bytes(pipeline) / 2**20, 1),
    }


def exchange_bytes(pipeline):
    text = tool("LogDirsCommand", "--describe")
    partitions = (p for b in json.loads(text.splitlines()[-1])["brokers"] for d in b["logDirs"] for p in d["partitions"])
    return sum(p["size"] for p in partitions if p["partition"].startswith(f"davy.{pipeline}."))


def watch(bench, path, process, feeder, minutes):
    begun, samples = time.monotonic(), []
    while (at := time.monotonic() - begun) < 60 * minutes:
        if process.poll() is not None:
            raise ChildProcessError("davy ended")
        # Without it, nothing grows and nothing is measured.
        if feeder.poll() is not None:
            raise ChildProcessError("the process that writes the flows ended")
        taken = {"minute": round(at / 60, 1), **sample(process.pid, pathlib.Path(path).stem), "lag_messages": bench.lag(path)}
        print(json.dumps(taken), flush=True)
        samples.append(taken)
        time.sleep(max(0, SAMPLE_SECONDS - (time.monotonic() - begun - at)))
    return samples


def growth(samples, minutes):
    """For each number, its means at both ends and whether it is flat."""
    early = [s for s in samples if WARM_UP_MINUTES <= s["minute"] < 2 * WARM_UP_MINUTES]
    late = [s for s in samples if minutes - WARM_UP_MINUTES <= s["minute"]]
    grown = {}
    for name in ("memory_mib", "threads", "file_descriptors", "exchange_mib"):
        before, after = (statistics.mean(s[name] for s in part) for part in (early, late))
        grown[name] = {"before": round(before, 1), "after": round(after, 1), "flat": after <= ALLOWED_GROWTH * before}
    return grown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davy", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=20_000, help="flows per second")
    args = parser.parse_args()
    if args.minutes < 3 * WARM_UP_MINUTES:
        sys.exit(f"--minutes must be at least {3 * WARM_UP_MINUTES}: what grows is seen after the first {WARM_UP_MINUTES}")
    if "DAVY_KAFKA" not in os.environ:
        sys.exit("DAVY_KAFKA is not set: run it by `make soak`, or export the address of a broker")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.davy, 0, folder)
        for name in ("flows", *QUERIES):
            options = [part for setting in RETENTION for part in ("--config", setting)]
            tool("TopicCommand", "--create", "--topic", name, "--partitions", "4", *options)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        rows = int(args.rate * 60 * (args.minutes + 5))
        fill = FILL.format(topic="flows", packed=1, rows=rows, rate=args.rate, realtime="true", extra=f", start_time = '{now}'")
        path, log, feeder_log = bench.script(script()), bench.folder / "davy.log", bench.folder / "feeder.log"
        with log.open("w") as out, feeder_log.open("w") as feeder_out:
            feeder = subprocess.Popen([args.davy, "run", "-q", bench.script(fill)], stderr=feeder_out)
            process = subprocess.Popen([args.davy, "run", path], stderr=out)
        try:
            samples = watch(bench, path, process, feeder, args.minutes)
            cpu = cpu_seconds(process.pid)
            _, _, code = stop(process)
        except ChildProcessError as error:
            sys.exit(f"{error}: {(log if process.poll() is not None else feeder_log).read_text()[-2000:]}")
        finally:
            feeder.kill()
            process.kill()
        grown = growth(samples, args.minutes)
        lag = max(s["lag_messages"] or 0 for s in samples if WARM_UP_MINUTES <= s["minute"])
        print(json.dumps({"what": "soak", "minutes": args.minutes, "flows_per_second": args.rate, "cpu_seconds": cpu, "max_lag_messages": lag,
                          "exit_code": code, "said": log.read_text().splitlines()[-5:], **grown}), flush=True)
        sys.exit(0 if code == 0 and all(number["flat"] for number in grown.values()) else 1)


if __name__ == "__main__":
    main()
