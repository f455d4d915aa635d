"""Hours in one process: the real connection, sandbox and database on virtual time, replayed by seed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, MutableSequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from endurance.database import PacedDatabase
from endurance.network import DETECT_SECONDS, Network, NetworkLoop
from endurance.standstills import STANDING, STANDING_SECONDS
from endurance.story import (
    ANSWER,
    KEYWORD,
    PAID_MESSAGE,
    PAUSE_MINUTES,
    Owner,
    Story,
)
from endurance.trials import tried
from endurance.verdicts import Limits, reckon
from shoal.clock import reading
from shoal.config import Settings
from shoal.errors import ShoalError
from shoal.sandbox import Clock, World, build_sandbox
from shoal.sandbox.server import site_protocols
from shoal.storage.data_directory import DATABASE_FILE
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import ANN

START_MS = 1_750_000_000_000
SITE, CONTROL = "site", "control"
URL = "http://site.invalid"
MOST_STEPS = 50_000_000
DEAF_REST_SECONDS = 1000.0
"""A look within 450 s finds a line deaf, and one that fell often waits for up to 300 s."""


class VirtualClock(Clock):
    """The site's clock: that of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def now_ms(self) -> int:
        return START_MS + round(self._loop.time() * 1000)


class VirtualShoal(Shoal):
    """A Shoal whose line to the site is in memory and whose database keeps step with the loop."""

    def __init__(self, sandbox: Sandbox, data_dir: Path, rng: Random) -> None:
        super().__init__(sandbox, data_dir)
        self.rng = rng

    def make_database(self) -> PacedDatabase:
        return PacedDatabase(self.data_dir, rng=self.rng)

    def make_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(SITE, limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )


class VirtualOwner(Owner):
    """The owner, at a server in this process. Refusals by a sick database are told, and the act tried again later."""

    def __init__(self, shoal: VirtualShoal, rng: Random) -> None:
        self._shoal = shoal
        self._rng = rng
        self._up = asyncio.Event()
        self._up.set()
        self.refused = 0

    async def enable(self, account_id: str, enabled: bool) -> None:
        await self._until_taken(lambda: self._shoal.manager.update_cookie_status(account_id, enabled, caller=ANN))

    async def auto_confirm(self, account_id: str, enabled: bool) -> None:
        await self._until_taken(
            lambda: self._shoal.manager.update_auto_confirm_setting(account_id, enabled, caller=ANN)
        )

    async def new_cookie(self, account_id: str, cookie: str) -> None:
        await self._until_taken(lambda: self._shoal.manager.update_cookie(account_id, cookie, caller=ANN))

    async def resume(self, account_id: str) -> None:
        await self._until_taken(lambda: self._shoal.manager.resume(account_id, caller=ANN))

    async def change_rules(self, account_id: str, rules: dict[str, str]) -> None:
        await self._until_taken(
            lambda: self._shoal.manager.update_keywords(account_id, list(rules.items()), caller=ANN)
        )

    async def _until_taken(self, act: Any) -> None:
        while True:
            await self._up.wait()
            try:
                await act()
            except ShoalError:
                self.refused += 1
                await asyncio.sleep(self._rng.uniform(0.5, 5))
            else:
                return

    async def states(self) -> dict[str, str]:
        if not self._up.is_set():
            return {}
        manager = self._shoal.manager
        return {account_id: manager.observation(account_id).state.value for account_id in manager.accounts}

    async def restart(self) -> None:
        if not self._up.is_set():
            return
        self._up.clear()
        await self._shoal.close()
        await asyncio.sleep(self._rng.uniform(0.1, 40))
        await self._shoal.open(**SETTINGS)
        self._up.set()


class VirtualWeather:
    """The network, the disk, and the process itself, which may stand still."""

    def __init__(self, network: Network, shoal: VirtualShoal, loop: NetworkLoop) -> None:
        self._network = network
        self._shoal = shoal
        self._loop = loop

    def strike(self, rng: Random) -> str:
        kind = rng.choice(["cut some", "cut all", "silence", "refuse", "slow", "disk", *STANDING])
        seconds = rng.uniform(2, 45)
        match kind:
            case "cut some":
                self._network.cut(0.4)
            case "cut all":
                self._network.cut(1.0)
            case "silence":
                self._network.silence(rng.choice([0.3, 1.0]), seconds * 3)
            case "refuse":
                self._network.cut(0.5)
                self._network.refuse(seconds)
            case "slow":
                self._network.slow(seconds)
            case "disk":
                database = self._shoal.database
                if isinstance(database, PacedDatabase):
                    database.trouble(seconds, rng.choice([0.3, 1.0]))
            case _:
                self._stand_still(kind, rng)
        return f"weather: {kind}"

    def writer_stands(self, seconds: float) -> None:
        """Let nothing be written for so long."""
        if isinstance(self._shoal.database, PacedDatabase):
            self._shoal.database.writer_stands(seconds, when_done=False)

    def _stand_still(self, kind: str, rng: Random) -> None:
        """Something in the process stands still, mostly for longer than a connection says farewell.

        Often the lines are cut during that: then connections end, and new ones begin, while their work waits.
        """
        seconds, database = rng.uniform(*STANDING_SECONDS), self._shoal.database
        if rng.random() < 0.7:
            self._loop.call_later(rng.uniform(0, seconds / 2), self._network.cut, rng.choice([0.5, 1.0]))
        if kind == "the collector stands still":
            self._loop.stand_still(seconds)
        elif isinstance(database, PacedDatabase):
            if kind == "the writer stands still":
                database.writer_stands(seconds, when_done=rng.random() < 0.4)
            else:
                database.readers_stand(seconds)

    def mend(self) -> None:
        self._network.mend()
        if isinstance(self._shoal.database, PacedDatabase):
            self._shoal.database.trouble(0, 0)
            self._shoal.database.writer_stands(0, when_done=False)
            self._shoal.database.readers_stand(0)


_OURS = ("reply_debounce_seconds", "heartbeat_seconds", "heartbeat_timeout_seconds", "site_timeout_seconds")
SETTINGS: dict[str, Any] = {
    name: Settings.model_fields[name].default for name in (*_OURS, "send_timeout_seconds", "token_calls_per_second")
} | {"backoff": None, "token_renewal_minutes": 20}
"""What a server has by default, not what a test that waits would choose; tokens are renewed more often."""
POLICY = {"im_token_seconds": 3600, "tk_seconds": 1800}
"""Lives that end within the run."""


@dataclass
class Figures:
    """What one run was like."""

    seed: int
    virtual_seconds: float
    outcomes: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    log: MutableSequence[str] = field(default_factory=list)


def live(seed: int, seconds: float, directory: Path, *, shops: int = 3, calm: bool = False) -> Figures:
    """Live through so many virtual seconds and reckon up."""
    figures = Figures(seed, seconds)
    loop = NetworkLoop(seed)
    loop.most_steps = MOST_STEPS
    try:
        with reading(lambda: START_MS + round(loop.time() * 1000)):
            loop.run_until_complete(_live(figures, loop, directory, shops, calm=calm))
    finally:
        loop.finish()
    figures.counted["loop steps"] = loop.steps
    figures.violations += [f"the loop complains: {complaint}" for complaint in loop.complaints]
    return figures


ACKNOWLEDGED_WITHIN_SECONDS = 60
"""How long after its end a run waits for the acknowledgement of what was pushed last."""


async def _live(figures: Figures, loop: NetworkLoop, directory: Path, shops: int, *, calm: bool) -> None:
    rng = Random(figures.seed)
    network = Network(loop, Random(rng.random()), steady=CONTROL)
    world = World(seed=figures.seed, shops=shops, clock=VirtualClock(loop))
    world.change_policy(**POLICY)
    async with _served(network, world) as sandbox:
        shoal = VirtualShoal(sandbox, directory / "data", Random(rng.random()))
        await shoal.open(**SETTINGS)
        owner = VirtualOwner(shoal, Random(rng.random()))
        names = {}
        for number in range(shops):
            names[f"shop{number}"] = await shoal.add(f"shop{number}", number=number, keywords={KEYWORD: ANSWER})
            values = {"paid_message": PAID_MESSAGE, "pause_duration": PAUSE_MINUTES}
            await shoal.manager.update_settings(f"shop{number}", values, caller=ANN)
            await shoal.manager.update_auto_confirm_setting(f"shop{number}", True, caller=ANN)
        weather = VirtualWeather(network, shoal, loop)
        now = lambda: START_MS / 1000 + loop.time()  # noqa: E731 - as short as what it stands for
        story = Story(rng, sandbox, owner, weather, names, now=now, calm=calm)
        if not calm:
            story.trials = lambda story: tried(story, weather.writer_stands)
        story.rest_seconds = story.rest_seconds if calm else DEAF_REST_SECONDS
        try:
            await story.run(figures.virtual_seconds)
            reckoning = await reckon(story, sandbox, directory / "data" / DATABASE_FILE, Limits())
            figures.outcomes, figures.violations = reckoning.outcomes, reckoning.violations
            figures.violations += await _left_over(sandbox, network, names)
        finally:
            figures.happened, figures.log = story.happened, story.log
            figures.counted |= {
                "lines opened": network.opened,
                "lines cut": network.cut_lines,
                "lines silenced": network.silenced,
                "lines refused": network.refused,
                "frames": sandbox.site.frames.last_seq,
                "signed calls": sandbox.site.calls.last_seq,
            }
            await shoal.close()


async def _left_over(sandbox: Sandbox, network: Network, names: dict[str, str]) -> list[str]:
    """At rest each shop has one line to the site, and nothing of the past is left behind."""
    found = []
    for account_id, unb in names.items():
        sockets = await sandbox.sockets(unb)
        for _ in range(ACKNOWLEDGED_WITHIN_SECONDS):  # the last push may still wait for the disk, which is a real one
            if not sockets["unacked"]:
                break
            await asyncio.sleep(1)
            sockets = await sandbox.sockets(unb)
        if sockets["now"] != 1:
            found.append(f"{account_id} has {sockets['now']} sockets at rest")
        if sockets["unacked"]:
            found.append(f"{account_id} has {sockets['unacked']} pushes that were never acknowledged")
    lines = [line for line in network.lines if not line.steady]
    if len(lines) > 3 * len(names):
        found.append(f"{len(lines)} lines are open at rest for {len(names)} shops")
    names_of_tasks = Counter((task.get_name().partition(":")[0]) for task in asyncio.all_tasks())
    found += [
        f"{count} tasks named {name} at rest"
        for name, count in names_of_tasks.items()
        if name in {"connection", "keepalive", "work", "live socket reader"} and count != len(names)
    ]
    return found


@contextlib.asynccontextmanager
async def _served(network: Network, world: World) -> AsyncIterator[Sandbox]:
    """The sandbox's application behind uvicorn's own protocols, on the network in memory."""
    app = build_sandbox(world)
    factory = site_protocols(app)
    network.listen(SITE, factory)
    network.listen(CONTROL, factory)
    async with app.router.lifespan_context(app):
        connector = aiohttp.UnixConnector(CONTROL, limit=0, force_close=True)  # the server ends idle ones at any moment
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            sandbox = Sandbox(URL, world, http)
            sandbox.site = app.state.site
            yield sandbox
        network.cut(1.0)
        await asyncio.sleep(DETECT_SECONDS)  # until both sides of every line know
