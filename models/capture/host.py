"""Run every role of one host; record.py starts this once inside each namespace."""

import argparse
import asyncio
import pathlib
import signal
import sys

import clients
import plan
import servers
import stratum_client
import stratum_server
from wire import Ctx


def role_function(host, role):
    """The coroutine function that plays a role."""
    if host.server:
        return stratum_server.serve if role == "pool" else servers.ROLES[role]
    return stratum_client.mine if role == "mine" else clients.ROLES[role]


async def keep(ctx, role, options):
    """Play a role for ever; a broken connection is retried after a while."""
    if not ctx.host.server:
        # Hosts do not all wake up in the same second.
        await asyncio.sleep(ctx.rng.uniform(0, 45))
    while True:
        try:
            await role_function(ctx.host, role)(ctx, options)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            print(f"{ctx.host.name} {role}: {type(error).__name__} {error}", file=sys.stderr)
        await asyncio.sleep(ctx.rng.uniform(2, 10))


async def main():
    """Start the roles and wait for the signal to stop."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--host", required=True)
    args.add_argument("--run", required=True, type=pathlib.Path)
    args.add_argument("--seed", required=True)
    args = args.parse_args()
    hosts = plan.everyone(args.seed)
    host = next(h for h in hosts if h.name == args.host)
    tasks = [asyncio.create_task(keep(Ctx(host, hosts, args.run, args.seed, n), role, options))
             for n, (role, options) in enumerate(host.roles)]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
