"""Reads the labelled flows: one table of records, each of a source, a capture and a rendering.

A *source* is a data set with one origin, a *capture* a recording in it (the unit of every split), a *rendering* one
way to export the same packets: other timeouts, one record per direction or one per conversation. A record has nfdump's
columns, its label, and nothing else.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

# Of nfdump's 48 columns those that any feature needs; the others are written as zeros.
FIELDS = ["ts", "te", "td", "sa", "da", "sp", "dp", "pr", "flg", "ipkt", "ibyt", "opkt", "obyt"]
COLUMNS = ["source", "capture", "rendering", "label", *FIELDS]

# Renderings, and what a router or collector would have been set to.
ROUTER = "one direction, 300/60"
BOTH_WAYS = "both directions, 300/60"
LONG_BOTH_WAYS = "both directions, 1800/15"
LONG = "one direction, 1800/15"
RENDERINGS = [ROUTER, BOTH_WAYS, LONG, LONG_BOTH_WAYS]

# For single flows it matters which side the collector saw first: the same records with `in` and `out` exchanged.
SERVER_FIRST = f"{BOTH_WAYS}, server first"
LONG_SERVER_FIRST = f"{LONG_BOTH_WAYS}, server first"
CDS_RECORDS = "as records of the CDS"
CDS_SERVER_FIRST = f"{CDS_RECORDS}, server first"
EXCHANGED = {BOTH_WAYS: SERVER_FIRST, LONG_BOTH_WAYS: LONG_SERVER_FIRST, CDS_RECORDS: CDS_SERVER_FIRST}
FLOW_RENDERINGS = [*EXCHANGED, *EXCHANGED.values(), ROUTER]

CESNET = "cesnet-miner22"
LAB = "lab"


@dataclass(frozen=True)
class Folders:
    """Where the data stands: the shared, labelled captures, and the project's own recording."""

    shared: Path
    lab: Path

    def missing(self) -> list[Path]:
        needed = [*(self.shared / name for name in SHARED_FILES), self.lab / "lab.csv.gz", self.lab / "labels.csv"]
        return [path for path in needed if not path.exists()]


BIFLOWS = "train/biflows_a300i60.csv.gz"
LONG_BIFLOWS = "train/biflows_a1800i15.csv.gz"
UNIFLOWS = "train/uniflows_a300i60_nfdump.csv.gz"
CDS_FLOWS = "cds/cj-sniffer-cds71-labelled.csv.gz"
CDS_FOREST = "cds/cds-forest.json.gz"
SHARED_FILES = [BIFLOWS, LONG_BIFLOWS, UNIFLOWS, CDS_FLOWS, CDS_FOREST]


def load(folders: Folders) -> pd.DataFrame:
    """All records with the columns COLUMNS; times in seconds since 1970."""
    both_ways = read_biflows(folders.shared / BIFLOWS, BOTH_WAYS)
    long_both_ways = read_biflows(folders.shared / LONG_BIFLOWS, LONG_BOTH_WAYS)
    exported = read_nfdump(folders.shared / UNIFLOWS)
    # Sources that have no export of their own get one record per direction out of each conversation.
    others = both_ways[~both_ways.source.isin(exported.source.unique())]
    lab = read_lab(folders.lab)
    tables = [
        exported,
        one_way(others, ROUTER),
        both_ways,
        one_way(long_both_ways, LONG),
        long_both_ways,
        lab,
        paired(lab, BOTH_WAYS),
    ]
    records = pd.concat([table[COLUMNS] for table in tables], ignore_index=True)
    return records[records.ipkt + records.opkt > 0].reset_index(drop=True)


def read_biflows(path: Path, rendering: str) -> pd.DataFrame:
    """Conversations, with the client's side as `in`; its `te` is not used, its fraction is broken where `dur` is 0."""
    raw = pd.read_csv(path, dtype={"sa": str, "da": str, "flg_c": str, "flg_s": str})
    table = pd.DataFrame(
        {
            "source": raw.dataset,
            "capture": raw.capture,
            "rendering": rendering,
            "label": raw.label,
            "ts": raw.ts,
            "te": raw.ts + raw.dur,
            "td": raw.dur,
            "sa": raw.sa,
            "da": raw.da,
            "sp": whole(raw.sp),
            "dp": whole(raw.dp),
            "pr": raw.proto.astype(str),
            "flg": [
                merged_flags(up, down) for up, down in zip(raw.flg_c.fillna(""), raw.flg_s.fillna(""), strict=True)
            ],
            "flg_in": raw.flg_c.fillna(""),
            "flg_out": raw.flg_s.fillna(""),
            "ipkt": whole(raw.pkts_c),
            "ibyt": whole(raw.bytes_c),
            "opkt": whole(raw.pkts_s),
            "obyt": whole(raw.bytes_s),
        }
    )
    return with_cesnet_connections(table)


def with_cesnet_connections(table: pd.DataFrame) -> pd.DataFrame:
    """CESNET's rows have no addresses: client port and server port name a connection instead.

    Connections with near client ports count as one capture, as a miner opens several at once.
    """
    cesnet = table.source == CESNET
    ports = table.sp.astype(str) + "-" + table.dp.astype(str)
    group = ((table.sp // 64 * 131 + table.dp) % 20).astype(str)
    return table.assign(
        sa=table.sa.mask(cesnet, "client-" + ports),
        da=table.da.mask(cesnet, "server-" + ports),
        capture=table.capture.mask(cesnet, "connections-" + group),
    )


def read_nfdump(path: Path) -> pd.DataFrame:
    raw = pd.read_csv(path, dtype={"sa": str, "da": str, "flg": str}, low_memory=False)
    return from_nfdump(raw).assign(source=raw.dataset, capture=raw.capture, rendering=ROUTER, label=raw.label)


def from_nfdump(raw: pd.DataFrame) -> pd.DataFrame:
    # A record that ends before it began shows as nearly 2^64 ms in nfdump 1.7; Davy reads that as 0 too.
    td = raw.td.where(raw.td < 1e9, 0.0)
    return pd.DataFrame(
        {
            "ts": seconds(raw.ts),
            "te": seconds(raw.te),
            "td": td,
            "sa": raw.sa,
            "da": raw.da,
            "sp": whole(raw.sp),
            "dp": whole(raw.dp),
            "pr": raw.pr.astype(str),
            "flg": raw.flg,
            "ipkt": whole(raw.ipkt),
            "ibyt": whole(raw.ibyt),
            "opkt": whole(raw.opkt),
            "obyt": whole(raw.obyt),
        }
    )


def read_lab(folder: Path) -> pd.DataFrame:
    """The project's own recording; its capture is the client, as all hosts share one hour."""
    raw = pd.read_csv(folder / "lab.csv.gz", skipfooter=3, engine="python", dtype={"sa": str, "da": str, "flg": str})
    table = from_nfdump(raw)
    labels = pd.read_csv(folder / "labels.csv")
    truth = {(row.client, row.server, row.server_port, row.protocol): row.label for row in labels.itertuples()}
    found = [lab_truth(row, truth) for row in table.itertuples()]
    capture, label = zip(*found, strict=True)
    return table.assign(source=LAB, capture=capture, rendering=ROUTER, label=label)


def lab_truth(row, truth: dict) -> tuple[str, str]:
    """Client and label of a record: it may go either way."""
    protocol = "icmp" if row.pr.startswith("ICMP") else row.pr.lower()
    ports = (0, 0) if protocol == "icmp" else (row.dp, row.sp)
    for client, server, port in ((row.sa, row.da, ports[0]), (row.da, row.sa, ports[1])):
        for name in (protocol, "icmp6", "icmpv6"):
            if (client, server, port, name) in truth:
                return client, truth[(client, server, port, name)]
    raise ValueError(f"a record of the lab without a label: {row}")


def one_way(table: pd.DataFrame, rendering: str) -> pd.DataFrame:
    """Conversations as a router exports them: a record per direction that has packets."""
    back = table.assign(
        sa=table.da, da=table.sa, sp=table.dp, dp=table.sp, flg=table.flg_out, ipkt=table.opkt, ibyt=table.obyt
    )
    halves = pd.concat([table.assign(flg=table.flg_in), back], ignore_index=True)
    halves = halves[halves.ipkt > 0]
    return halves.assign(opkt=0, obyt=0, rendering=rendering)


def read_cds_records(path: Path) -> pd.DataFrame:
    """CJ-Sniffer's captures as 71-column records of the Cryptomining Detection System, in both orders."""
    raw = pd.read_csv(path, dtype={"sa": str, "da": str, "flg": str}, low_memory=False)
    table = from_nfdump(raw).assign(
        source="cj-sniffer",
        capture=raw.capture + ".pcap",
        rendering=CDS_RECORDS,
        label=raw.label.map({0: "benign", 1: "miner"}),
    )
    return table[COLUMNS]


def exchanged(table: pd.DataFrame) -> pd.DataFrame:
    """The records of both directions once more, as a collector writes them that saw the way back first."""
    parts = [
        swapped(table[table.rendering == rendering]).assign(rendering=name) for rendering, name in EXCHANGED.items()
    ]
    return pd.concat(parts, ignore_index=True)


def swapped(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        sa=table.da,
        da=table.sa,
        sp=table.dp,
        dp=table.sp,
        ipkt=table.opkt,
        ibyt=table.obyt,
        opkt=table.ipkt,
        obyt=table.ibyt,
    )


def paired(table: pd.DataFrame, rendering: str) -> pd.DataFrame:
    """Records of one direction as a collector joins them: with the next one back, begun within two seconds."""
    keys = ["source", "capture", "pr"]
    forward = table.sp >= table.dp
    there = table[forward].assign(nth=lambda t: t.groupby([*keys, "sa", "sp", "da", "dp"]).cumcount())
    back = table[~forward].assign(nth=lambda t: t.groupby([*keys, "sa", "sp", "da", "dp"]).cumcount())
    back = back.rename(columns={"sa": "da", "da": "sa", "sp": "dp", "dp": "sp"})
    joined = there.merge(back, on=[*keys, "sa", "sp", "da", "dp", "nth"], suffixes=("", "_back"))
    joined = joined[(joined.ts - joined.ts_back).abs() <= 2].copy()
    flags = [merged_flags(up, down) for up, down in zip(joined.flg, joined.flg_back, strict=True)]
    return joined.assign(
        rendering=rendering,
        flg=flags,
        ts=joined[["ts", "ts_back"]].min(axis=1),
        te=joined[["te", "te_back"]].max(axis=1),
        td=joined[["td", "td_back"]].max(axis=1),
        opkt=joined.ipkt_back,
        obyt=joined.ibyt_back,
    )


def merged_flags(up: str, down: str) -> str:
    """What a collector writes for both directions: every flag that either has."""
    if len(up) != len(down) or not up:
        return max(up, down, key=len) or "........"
    return "".join(a if a != "." else b for a, b in zip(up, down, strict=True))


def whole(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce").fillna(0).astype(np.int64)


def seconds(column: pd.Series) -> pd.Series:
    moments = pd.to_datetime(column, format="%Y-%m-%d %H:%M:%S")
    return (moments - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
