"""What all clients and servers share: connections, TLS contexts and label notes.

A client writes down each (client, server, port, protocol) before it uses it.
The labels of the recording come from these notes and from nothing else.
"""

import asyncio
import csv
import random
import socket
import ssl


class Ctx:
    """One role on one host: its random numbers, its addresses, its label notes."""

    noted = set()

    def __init__(self, host, hosts, run, seed, number):
        self.host, self.hosts, self.run = host, hosts, run
        self.rng = random.Random(f"{seed}-{host.name}-{number}")

    def note(self, server, port, proto, kind, label="benign"):
        """Write one label row, once per process."""
        client = self.host.ip6 if ":" in server else self.host.ip4
        row = (client, server, port, proto, label, kind)
        if row in Ctx.noted:
            return
        Ctx.noted.add(row)
        with open(self.run / f"labels-{self.host.name}.csv", "a", newline="") as out:
            csv.writer(out, lineterminator="\n").writerow(row)

    def pause(self, mean):
        """Sleep for an exponentially distributed time."""
        return asyncio.sleep(self.rng.expovariate(1 / mean))

    async def connect(self, server, port, kind, label="benign", tls=False):
        """Open a TCP connection (with TLS if `tls`) and note its label."""
        self.note(server, port, "tcp", kind, label)
        context = client_tls() if tls else None
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(server, port, ssl=context, limit=1 << 20), 20)
        # As libuv's keep-alive of real miners and most daemons: probe an idle peer.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        return reader, writer


def client_tls():
    """TLS without verification: the certificate is thrown away after the run."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def server_tls(run):
    """TLS with the self-signed certificate of this run."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(run / "tls.crt", run / "tls.key")
    return context


async def listen(ctx, handler, options):
    """Serve TCP on both address families until the process ends."""
    async def guarded(reader, writer):
        try:
            await handler(reader, writer)
        except (OSError, EOFError, asyncio.TimeoutError, ValueError, ssl.SSLError):
            pass  # a client that leaves is no fault of the server
        except asyncio.CancelledError:
            pass  # the recording is over
        finally:
            writer.close()

    context = server_tls(ctx.run) if options.get("tls") else None
    server = await asyncio.start_server(guarded, [ctx.host.ip4, ctx.host.ip6], options["port"],
                                        ssl=context, limit=1 << 20)
    async with server:
        await server.serve_forever()
