"""The benign clients of the lab; each role is one function that runs for ever."""

import asyncio
import socket
import struct

import plan
from servers import frame, read_frame


async def datagram(ctx, server, port, kind, data, source=0):
    """Send one UDP request; return the answer, or nothing after three seconds."""
    ctx.note(server, port, "udp", kind)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((ctx.host.ip6 if ":" in server else ctx.host.ip4, source))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (server, port))
        await loop.sock_sendall(sock, data)
        return await asyncio.wait_for(loop.sock_recv(sock, 4096), 3)


async def resolve(ctx, name, kind=1, v6=False):
    """Query the name server; the address is at the end of the answer."""
    dns = plan.server("dns1")
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    header = struct.pack("!HHHHHH", ctx.rng.getrandbits(16), 0x0100, 1, 0, 0, 0)
    query = header + labels + struct.pack("!BHH", 0, kind, 1)
    answer = await datagram(ctx, dns.ip6 if v6 else dns.ip4, 53, "dns", query)
    if answer[3] & 15:
        return None
    family, size = (socket.AF_INET6, 16) if kind == 28 else (socket.AF_INET, 4)
    return socket.inet_ntop(family, answer[-size:])


async def lookup(ctx, options):
    """Names that programs of the host look up in the background."""
    del options
    v6 = ctx.rng.random() < 0.2
    while True:
        name = "".join(ctx.rng.choices("abcdefghijklmnop", k=ctx.rng.randint(4, 18)))
        await resolve(ctx, f"{name}.example.lab", ctx.rng.choice((1, 1, 28)), v6)
        await ctx.pause(60)


async def ntp(ctx, options):
    """A time poll every 64 s, from port 123 or from a fresh port as chrony does."""
    del options
    server = plan.server("time1")
    source = ctx.rng.choice((0, 123))
    address = ctx.rng.choice((server.ip4, server.ip4, server.ip6))
    while True:
        try:
            await datagram(ctx, address, 123, "ntp", b"\x23" + bytes(39) + ctx.rng.randbytes(8), source)
        except asyncio.TimeoutError:
            pass  # a lost poll is normal; the next one comes anyway
        await asyncio.sleep(64 + ctx.rng.uniform(-1, 1))


async def get(pipe, path, rng, body=0):
    """One HTTP request on an open connection; read the whole answer."""
    reader, writer = pipe
    method = "POST" if body else "GET"
    writer.write(f"{method} /{path} HTTP/1.1\r\nHost: site.lab\r\n"
                 "User-Agent: Mozilla/5.0 (X11; Linux x86_64) "
                 f"Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\nCookie: id={'x' * rng.randint(10, 400)}\r\n"
                 f"Content-Length: {body}\r\n\r\n".encode() + bytes(body))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 90)
    left = int(head.decode().split("Content-Length: ")[1].split("\r\n")[0])
    while left > 0:
        chunk = await reader.read(min(left, 1 << 18))
        if not chunk:
            raise EOFError("server closed")
        left -= len(chunk)


async def visit(ctx, address, port, pages):
    """Read some pages of one site over one to three kept-alive connections."""
    pipes = [await ctx.connect(address, port, "web", tls=port == 443)
             for _ in range(ctx.rng.choice((1, 1, 2, 3)))]
    rng = ctx.rng
    try:
        for _ in range(pages):
            await get(pipes[0], min(int(rng.lognormvariate(9.6, 1)), 400_000), rng)
            for n in range(rng.randint(0, 8)):
                await get(pipes[n % len(pipes)], min(int(rng.lognormvariate(8.8, 1.3)), 600_000), rng)
            if rng.random() < 0.15:
                await get(pipes[0], rng.randint(200, 3000), rng, rng.randint(100, 20_000))
            await ctx.pause(14)
        # A browser keeps the connection for a while in case the reader goes on.
        await asyncio.sleep(rng.uniform(0, 60))
    except (EOFError, OSError):
        pass  # the server's keep-alive ended first
    finally:
        for _, writer in pipes:
            writer.close()


async def browse(ctx, options):
    """Surf: look a site up, read a few pages, think, go elsewhere."""
    del options
    v6 = ctx.rng.random() < 0.3
    while True:
        site = f"site{ctx.rng.randint(1, 60)}"
        address = await resolve(ctx, f"{site}.example.lab")
        address6 = await resolve(ctx, f"{site}.example.lab", 28)
        port = 443 if ctx.rng.random() < 0.8 else 80
        await visit(ctx, address6 if v6 else address, port, ctx.rng.randint(1, 5))
        await ctx.pause(45)


async def dashboard(ctx, options):
    """A miner's owner looks at the web page of the pool."""
    while True:
        await ctx.pause(300)
        await visit(ctx, plan.server(options["pool"]).ip4, 80, ctx.rng.randint(1, 3))


async def push(ctx, options):
    """A page or a program with an open notification channel."""
    server = plan.server("push1")
    address = server.ip6 if ctx.rng.random() < 0.25 else server.ip4
    reader, writer = await ctx.connect(address, options["port"], "push", tls=options["port"] == 443)
    writer.write(b"GET /events HTTP/1.1\r\nHost: push.lab\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")

    async def talk():
        while True:
            await ctx.pause(150)
            writer.write(frame(1, bytes(ctx.rng.randint(20, 400)), mask=True))

    talker = asyncio.create_task(talk())
    try:
        async with asyncio.timeout(ctx.rng.expovariate(1 / 1500)):
            while True:
                opcode, payload = await read_frame(reader)
                if opcode == 9:
                    writer.write(frame(10, payload, mask=True))
    finally:
        talker.cancel()
        writer.close()


async def longpoll(ctx, options):
    """Long polling: send a request, wait for the answer, send the next."""
    pipe = await ctx.connect(plan.server("web1").ip4, 443, "web", tls=True)
    try:
        while True:
            await get(pipe, f"wait/{ctx.rng.uniform(1, options['hold']):.2f}", ctx.rng)
            await asyncio.sleep(0.2)
    finally:
        pipe[1].close()


async def stream(ctx, options):
    """Video in segments, a few minutes at a time."""
    del options
    while True:
        await ctx.pause(200)
        pipe = await ctx.connect(plan.server("web3").ip4, 443, "stream", tls=True)
        for _ in range(ctx.rng.randint(20, 50)):
            await get(pipe, ctx.rng.randint(150_000, 400_000), ctx.rng)
            await asyncio.sleep(6)
        pipe[1].close()


async def api(ctx, options):
    """A script that calls a web service every ten seconds, each time anew."""
    del options
    while True:
        pipe = await ctx.connect(plan.server("web2").ip4, 443, "api", tls=True)
        await get(pipe, ctx.rng.randint(200, 2500), ctx.rng, ctx.rng.randint(50, 500))
        pipe[1].close()
        await asyncio.sleep(10)


async def mqtt(ctx, options):
    """A thing that publishes a value every `every` s and pings when it is quiet."""
    port = options["port"]
    reader, writer = await ctx.connect(plan.server("iot1").ip4, port, "iot", tls=port == 8883)
    quiet = 0
    writer.write(b"\x10\x18\x00\x04MQTT\x04\x02" + struct.pack("!H", options["keep"])
                 + b"\x00\x0csensor-00042")
    try:
        await reader.readexactly(4)
        while True:
            step = min(options["every"], options["keep"])
            await asyncio.sleep(step * ctx.rng.uniform(0.95, 1.05))
            quiet += step
            if quiet >= options["every"]:
                value = ctx.rng.randint(20, 90)
                writer.write(b"\x32" + bytes([value]) + b"\x00\x05room1\x00\x01" + bytes(value - 9))
                quiet = 0
            else:
                writer.write(b"\xc0\x00")
            await asyncio.wait_for(reader.read(4096), 30)
    finally:
        writer.close()


async def db(ctx, options):
    """An application that keeps one database connection and sends a query now and then."""
    reader, writer = await ctx.connect(plan.server("office1").ip4, 5432, "db")
    try:
        for _ in range(ctx.rng.randint(50, 200)):
            size = ctx.rng.randint(60, 350)
            writer.write(struct.pack("!I", size) + bytes(size))
            await reader.readexactly(struct.unpack("!I", await reader.readexactly(4))[0])
            await ctx.pause(options["pause"])
    finally:
        writer.close()


async def imap(ctx, options):
    """A mail program in IDLE; new mail is fetched at once."""
    del options
    reader, writer = await ctx.connect(plan.server("office1").ip4, 993, "mail", tls=True)
    try:
        for command in ("LOGIN user secret", "SELECT INBOX", "IDLE"):
            writer.write(f"a1 {command}\r\n".encode())
        while line := await reader.readline():
            if line.endswith(b"EXISTS\r\n"):
                writer.write(b"DONE\r\na2 FETCH 172 BODY[]\r\na3 IDLE\r\n")
    finally:
        writer.close()


def ssh_command(ctx, program, *extra):
    """The command line of ssh or scp with this run's key."""
    return [program, "-q", "-i", str(ctx.run / "ssh_key"), "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", *extra]


COMMANDS = ("date", "uptime", "ls -l /usr/bin | head -60", "cat /etc/services | head -40",
            "echo hello world", "df", "ls -l /etc")


async def shell(ctx, options):
    """A terminal session: a user types, or it lies idle with keep-alives."""
    server = plan.server("shell1")
    idle = options["style"] == "idle"
    ctx.note(server.ip4, 22, "tcp", "ssh")
    command = ssh_command(ctx, "ssh", "-tt", "-o", f"ServerAliveInterval={options.get('alive', 0)}",
                          f"root@{server.ip4}", "sh")
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE,
                                                   stdout=asyncio.subprocess.DEVNULL)
    try:
        for _ in range(ctx.rng.randint(2, 5) if idle else ctx.rng.randint(8, 40)):
            for key in (ctx.rng.choice(COMMANDS) + "\r").encode():
                process.stdin.write(bytes([key]))
                await asyncio.sleep(min(ctx.rng.lognormvariate(-1.9, 0.6), 3))
            await ctx.pause(400 if idle else 18)
        process.stdin.write(b"exit\r")
        await asyncio.wait_for(process.wait(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    await ctx.pause(60)


async def bulk(ctx, options):
    """A copy of 1 to 30 MB now and then, by scp or over the web."""
    del options
    while True:
        await ctx.pause(240)
        if ctx.rng.random() < 0.5:
            pipe = await ctx.connect(plan.server("web2").ip4, 80, "bulk")
            await get(pipe, int(10 ** ctx.rng.uniform(6, 7.5)), ctx.rng)
            pipe[1].close()
            continue
        server = plan.server("shell1")
        ctx.note(server.ip4, 22, "tcp", "bulk")
        process = await asyncio.create_subprocess_exec(*ssh_command(
            ctx, "scp", f"root@{server.ip4}:{ctx.run}/file{ctx.rng.randint(1, 4)}", "/dev/null"))
        await process.wait()


async def monitor(ctx, options):
    """Monitoring: fresh polls of all web servers every 60 s, a kept-alive scrape every 15 s."""
    del options

    async def poll(address, port):
        try:
            pipe = await ctx.connect(address, port, "monitor", tls=port == 443)
            await get(pipe, ctx.rng.randint(300, 900), ctx.rng)
            pipe[1].close()
        except (OSError, EOFError, asyncio.TimeoutError):
            pass  # a failed poll is a result too

    scrape = await ctx.connect(plan.server("office1").ip4, 9100, "monitor")
    for turn in range(1 << 30):
        await get(scrape, ctx.rng.randint(9000, 30000), ctx.rng)
        if turn % 4 == 0:
            for name in ("web1", "web2", "web3"):
                for port in (80, 443):
                    await poll(plan.server(name).ip4, port)
        if turn % 2 == 0:
            # A port check only: connect and hang up, also on a port that pools like.
            await hello(ctx, plan.server("iot1").ip4, 1883, "monitor")
            await hello(ctx, plan.server("push1").ip4, 3333, "monitor")
        await asyncio.sleep(15)


async def hello(ctx, address, port, kind):
    """Connect and hang up."""
    try:
        _, writer = await ctx.connect(address, port, kind)
        writer.close()
    except (OSError, asyncio.TimeoutError):
        pass  # closed ports are what a scan mostly finds


async def scan(ctx, options):
    """A connect scan over the servers and some clients, repeated after a long while."""
    del options
    ports = [21, 22, 23, 25, 53, 80, 110, 139, 143, 443, 445, 993, 1433, 1883, 3306, 3333, 3389, 5432, 5900,
             6379, 8000, 8080, 8443, 8888, 9001, 9100, 9200, 14444, 27017]
    await ctx.pause(300)
    targets = [host for host in ctx.hosts if host.server] + ctx.rng.sample(ctx.hosts[12:], 6)
    for target in targets:
        if target.name != ctx.host.name:
            for port in ctx.rng.sample(ports, len(ports)):
                await hello(ctx, target.ip4, port, "scan")
                await asyncio.sleep(0.05)
    await ctx.pause(1500)


async def ping(ctx, options):
    """ICMP echo in short series."""
    del options
    while True:
        server = plan.server(ctx.rng.choice(("web1", "web3", "dns1", "pool1", "office1")))
        address = ctx.rng.choice((server.ip4, server.ip6))
        ctx.note(address, 0, "icmp6" if ":" in address else "icmp", "ping")
        process = await asyncio.create_subprocess_exec(
            "ping", "-q", "-c", str(ctx.rng.randint(3, 20)), "-i", "1", address,
            stdout=asyncio.subprocess.DEVNULL)
        await process.wait()
        await ctx.pause(120)


ROLES = {"lookup": lookup, "ntp": ntp, "browse": browse, "dashboard": dashboard, "push": push,
         "longpoll": longpoll, "stream": stream, "api": api, "mqtt": mqtt, "db": db, "imap": imap,
         "shell": shell, "bulk": bulk, "monitor": monitor, "scan": scan, "ping": ping}
