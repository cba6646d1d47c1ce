"""The pool's end of Stratum over TCP, in the Monero ("xmr") and the Bitcoin ("btc") dialect.

It sends jobs and accepts shares without checking any proof of work: the lab
records how the protocol looks on the wire, nothing is mined.  Field sizes, job
intervals and the variable difficulty follow the usual open-source pools.
"""

import asyncio
import json
import time
import uuid

from wire import listen

XMR_BLOCK_S = 120      # mean time between Monero blocks
BTC_BLOCK_S = 600      # mean time between Bitcoin blocks
BTC_NOTIFY_S = 30      # pools refresh the transactions this often
VARDIFF_WINDOW_S = 90  # a pool looks at the share rate after this time


class Pool:
    """One listening port: the current job and the miners connected to it."""

    def __init__(self, ctx, options):
        self.rng, self.options = ctx.rng, options
        self.xmr = options["dialect"] == "xmr"
        self.sessions, self.jobs, self.height = set(), [], 3_210_000
        self.new_job(True)

    def hexes(self, digits):
        """Random hexadecimal digits."""
        return f"{self.rng.getrandbits(digits * 4):0{digits}x}"

    def new_job(self, block):
        """Replace the job; after a block the older ones are stale."""
        self.height += block
        job = {"id": self.hexes(14 if self.xmr else 8), "clean": block}
        if self.xmr:
            job["blob"] = "1010" + self.hexes(148)
            job["seed"] = f"{self.height // 2048:064x}"
        else:
            job["coinbase"] = [self.hexes(self.rng.randint(*length) * 2) for length in ((60, 90), (90, 150))]
            job["branch"] = [self.hexes(64) for _ in range(self.rng.randint(10, 13))]
            job["prev"] = self.hexes(64)
        self.jobs = [job] if block else self.jobs[-2:] + [job]

    async def tick(self):
        """Make new jobs at the network's rate and push them to all clients."""
        while True:
            block_s = self.rng.expovariate(1 / (XMR_BLOCK_S if self.xmr else BTC_BLOCK_S))
            # Between two blocks a pool refreshes the template for new fees.
            refresh_s = self.rng.uniform(60, 110) if self.xmr else BTC_NOTIFY_S
            await asyncio.sleep(min(block_s, refresh_s))
            self.new_job(block_s < refresh_s)
            for session in list(self.sessions):
                session.push_job()


class Session:
    """One connected miner."""

    def __init__(self, pool, writer):
        self.pool, self.writer = pool, writer
        self.id = str(uuid.UUID(int=pool.rng.getrandbits(128), version=4))
        self.difficulty, self.fixed = pool.options["start"], False
        self.since, self.shares = time.monotonic(), 0

    def send(self, message):
        """One JSON object per line, written without spaces as pools do."""
        self.writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def xmr_job(self):
        """The job object of the Monero dialect."""
        job = self.pool.jobs[-1]
        target = int(2**32 / self.difficulty).to_bytes(4, "little").hex()
        return {"blob": job["blob"], "job_id": job["id"], "target": target, "algo": "rx/0",
                "height": self.pool.height, "seed_hash": job["seed"]}

    def btc_notify(self):
        """The parameters of mining.notify."""
        job = self.pool.jobs[-1]
        return [job["id"], job["prev"], *job["coinbase"], job["branch"], "20000000", "17034219",
                f"{int(time.time()):08x}", job["clean"]]

    def push_job(self):
        """Send the current job unasked."""
        if self.pool.xmr:
            self.send({"jsonrpc": "2.0", "method": "job", "params": self.xmr_job()})
        else:
            self.send({"id": None, "method": "mining.notify", "params": self.btc_notify()})

    def push_difficulty(self):
        """Send the new difficulty; in the Monero dialect it is part of a job."""
        if not self.pool.xmr:
            self.send({"id": None, "method": "mining.set_difficulty", "params": [self.difficulty]})
        self.push_job()

    def retarget(self):
        """Variable difficulty: aim at one share per `goal` seconds."""
        elapsed = time.monotonic() - self.since
        if self.fixed or (elapsed < VARDIFF_WINDOW_S and self.shares < 12):
            return
        wanted = self.difficulty * self.pool.options["goal"] * max(self.shares, 0.5) / max(elapsed, 1)
        self.since, self.shares = time.monotonic(), 0
        wanted = max(min(wanted, self.difficulty * 4), self.difficulty / 4, 5000)
        if not 0.7 < wanted / self.difficulty < 1.4:
            self.difficulty = int(wanted)
            self.push_difficulty()

    def share(self, job_id):
        """Count a share; None if it is good, else the pool's complaint."""
        self.shares += 1
        if job_id not in [job["id"] for job in self.pool.jobs]:
            return "Block expired" if self.pool.xmr else "Job not found"
        return "Low difficulty share" if self.pool.rng.random() < 0.003 else None

    def answer_xmr(self, message):
        """Answer one request of the Monero dialect."""
        method, params, error = message["method"], message["params"], None
        if method == "login":
            self.fixed = "+" in params["login"]
            if self.fixed:
                self.difficulty = int(params["login"].split("+")[1])
            result = {"id": self.id, "job": self.xmr_job(), "status": "OK",
                      "extensions": ["algo", "nicehash", "connect", "tls", "keepalive"]}
        elif method == "keepalived":
            result = {"status": "KEEPALIVED"}
        else:
            error = self.share(params["job_id"])
            result = None if error else {"status": "OK"}
        reply = {"id": message["id"], "jsonrpc": "2.0", "error": error and {"code": -1, "message": error}}
        self.send(reply | ({"result": result} if result else {}))

    def answer_btc(self, message):
        """Answer one request of the Bitcoin dialect."""
        method, error, result = message["method"], None, True
        if method == "mining.configure":
            result = {"version-rolling": True, "version-rolling.mask": "1fffe000"}
        elif method == "mining.subscribe":
            result = [[["mining.set_difficulty", self.id[:8]], ["mining.notify", self.id[:8]]],
                      self.id[-8:], 8]
        elif method == "mining.submit":
            fault = self.share(message["params"][1])
            result, error = (None, [21, fault, None]) if fault else (True, None)
        self.send({"id": message["id"], "result": result, "error": error})
        if method == "mining.authorize":
            self.push_difficulty()


async def serve(ctx, options):
    """Run one port of a pool."""
    pool = Pool(ctx, options)

    async def handle(reader, writer):
        session = Session(pool, writer)
        answer = session.answer_xmr if pool.xmr else session.answer_btc
        try:
            while line := await asyncio.wait_for(reader.readline(), 600):
                message = json.loads(line)
                answer(message)
                if message["method"] in ("login", "mining.authorize"):
                    pool.sessions.add(session)
                session.retarget()
        finally:
            pool.sessions.discard(session)

    ticker = asyncio.create_task(pool.tick())
    try:
        await listen(ctx, handle, options)
    finally:
        ticker.cancel()
