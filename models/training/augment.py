"""Makes further renderings of recorded flows: what an exporter or a cipher would have made of the same packets.

Nothing here invents behaviour: times, sizes and counts come from the records. Augmented rows keep their capture, so
that they stay on its side of every split.
"""

import numpy as np
import pandas as pd

from . import data

# A miner sends few packets: from 1:10 on hardly a record of it has more than one left, and none a duration.
SAMPLING = 4
SAMPLED = f"{data.ROUTER}, packets sampled 1:{SAMPLING}"
TLS = f"{data.ROUTER}, as if over TLS"
OPTIONS = f"{data.ROUTER}, with TCP timestamps added or taken away"
IPV6 = f"{data.ROUTER}, as if over IPv6"
SHIFTED = f"{data.ROUTER}, half a window later"
RENDERINGS = [SAMPLED, TLS, OPTIONS, IPV6, SHIFTED]

# A TCP timestamp option takes 12 bytes of each packet, which Linux and macOS send and Windows does not.
TCP_TIMESTAMP_BYTES = 12
SMALLEST_PACKET_BYTES = 40
IPV6_EXTRA_BYTES = 20
HALF_WINDOW_S = 450

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
            other_options(router),
            over_ipv6(router),
            router.assign(rendering=SHIFTED, ts=router.ts + HALF_WINDOW_S, te=router.te + HALF_WINDOW_S),
        ],
        ignore_index=True,
    )


def sampled(table: pd.DataFrame, rendering: str, random: np.random.Generator) -> pd.DataFrame:
    """One direction each; every packet is seen with a chance of 1/SAMPLING, and counts are not scaled up again."""
    kept = random.binomial(table.ipkt, 1 / SAMPLING)
    begin_cut, end_cut = random.random(len(table)), random.random(len(table))
    # The first of k sampled packets is on average the (k+1)th part of the duration after the first packet.
    begin = table.td * begin_cut / (kept + 1)
    end = table.td * end_cut / (kept + 1)
    single = kept == 1
    td = np.where(single, 0.0, (table.td - begin - end).clip(lower=0)).round(3)
    seen = table.assign(
        rendering=rendering,
        ipkt=kept,
        ibyt=(table.ibyt * (kept / table.ipkt.clip(lower=1))).round().astype(np.int64),
        ts=table.ts + begin,
        te=table.ts + begin + td,
        td=td,
        flg=[
            thinned_flags(flags, lucky)
            for flags, lucky in zip(table.flg, random.random(len(table)) < 1 / SAMPLING, strict=True)
        ],
    )
    return seen[kept > 0]


def thinned_flags(flags: str, edge_was_seen: bool) -> str:
    """SYN, FIN and RST are on one packet each: they show only when it was sampled."""
    if edge_was_seen:
        return flags
    return flags.replace("S", ".").replace("F", ".").replace("R", ".")


def other_options(table: pd.DataFrame) -> pd.DataFrame:
    """The same packets from a system that sends TCP timestamps where this one did not, or the other way round."""
    packets = table.ipkt.clip(lower=1)
    had_them = table.ibyt >= (SMALLEST_PACKET_BYTES + TCP_TIMESTAMP_BYTES) * packets
    change = np.where(had_them, -TCP_TIMESTAMP_BYTES, TCP_TIMESTAMP_BYTES)
    return table.assign(rendering=OPTIONS, ibyt=table.ibyt + change * table.ipkt)


def over_ipv6(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(rendering=IPV6, ibyt=table.ibyt + IPV6_EXTRA_BYTES * table.ipkt)


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
