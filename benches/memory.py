#!/usr/bin/env python3
"""Measures what a scan of many addresses costs: seconds, peak memory, bytes on disk.

    make bench-memory                    # or: benches/memory.py --davy target/release/davy [--addresses 1000000 10000000]

Makes a capture in which one host sends a SYN to each of so many addresses, between the flows of the laboratory capture with its miners,
and runs the shipped `miners_forest.sql` over it. The peak is `VmHWM` of the process. The verdicts must be those of the capture without
the scan. Prints one JSON object per measurement.
"""

import argparse
import csv
import gzip
import json
import pathlib
import resource
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAB = ROOT / "models" / "capture" / "lab.csv.gz"
COLUMNS = ["ts", "te", "td", "sa", "da", "sp", "dp", "pr", "flg", "ipkt", "ibyt", "opkt", "obyt"]
SCANNER = "198.18.0.1"


def make(path, n_addresses):
    """The laboratory's flows, and after the first of them the scan within the same window."""
    with gzip.open(LAB, "rt") as lab, open(path, "w") as out:
        rows = csv.DictReader(lab)
        out.write(",".join(COLUMNS) + "\n")
        for number, row in enumerate(rows):
            if row["obyt"] is None:
                continue  # nfdump's summary after the last flow
            out.write(",".join(row[column] for column in COLUMNS) + "\n")
            if number == 0:
                head, tail = f"{row['ts']},{row['te']},0.000,{SCANNER}", "443,TCP,......S.,0,0,1,44\n"
                for address in range(n_addresses):
                    a, b, c, d = (address >> 24) & 255, (address >> 16) & 255, (address >> 8) & 255, address & 255
                    out.write(f"{head},{20 + a}.{b}.{c}.{d},{40000 + address % 20000},{tail}")


def run(davy, path, setting):
    """The verdicts, and what they cost."""
    command = [davy, "run", str(ROOT / "pipelines/miners_forest.sql"), "--input", str(path), "--output", "csv", *setting]
    begun = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_kib(process.pid))
        time.sleep(0.05)
    output, errors = process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.monotonic() - begun
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{errors}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return output, {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mib": peak // 1024}


def peak_kib(pid):
    """KiB."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--davy", required=True)
    parser.add_argument("--addresses", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--set", action="append", default=[], help="a setting of the script, such as memory=512MiB")
    arguments = parser.parse_args()
    settings = [part for setting in arguments.set for part in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "flows.csv"
        make(path, 0)
        expected, cost = run(arguments.davy, path, settings)
        print(json.dumps({"addresses": 0, **cost, "verdicts": expected.count("\n")}), flush=True)
        for n_addresses in arguments.addresses:
            make(path, n_addresses)
            found, cost = run(arguments.davy, path, settings)
            if found != expected:
                raise SystemExit(f"{n_addresses} addresses change the verdicts:\n{found}\ninstead of\n{expected}")
            print(json.dumps({"addresses": n_addresses, **cost, "verdicts": found.count("\n")}), flush=True)


if __name__ == "__main__":
    main()
