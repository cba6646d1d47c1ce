"""Count the records of lab.csv.gz per label and kind, and say which lack a label.

    python3 summary.py            (prints the table of the README)

A record belongs to the label row whose client and server are its two ends and
whose port is the server's port; both directions of a flow count.
"""

import collections
import csv
import gzip
import pathlib
from datetime import datetime

HERE = pathlib.Path(__file__).resolve().parent


def read_labels(path):
    """{(client, server, port, protocol): (label, kind)}."""
    with open(path, newline="") as file:
        return {(row["client"], row["server"], int(row["server_port"]), row["protocol"]):
                (row["label"], row["kind"]) for row in csv.DictReader(file)}


def read_flows(path):
    """The records of an nfdump CSV, without the summary at its end."""
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if row["ts"] == "Summary":
                return
            yield row


def pair_of(row, labels):
    """The label key of a record, or None: the client may be either end."""
    protocol = row["pr"].strip().lower()
    ends = [(row["sa"], row["da"], row["dp"]), (row["da"], row["sa"], row["sp"])]
    for client, server, port in ends:
        # ICMP has no ports; nfdump prints its type there.
        key = (client, server, 0 if protocol.startswith("icmp") else int(port), protocol)
        if key in labels:
            return key
    return None


def show(counts, pairs, hosts):
    """The Markdown table of the README."""
    print("| label | kind | pairs | clients | records | packets | bytes |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for what in sorted(counts, key=str):
        numbers = " | ".join(str(number) for number in counts[what])
        print(f"| {what[0]} | {what[1]} | {len(pairs[what])} | {len(hosts[what])} | {numbers} |")


def main():
    """Read both files and print the table."""
    labels = read_labels(HERE / "labels.csv")
    counts = collections.defaultdict(lambda: [0, 0, 0])
    pairs, hosts = collections.defaultdict(set), collections.defaultdict(set)
    times, seen, unlabelled = [], set(), collections.Counter()
    for row in read_flows(HERE / "lab.csv.gz"):
        times += row["ts"], row["te"]
        key = pair_of(row, labels)
        if key is None:
            unlabelled[row["sa"], row["da"], row["sp"], row["dp"], row["pr"]] += 1
            continue
        seen.add(key)
        what = labels[key]
        pairs[what].add(key)
        hosts[what].add(key[0])
        for n, number in enumerate((1, int(row["ipkt"]), int(row["ibyt"]))):
            counts[what][n] += number
    show(counts, pairs, hosts)
    first, last = min(times), max(times)
    minutes = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / 60
    total = sum(count[0] for count in counts.values()) + unlabelled.total()
    print(f"\n{total} records, {first} to {last} UTC "
          f"({minutes:.1f} minutes), {len(labels)} label rows, {len(labels) - len(seen)} of them without a record, "
          f"{unlabelled.total()} records without a label {unlabelled.most_common(5) or ''}")


if __name__ == "__main__":
    main()
