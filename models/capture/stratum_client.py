"""The miner's end of Stratum over TCP, in the Monero ("xmr") and the Bitcoin ("btc") dialect.

It finds its shares by drawing random numbers: the time to the next share is
exponentially distributed with mean difficulty / hash rate, as for a real miner.
"""

import asyncio
import json
import time

import plan

KEEPALIVE_S = 60   # xmrig's default when the pool offers the extension
RETRY_S = 5        # xmrig's retry pause
SESSION_S = 2400   # mean duration of a connection before the line or the pool drops it
STALE = 0.01       # part of the shares that arrive for an old job
ALGORITHMS = ("cn/1 cn/2 cn/r cn/fast cn/half cn/xao cn/rto cn/rwz cn/zls cn/double cn/ccx cn-lite/1 "
              "cn-heavy/0 cn-heavy/tube cn-heavy/xhv cn-pico cn-pico/tlo cn/upx2 rx/0 rx/wow rx/arq "
              "rx/graft rx/sfx rx/keva argon2/chukwa argon2/chukwav2 argon2/ninja ghostrider").split()
AGENTS = ("XMRig/6.21.0 (Linux x86_64) libuv/1.44.2 gcc/11.2.0",
          "XMRig/6.18.1 (Windows NT 10.0; Win64; x64) libuv/1.44.2 msvc/2019",
          "XMRig/6.22.2 (Linux aarch64) libuv/1.49.2 gcc/13.2.0")
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Rig:
    """One connection to a pool."""

    def __init__(self, ctx, options, reader, writer):
        self.rng, self.options = ctx.rng, options
        self.reader, self.writer = reader, writer
        self.xmr = options["dialect"] == "xmr"
        self.serial, self.session, self.jobs, self.difficulty = 0, "", [], options.get("fixed", 1)

    def hexes(self, digits):
        """Random hexadecimal digits."""
        return f"{self.rng.getrandbits(digits * 4):0{digits}x}"

    def call(self, method, params):
        """Send one request; the two dialects differ in the envelope."""
        self.serial += 1
        message = {"id": self.serial, "jsonrpc": "2.0", "method": method, "params": params}
        if not self.xmr:
            del message["jsonrpc"]
        self.writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def heard(self, timeout):
        """The next line of the pool, or None when the time is over."""
        try:
            line = await asyncio.wait_for(self.reader.readline(), max(timeout, 0.01))
        except asyncio.TimeoutError:
            return None
        if not line:
            raise EOFError("pool closed the connection")
        message = json.loads(line)
        self.take(message)
        return message

    def take(self, message):
        """Take a job or a difficulty out of any message."""
        method, params = message.get("method"), message.get("params")
        result = message.get("result")
        if isinstance(result, dict) and "job" in result:
            self.session, method, params = result["id"], "job", result["job"]
        if method == "job":
            self.jobs = self.jobs[-3:] + [params["job_id"]]
            self.difficulty = 2**32 / int.from_bytes(bytes.fromhex(params["target"]), "little")
        elif method == "mining.notify":
            self.jobs = self.jobs[-3:] + [params[0]]
        elif method == "mining.set_difficulty":
            self.difficulty = params[0] * 2**32

    async def greet(self):
        """Log in and wait for the first job."""
        wallet = "4" + "".join(self.rng.choices(BASE58, k=94))
        if self.xmr:
            login = wallet + (f"+{self.options['fixed']}" if "fixed" in self.options else "")
            self.call("login", {"login": login, "pass": "x", "agent": self.rng.choice(AGENTS),
                                "algo": ALGORITHMS})
        else:
            if self.options.get("configure"):
                self.call("mining.configure", [["version-rolling"], {"version-rolling.mask": "ffffffff"}])
                await self.heard(20)
            self.call("mining.subscribe", ["bmminer/2.0.0/Antminer S9/13500"])
            await self.heard(20)
            self.call("mining.authorize", [wallet[:34] + ".rig1", "x"])
        while not self.jobs:
            if await self.heard(20) is None:
                raise EOFError("pool gave no job")

    def submit(self):
        """Send a share; now and then it is late and names an old job."""
        job = self.jobs[0] if self.rng.random() < STALE else self.jobs[-1]
        if self.xmr:
            self.call("submit", {"id": self.session, "job_id": job, "nonce": self.hexes(8),
                                 "result": self.hexes(64)})
        else:
            self.call("mining.submit", ["worker.rig1", job, self.hexes(16), f"{int(time.time()):08x}",
                                        self.hexes(8)])

    async def work(self, end):
        """Submit shares, answer jobs and keep the connection alive until `end`."""
        alive = time.monotonic() + KEEPALIVE_S
        share = None
        while (now := time.monotonic()) < end:
            # The search has no memory, so a new job may simply draw a new time.
            share = share or now + self.rng.expovariate(self.options["rate"] / self.difficulty)
            wait = min(share, alive if self.xmr else end, end) - now
            if await self.heard(wait):
                alive = time.monotonic() + KEEPALIVE_S
                share = None
                continue
            now = time.monotonic()
            if now >= share:
                self.submit()
                share = None
            elif self.xmr and now >= alive:
                self.call("keepalived", {"id": self.session})
                alive = now + KEEPALIVE_S


async def mine(ctx, options):
    """Mine for ever, or in turns of `on` and `off` seconds."""
    pool = plan.server(options["pool"])
    address = pool.ip6 if options.get("v6") else pool.ip4
    kind = "xmrig" if options["dialect"] == "xmr" else "stratum"
    shift_end = time.monotonic() + options.get("on", float("inf"))
    while time.monotonic() < shift_end:
        reader, writer = await ctx.connect(address, options["port"], kind, "miner", options.get("tls", False))
        try:
            rig = Rig(ctx, options, reader, writer)
            await rig.greet()
            await rig.work(min(shift_end, time.monotonic() + ctx.rng.expovariate(1 / SESSION_S)))
        except EOFError:
            pass  # the pool dropped us: try again after the pause
        finally:
            writer.close()
        await asyncio.sleep(RETRY_S)
    await asyncio.sleep(options["off"] * ctx.rng.uniform(0.7, 1.3))
