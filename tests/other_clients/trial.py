"""What another client did on a strict site, and which rules met it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from shoal.sandbox import Clock, World, build_sandbox, strict_policy
from shoal.sandbox.server import site_protocols
from support.notices.notice_services import certificate_for
from support.servers.served import served
from support.site.sandbox_driver import Box

HOSTS: Final = [
    "h5api.m.goofish.com", "passport.goofish.com", "www.goofish.com", "stream-upload.goofish.com",
    "wss-goofish.dingtalk.com", "log.mmstat.com",
]  # fmt: skip
"""The hosts of the site, as clients call them."""
LOOPBACK: Final = "127.0.0.1"
LED: Final = Path(__file__).with_name("led.py")
SECONDS: Final = 60.0
"""How long one thing may take."""
END_SECONDS: Final = 5.0
STARTS: Final = 4
"""How often a client is started with one cookie; some make a new device id each time."""


@dataclass
class Trial:
    """What was seen of one client: what it did and what failed, and how often each rule refused or only recorded."""

    name: str
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    recorded: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """Return it as figures."""
        return {
            "done": self.done, "failed": self.failed, "refused": dict(self.refused), "recorded": dict(self.recorded),
        }  # fmt: skip

    @property
    def violations(self) -> list[str]:
        """Return what must not be: something failed, or a rule refused what works on the real site."""
        stopped = [f"the rule {rule} refused it {times} times" for rule, times in sorted(self.refused.items())]
        return [*self.failed, *stopped]


@dataclass
class StrictSite:
    """A strict sandbox, over TLS under the site's names too. ``place``: where the programs lie."""

    box: Box
    port: int
    place: Path
    python: str

    def cookie(self, number: int = 0) -> str:
        """Return the cookie of a login that is new."""
        return "; ".join(f"{name}={value}" for name, value in self.box.shop(number).seller.jar.items())

    @asynccontextmanager
    async def running(self, program: str, checkout: Path, **values: str) -> AsyncIterator[Program]:
        """Run a program of a checkout, and end it."""
        pem = str(self.place / "services.pem")
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        known = {"SSL_CERT_FILE": pem, "REQUESTS_CA_BUNDLE": pem, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
        log = (self.place / f"{time.monotonic_ns()}.log").open("w+b")
        process = await asyncio.create_subprocess_exec(
            self.python, str(LED), str(self.port), program, cwd=checkout, env={**keep, **known, **values},
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield Program(process, Path(log.name))
        finally:
            log.close()
            await _ended(process)

    async def seen(self, buyer: str, number: int = 0) -> list[str]:
        """Return what a buyer saw of the seller."""
        chat = await self.box.get(f"chats/{self.box.shop(number).unb}/{buyer}")
        return [line["text"] for line in chat["seen"]]


@dataclass
class Program:
    """A program that runs. ``output`` grows as it writes."""

    process: asyncio.subprocess.Process
    output: Path

    def said(self) -> str:
        """Return what it has written so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    async def found(self) -> dict[str, Any]:
        """Wait for its end; return what it printed behind ``FOUND``. Raises ``LookupError`` when there is nothing."""
        async with asyncio.timeout(SECONDS):
            await self.process.wait()
        for line in self.said().splitlines():
            if line.startswith("FOUND "):
                found: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
                return found
        raise LookupError(f"it found nothing:\n{self.said()[-2_000:]}")


async def _ended(process: asyncio.subprocess.Process) -> None:
    for end in (process.terminate, process.kill):
        with suppress(ProcessLookupError):
            end()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
                return


async def until(condition: Callable[[], Any], *, seconds: float = SECONDS) -> None:
    """Wait until a condition, which may be awaited, holds. Raises ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


@asynccontextmanager
async def strict_site(place: Path, *, python: str = sys.executable, **levers: Any) -> AsyncIterator[StrictSite]:
    """A strict sandbox as ``--strict`` makes it."""
    pem = certificate_for(place, HOSTS)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    app = build_sandbox(World(shops=1, clock=Clock(), policy=strict_policy(**levers)))
    async with served(app) as url, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        encrypted = await asyncio.get_running_loop().create_server(site_protocols(app), LOOPBACK, 0, ssl=context)
        try:
            yield StrictSite(Box(url, app.state.site, http), encrypted.sockets[0].getsockname()[1], place, python)
        finally:
            encrypted.close()


async def answers_at_each_start(
    site: StrictSite, trial: Trial, program: str, checkout: Path, is_answer: Callable[[str, str], bool], **values: str
) -> None:
    """Start a client ``STARTS`` times with one cookie; each time a buyer asks, and must get an answer to that."""
    account = site.box.shop(0).unb
    for start in range(1, STARTS + 1):
        buyer, asked = f"buyer{start}", f"还在吗 {start}"

        async def is_online(start: int = start) -> bool:
            mine = (await site.box.get("sockets")).get(account, {})
            return bool(mine.get("now") and mine["total"] >= start)

        async def is_answered(buyer: str = buyer, asked: str = asked) -> bool:
            return any(is_answer(asked, said) for said in await site.seen(buyer))

        async with site.running(program, checkout, **values) as running:
            try:
                await until(is_online)
                await site.box.post("say", account=account, buyer=buyer, text=asked)
                await until(is_answered)
            except TimeoutError:
                trial.failed.append(f"start {start} answered nobody:\n{running.said()[-1_500:]}")
            else:
                trial.done.append(f"start {start}: registered and answered")


async def note_rules(site: StrictSite, trial: Trial) -> None:
    """Count which rules met the client."""
    for line in (await site.box.get("refusals?limit=5000"))["items"]:
        (trial.refused if line["refused"] else trial.recorded)[line["rule"]] += 1


def copied(checkout: Path, place: Path) -> Path:
    """Return a copy of a checkout, in which the client may write."""
    kept = place / checkout.name
    shutil.copytree(checkout, kept, ignore=shutil.ignore_patterns(".git", "images"))
    return kept
