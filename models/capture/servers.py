"""The benign servers of the lab: web, push, DNS, time, MQTT, database, mail, SSH."""

import asyncio
import socket
import struct
import time
import zlib

import plan
from wire import listen

FILLER = bytes(range(256)) * 4096  # 1 MiB of page content


async def web(ctx, options):
    """HTTP/1.1 with keep-alive: /<bytes> gives a page, /wait/<s> a long poll."""
    async def handle(reader, writer):
        while head := await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), options["idle"]):
            lines = head.decode().split("\r\n")
            path = lines[0].split()[1].strip("/").split("/")
            length = next((int(line.split()[1]) for line in lines if line.startswith("Content-Length")), 0)
            await reader.readexactly(length)
            # Pages come out of a database: no server answers in no time.
            await asyncio.sleep(float(path[1]) if path[0] == "wait" else ctx.rng.expovariate(25))
            await reply(writer, ctx.rng.randint(80, 900) if path[0] == "wait" else int(path[0]))

    await listen(ctx, handle, options)


async def reply(writer, size):
    """One HTTP answer with a body of `size` bytes, written as the client takes it."""
    writer.write(f"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
                 f"Content-Length: {size}\r\n\r\n".encode())
    while size > 0:
        writer.write(FILLER[:size])
        size -= len(FILLER)
        await writer.drain()


def frame(opcode, payload, mask=False):
    """A websocket frame; clients mask theirs, so it is four bytes longer."""
    bit = 0x80 if mask else 0
    size = len(payload)
    length = bytes([bit | size]) if size < 126 else struct.pack("!BH", bit | 126, size)
    return bytes([0x80 | opcode]) + length + (bytes(4) if mask else b"") + payload


async def read_frame(reader):
    """The opcode and the payload of the next websocket frame."""
    opcode, size = await reader.readexactly(2)
    masked, size = size & 0x80, size & 0x7F
    if size == 126:
        size = struct.unpack("!H", await reader.readexactly(2))[0]
    payload = await reader.readexactly(size + (4 if masked else 0))
    return opcode & 15, payload[4:] if masked else payload


async def push(ctx, options):
    """Websocket-like notifications: a ping every `ping` s, news every `news` s on average."""
    async def handle(reader, writer):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        jobs = [asyncio.create_task(beat(writer)), asyncio.create_task(news(writer))]
        try:
            while True:
                await asyncio.wait_for(read_frame(reader), 300)
        finally:
            for job in jobs:
                job.cancel()

    async def beat(writer):
        while True:
            await asyncio.sleep(options["ping"])
            writer.write(frame(9, b""))

    async def news(writer):
        while True:
            await ctx.pause(options["news"])
            writer.write(frame(1, FILLER[:min(int(ctx.rng.lognormvariate(5.5, 1)), 9000)]))

    await listen(ctx, handle, options)


class Datagrams(asyncio.DatagramProtocol):
    """A UDP server made of one function from request to answer."""

    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(self.answer(data), addr)


async def datagrams(ctx, options, answer):
    """Serve UDP on both address families until the process ends."""
    loop = asyncio.get_running_loop()
    for address in (ctx.host.ip4, ctx.host.ip6):
        await loop.create_datagram_endpoint(lambda: Datagrams(answer), (address, options["port"]))
    await asyncio.Event().wait()


def dns_answer(query):
    """Answer A and AAAA: sites have their web server, two thirds of the rest an invented address."""
    at, labels = 12, []
    while size := query[at]:
        labels.append(query[at + 1:at + 1 + size].decode())
        at += size + 1
    kind = struct.unpack("!H", query[at + 1:at + 3])[0]
    family = socket.AF_INET6 if kind == 28 else socket.AF_INET
    hashed = zlib.crc32(labels[0].encode())
    address = f"{plan.NET6}:9:{hashed % 999 + 1:x}" if kind == 28 else f"{plan.NET4}.9.{hashed % 250 + 1}"
    if labels[0].startswith("site"):
        host = plan.site_host(labels[0])
        address = host.ip6 if kind == 28 else host.ip4
    elif hashed % 3 == 0:
        return query[:2] + b"\x81\x83\x00\x01" + bytes(6) + query[12:]  # no such name
    data = socket.inet_pton(family, address)
    return (query[:2] + b"\x81\x80\x00\x01\x00\x01" + bytes(4) + query[12:at + 5]
            + struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(data)) + data)


async def dns(ctx, options):
    """A name server."""
    await datagrams(ctx, options, dns_answer)


def ntp_answer(query):
    """An SNTP answer of a stratum 2 server (the clock's stratum, no mining)."""
    stamp = struct.pack("!II", int(time.time()) + 2208988800, 0)
    head = struct.pack("!BBbbII4s", 0x24, 2, query[2], -20, 700, 900, b"LAB0")
    return head + stamp + query[40:48] + stamp * 2


async def ntp(ctx, options):
    """A time server."""
    await datagrams(ctx, options, ntp_answer)


async def mqtt(ctx, options):
    """An MQTT 3.1.1 broker that acknowledges and forgets."""
    answers = {1: b"\x20\x02\x00\x00", 3: b"\x40\x02\x00\x01", 8: b"\x90\x03\x00\x01\x00", 12: b"\xd0\x00"}

    async def handle(reader, writer):
        while True:
            kind, size = await asyncio.wait_for(reader.readexactly(2), 400)
            if size & 0x80:
                size = (size & 0x7F) + 128 * (await reader.readexactly(1))[0]
            await reader.readexactly(size)
            writer.write(answers[kind >> 4])
            # Now and then the broker has a command for the thing.
            if kind >> 4 == 3 and ctx.rng.random() < 0.05:
                writer.write(b"\x30" + bytes([60]) + FILLER[:60])

    await listen(ctx, handle, options)


async def db(ctx, options):
    """A database: a request is a length and that many bytes, so is the answer."""
    async def handle(reader, writer):
        while True:
            size = struct.unpack("!I", await asyncio.wait_for(reader.readexactly(4), 600))[0]
            await reader.readexactly(size)
            await asyncio.sleep(ctx.rng.expovariate(60))
            rows = min(int(ctx.rng.lognormvariate(5.8, 1.2)), 60000)
            writer.write(struct.pack("!I", rows) + FILLER[:rows])

    await listen(ctx, handle, options)


async def imap(ctx, options):
    """Mail with IDLE: "still here" every two minutes, new mail now and then."""
    async def handle(reader, writer):
        async def chatter():
            while True:
                wait = ctx.rng.expovariate(1 / 240)
                await asyncio.sleep(min(wait, 120))
                writer.write(b"* OK Still here\r\n" if wait > 120 else b"* 172 EXISTS\r\n* 1 RECENT\r\n")

        writer.write(b"* OK [CAPABILITY IMAP4rev1 IDLE] lab mail ready.\r\n")
        talk = asyncio.create_task(chatter())
        try:
            while line := await asyncio.wait_for(reader.readline(), 1800):
                tag, _, verb = line.decode().strip().partition(" ")
                if verb.startswith("FETCH"):
                    writer.write(FILLER[:int(ctx.rng.lognormvariate(8.5, 1))] + b"\r\n")
                writer.write(b"+ idling\r\n" if verb == "IDLE" else f"{tag} OK done.\r\n".encode())
        finally:
            talk.cancel()

    await listen(ctx, handle, options)


async def sshd(ctx, options):
    """The real OpenSSH server with this run's throw-away keys."""
    del options
    process = await asyncio.create_subprocess_exec(
        "/usr/sbin/sshd", "-D", "-e", "-f", str(ctx.run / "sshd_config"), stderr=asyncio.subprocess.DEVNULL)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()


ROLES = {"web": web, "push": push, "dns": dns, "ntp": ntp, "mqtt": mqtt, "db": db, "imap": imap, "sshd": sshd}
