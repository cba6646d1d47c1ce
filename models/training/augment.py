"""Makes further renderings of recorded flows: what an exporter or a cipher would have made of the same packets.

Nothing here invents behaviour: times, sizes and counts come from the records. Augmented rows keep their capture, so that they
stay on its side of every split.
"""

import numpy as np
import pandas as pd

from . import data

# Records of one sampled packet have no duration, and a miner sends few packets: from 1:10 on nothing of a miner is left.
SAMPLING = 4
SAMPLED = f"{data.ROUTER}, packets sampled 1:{SAMPLING}"
TLS = f"{data.ROUTER}, as if over TLS"

# Header, nonce and tag of one TLS 1.2 AES-GCM record; TLS 1.3 takes 22.
TLS_RECORD_BYTES = 29
# A first hello with one name, and a finished; the server's hello with a chain of two certificates.
HELLO_UP = (3, 900)
HELLO_DOWN = (4, 3600)


def augmented(records: pd.DataFrame, seed: int) -> pd.DataFrame:
    router = records[records.rendering == data.ROUTER]
    random = np.random.default_rng(seed)
    return pd.concat(
        [
            sampled(router, SAMPLED, random),
            over_tls(router[router.label == "miner"], TLS, random),
        ],
        ignore_index=True,
    )


def sampled(table: pd.DataFrame, rendering: str, random: np.random.Generator) -> pd.DataFrame:
    """One direction each; every packet is seen with a chance of 1/SAMPLING, and counts are not scaled up again."""
    kept = random.binomial(table.ipkt, 1 / SAMPLING)
    begin_cut, end_cut = random.random(len(table)), random.random(len(table))
    # The first of k sampled packets is on average the (k+1)th part of the duration after the first packet.
    begin = table.td * begin_cut.clip(max=1) / (kept + 1)
    end = table.td * end_cut / (kept + 1)
    single = kept == 1
    td = np.where(single, 0.0, (table.td - begin - end).clip(lower=0)).round(3)
    seen = table.assign(
        rendering=rendering, ipkt=kept, ibyt=(table.ibyt * (kept / table.ipkt.clip(lower=1))).round().astype(np.int64),
        ts=table.ts + begin, te=table.ts + begin + td, td=td,
        flg=[thinned_flags(flags, lucky) for flags, lucky in zip(table.flg, random.random(len(table)) < 1 / SAMPLING)],
    )
    return seen[kept > 0]


def thinned_flags(flags: str, edge_was_seen: bool) -> str:
    """SYN, FIN and RST are on one packet each: they show only when it was sampled."""
    if edge_was_seen:
        return flags
    return flags.replace("S", ".").replace("F", ".").replace("R", ".")


def over_tls(table: pd.DataFrame, rendering: str, random: np.random.Generator) -> pd.DataFrame:
    """Adds what TLS adds: a record around each message, a handshake where a connection opens."""
    plain = table[table.pr == "TCP"]
    opens = plain.flg.str.contains("S") & plain.flg.str.contains("P")
    client_side = plain.sp >= plain.dp
    share = random.uniform(0.4, 0.9, len(plain))
    columns = {}
    for packets, size, is_up in (("ipkt", "ibyt", client_side), ("opkt", "obyt", ~client_side)):
        payload = (plain[size] - plain[packets] * 52).clip(lower=0)
        messages = np.minimum(np.ceil(plain[packets] * share), np.ceil(payload / 40))
        hello_packets = np.where(is_up, HELLO_UP[0], HELLO_DOWN[0]) * (opens & (plain[packets] > 0))
        hello_bytes = np.where(is_up, HELLO_UP[1], HELLO_DOWN[1]) * (opens & (plain[packets] > 0))
        columns[packets] = plain[packets] + hello_packets
        columns[size] = (plain[size] + messages * TLS_RECORD_BYTES + hello_bytes).astype(np.int64)
    return plain.assign(rendering=rendering, **columns)
