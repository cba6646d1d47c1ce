"""Computes features with Davy itself: writes records as a collector would have, runs the pipeline, joins the labels.

All captures go through one run. Windows never mix them, as each address is prefixed with the number of its capture and
rendering; the file is in order of `te`, so that no record is late.
"""

import csv
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from . import data

# The 48 columns of `nfdump -o csv`, up to version 1.7.4.
NFDUMP = (
    "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,ismc,"
    "odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,mpls10,cl,sl,al,ra,eng,exid,tr"
).split(",")  # fmt: skip
ZEROS = {"ra": "0.0.0.0", "nh": "0.0.0.0", "nhb": "0.0.0.0", "tr": "1970-01-01 00:00:00.000"}

SERIES_FEATURES = [
    "flow_count",
    "connections_per_flow",
    "packets_per_flow",
    "packets_per_minute_up",
    "packets_per_minute_down",
    "bytes_per_packet_up",
    "bytes_per_packet_down",
    "size_median_up",
    "size_median_down",
    "size_variation_up",
    "size_variation_down",
    "packets_share_up",
    "bytes_share_up",
    "active_s",
    "duration_mean_s",
    "duration_max_s",
    "busy_share",
    "gap_mean_s",
    "gap_variation",
    "gap_max_share",
    "steady_share",
    "opens_share",
    "closes_share",
]
FLOW_FEATURES = [
    "td",
    "ipkt",
    "ibyt",
    "opkt",
    "obyt",
    "pktips",
    "pktops",
    "bytips",
    "bytops",
    "bytippkt",
    "bytoppkt",
    "bytipo",
    "pktipo",
]
GROUP = ["source", "capture", "rendering"]
SERIES_KEY = [*GROUP, "client", "server", "port"]


@dataclass(frozen=True)
class Davy:
    """The program, and the folder of its pipelines."""

    program: Path
    pipelines: Path

    def run(self, pipeline: str, flows: Path) -> pd.DataFrame:
        command = [self.program, "run", self.pipelines / pipeline, "--input", flows, "-o", "csv", "-q"]
        with tempfile.TemporaryFile() as output:
            subprocess.run(command, stdout=output, check=True)
            output.seek(0)
            return pd.read_csv(output, dtype={"client": str, "server": str, "sa": str, "da": str})


def series(records: pd.DataFrame, davy: Davy) -> pd.DataFrame:
    """One row per series and window: SERIES_KEY, window_start, label, features, and `rule`, the NEMEA rule's alarm."""
    tcp = records[records.pr == "TCP"].reset_index(drop=True)
    groups = tcp[GROUP].drop_duplicates().reset_index(drop=True)
    numbered = tcp.merge(groups.reset_index(names="group"), on=GROUP)
    prefix = numbered.group.astype(str) + "|"
    keyed = numbered.assign(sa=prefix + numbered.sa, da=prefix + numbered.da)
    with tempfile.TemporaryDirectory() as folder:
        flows = write_nfdump(keyed, Path(folder) / "flows.csv")
        rows = davy.run("features_series.sql", flows)
        alarms = davy.run("miners.sql", flows)
    where = ["client", "server", "port", "window_start"]
    rows = rows.merge(alarms[where].drop_duplicates().assign(rule=True), on=where, how="left")
    rows["rule"] = rows.rule.notna()
    rows = rows.merge(labels_of_series(keyed), on=["client", "server", "port"], validate="many_to_one")
    numbers = rows.client.str.partition("|")[0].astype(int)
    for column in GROUP:
        rows[column] = groups[column].to_numpy()[numbers]
    for column in ("client", "server"):
        rows[column] = rows[column].str.partition("|")[2]
    return rows.sort_values([*SERIES_KEY, "window_start"], kind="stable").reset_index(drop=True)


def labels_of_series(records: pd.DataFrame) -> pd.DataFrame:
    """The label of each (client, server, port), by the pipeline's own idea of a server.

    Where records disagree (a browser and a miner of one host at one pool) the series is a miner's if any of them is.
    """
    low = records.sp < records.dp
    table = pd.DataFrame(
        {
            "client": records.da.where(low, records.sa),
            "server": records.sa.where(low, records.da),
            "port": records.sp.where(low, records.dp),
            "label": records.label,
        }
    )
    order = {"miner": 0, "pool-probe": 1, "coin-p2p": 2, "unlabelled": 3, "benign": 4}
    table["rank"] = table.label.map(order)
    first = table.sort_values("rank", kind="stable").drop_duplicates(["client", "server", "port"])
    return first.drop(columns="rank")


def flows(records: pd.DataFrame, davy: Davy) -> pd.DataFrame:
    """One row per record: GROUP, label and features. Its number rides in the address, which no feature sees."""
    numbered = records.reset_index(drop=True)
    named = numbered.assign(sa=numbered.index.astype(str), da="-")
    with tempfile.TemporaryDirectory() as folder:
        rows = davy.run("features_flow.sql", write_nfdump(named, Path(folder) / "flows.csv"))
    rows.index = rows.sa.astype(int)
    if not np.array_equal(np.sort(rows.index), numbered.index):
        raise ValueError(f"{len(numbered)} records went in, {len(rows)} came out")
    return numbered[[*GROUP, "label"]].join(rows[FLOW_FEATURES])


def write_nfdump(records: pd.DataFrame, path: Path) -> Path:
    """Writes what nfdump would print: whole seconds, in the order in which a collector got the records."""
    ordered = records.sort_values("te", kind="stable")
    columns = {name: ordered[name] for name in data.FIELDS}
    for name in ("ts", "te"):
        moments = pd.to_datetime(np.floor(ordered[name]), unit="s")
        columns[name] = moments.dt.strftime("%Y-%m-%d %H:%M:%S")
    columns["td"] = ordered.td.map("{:.3f}".format)
    table = pd.DataFrame({name: columns.get(name, ZEROS.get(name, 0)) for name in NFDUMP})
    table.to_csv(path, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    return path
