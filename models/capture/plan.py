"""The laboratory on paper: which hosts exist, their addresses and what each one does.

Every other script looks a host up here, so the plan is the only place that
decides who mines.  Miners get addresses in the middle of the other clients:
an address alone must not give the label away.
"""

import random
import zlib
from dataclasses import dataclass, field

PREFIX = "davylab"
NET4 = "10.77"
NET6 = "fd77:da77:1:"

# name -> [(role, options)]; the order fixes the address 10.77.2.N
SERVERS = {
    "web1": [("web", {"port": 80, "idle": 75}), ("web", {"port": 443, "tls": True, "idle": 75})],
    "web2": [("web", {"port": 80, "idle": 5}), ("web", {"port": 443, "tls": True, "idle": 15})],
    "web3": [("web", {"port": 80, "idle": 30}), ("web", {"port": 443, "tls": True, "idle": 240})],
    "pool2": [("pool", {"dialect": "btc", "port": 3333, "start": 65536, "goal": 15}),
              ("pool", {"dialect": "btc", "port": 8888, "start": 262144, "goal": 10}),
              ("web", {"port": 80, "idle": 30})],
    "dns1": [("dns", {"port": 53})],
    "time1": [("ntp", {"port": 123})],
    "pool1": [("pool", {"dialect": "xmr", "port": 3333, "start": 20000, "goal": 30}),
              ("pool", {"dialect": "xmr", "port": 443, "start": 75000, "goal": 30, "tls": True}),
              ("pool", {"dialect": "xmr", "port": 5555, "start": 5000, "goal": 30}),
              ("web", {"port": 80, "idle": 30})],
    "shell1": [("sshd", {"port": 22})],
    "push1": [("push", {"port": 443, "tls": True, "ping": 30, "news": 90}),
              ("push", {"port": 8080, "ping": 20, "news": 45}),
              ("push", {"port": 3333, "ping": 45, "news": 60}),
              ("push", {"port": 9001, "ping": 60, "news": 200})],
    "pool3": [("pool", {"dialect": "xmr", "port": 14444, "start": 50000, "goal": 15})],
    "iot1": [("mqtt", {"port": 1883}), ("mqtt", {"port": 8883, "tls": True})],
    "office1": [("db", {"port": 5432}), ("imap", {"port": 993, "tls": True}),
                ("web", {"port": 9100, "idle": 300})],
}

BASE = [("ntp", {}), ("lookup", {})]
SURF = BASE + [("browse", {})]

MINERS = {
    "desktop cpu": [("mine", {"dialect": "xmr", "pool": "pool1", "port": 3333, "rate": 8200})],
    "old laptop": [("mine", {"dialect": "xmr", "pool": "pool1", "port": 3333, "rate": 1400})],
    "tls 443": [("mine", {"dialect": "xmr", "pool": "pool1", "port": 443, "tls": True, "rate": 5600})],
    "slow board": [("mine", {"dialect": "xmr", "pool": "pool1", "port": 5555, "rate": 55})],
    "part time": [("mine", {"dialect": "xmr", "pool": "pool3", "port": 14444, "rate": 4300,
                            "on": 480, "off": 360})],
    "fixed difficulty": [("mine", {"dialect": "xmr", "pool": "pool3", "port": 14444, "rate": 15500,
                                   "fixed": 100000, "v6": True})],
    "asic": [("mine", {"dialect": "btc", "pool": "pool2", "port": 3333, "rate": 95e12})],
    "small asic": [("mine", {"dialect": "btc", "pool": "pool2", "port": 8888, "rate": 14e12,
                             "configure": True})],
}
MIXED = {
    "surf and xmrig": SURF + [("push", {"port": 443}), ("dashboard", {"pool": "pool1"}),
                              ("mine", {"dialect": "xmr", "pool": "pool3", "port": 14444, "rate": 3100})],
    "surf and stratum": SURF + [("imap", {}), ("dashboard", {"pool": "pool2"}),
                                ("mine", {"dialect": "btc", "pool": "pool2", "port": 3333, "rate": 30e12})],
    "surf and tls 443": SURF + [("push", {"port": 8080}),
                                ("mine", {"dialect": "xmr", "pool": "pool1", "port": 443, "tls": True,
                                          "rate": 2300})],
}
BENIGN = [
    *[SURF + [("push", {"port": port})] for port in (443, 443, 8080, 8080, 3333, 9001)],
    *[SURF + [("longpoll", {"hold": hold})] for hold in (25, 40, 55)],
    *[SURF + [("imap", {}), ("push", {"port": 443})] for _ in range(3)],
    SURF + [("shell", {"style": "typing"})],
    SURF + [("shell", {"style": "typing"}), ("db", {"pause": 6})],
    SURF + [("shell", {"style": "idle", "alive": 30})],
    BASE + [("shell", {"style": "idle", "alive": 60}), ("db", {"pause": 20})],
    BASE + [("db", {"pause": 30}), ("db", {"pause": 12}), ("api", {})],
    *[SURF + [("bulk", {})] for _ in range(3)],
    SURF + [("stream", {})],
    *[[("ntp", {}), ("mqtt", {"port": port, "keep": keep, "every": every})]
      for port, keep, every in ((1883, 60, 30), (1883, 60, 300), (8883, 30, 20), (8883, 120, 10),
                                (1883, 45, 60))],
    BASE + [("monitor", {}), ("ping", {})],
    BASE + [("scan", {}), ("ping", {})],
    SURF + [("ping", {})],
]


@dataclass
class Host:
    """One network namespace with one address of each family."""

    name: str
    ip4: str
    ip6: str
    server: bool
    roles: list = field(default_factory=list)


def servers():
    """The server hosts, in the order of their addresses."""
    return [Host(name, f"{NET4}.2.{n}", f"{NET6}:2:{n}", True, roles)
            for n, (name, roles) in enumerate(SERVERS.items(), 10)]


def clients(seed):
    """The client hosts; the seed decides which address plays which part."""
    parts = [*MINERS.values(), *MIXED.values(), *BENIGN]
    # A rig is still a computer: it looks names up and keeps its clock right.
    parts = [part if ("ntp", {}) in part else BASE + part for part in parts]
    random.Random(f"{seed}-plan").shuffle(parts)
    return [Host(f"h{n:02}", f"{NET4}.1.{n + 10}", f"{NET6}:1:{n + 10}", False, roles)
            for n, roles in enumerate(parts, 1)]


def everyone(seed):
    """All hosts of the laboratory."""
    return servers() + clients(seed)


def server(name):
    """The server host of that name."""
    return next(host for host in servers() if host.name == name)


def site_host(site):
    """The web server behind a site's name; stable, so DNS and clients agree."""
    return server(f"web{zlib.crc32(site.encode()) % 3 + 1}")
