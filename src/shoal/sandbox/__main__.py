"""``python -m shoal.sandbox``: serve a local Xianyu and print one line with its address when it is ready."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from shoal.sandbox.clock import Clock
from shoal.sandbox.policy import STRICT_LEVERS, strict_policy
from shoal.sandbox.script import Script
from shoal.sandbox.server import build_sandbox, serve_sandbox
from shoal.sandbox.strict.rules import RULES
from shoal.sandbox.world import World

if TYPE_CHECKING:
    from shoal.sandbox.certificate import Certificate


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shoal.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--seed", type=int, default=0, help="what ids and cookies follow from")
    parser.add_argument("--shops", type=int, default=3, help="sellers to begin with (default %(default)s)")
    parser.add_argument("--script", action="store_true", help="let scripted buyers talk and pay")
    parser.add_argument("--buyers", type=int, help="how many scripted buyers; means --script (default 5)")
    parser.add_argument("--interval", type=float, default=4.0, help="mean seconds between scripted lines")
    parser.add_argument(
        "--tls", type=Path, metavar="DIRECTORY", help="serve TLS; the authority to trust is written into the directory"
    )
    parser.add_argument("--strict", action="store_true", help="refuse what no browser sends (docs/sandbox.md)")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[*RULES, *STRICT_LEVERS],
        metavar="RULE",
        help="a rule or switch to leave out",
    )
    parser.add_argument("--quiet", action="store_true", help="do not list the sellers on stderr")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    script: bool | Script = False
    if arguments.script or arguments.buyers is not None:
        buyers = 5 if arguments.buyers is None else arguments.buyers
        script = Script(interval_seconds=arguments.interval, buyers=buyers)
    certificate = _certificate(arguments.tls) if arguments.tls else None
    policy = strict_policy(*arguments.without) if arguments.strict else None
    world = World(seed=arguments.seed, shops=arguments.shops, clock=Clock(), policy=policy)
    task = asyncio.current_task()
    if task:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)

    def ready(url: str) -> None:
        if not arguments.quiet:
            for seller in world.sellers.values():
                sys.stderr.write(f"{seller.nick}\t{world.cookie_header(seller)}\n")
        announced = {"url": url} | ({"authority": str(certificate.authority)} if certificate else {})
        sys.stdout.write(f"SANDBOX {json.dumps(announced)}\n")
        sys.stdout.flush()

    app = build_sandbox(world, script=script)
    with contextlib.suppress(asyncio.CancelledError):
        await serve_sandbox(arguments.host, arguments.port, app=app, ready=ready, certificate=certificate)


def _certificate(directory: Path) -> Certificate:
    from shoal.sandbox.certificate import make_certificate  # noqa: PLC0415  loading it takes a third of a start

    return make_certificate(directory)


def _allow_many_sockets() -> None:
    """Raise the limit of open files: ten thousand accounts need ten thousand sockets.

    A refusal leaves the limit unchanged.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    _allow_many_sockets()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(_arguments()))


if __name__ == "__main__":
    main()
