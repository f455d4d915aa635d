"""Real minutes between real processes: ``shoal serve``, the sandbox over TLS, and a way between them that breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import MutableSequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.processes import QUICK_ENVIRONMENT, SandboxProcess, ServerProcess
from endurance.relay import Relay
from endurance.standstills import STANDING, STANDING_SECONDS
from endurance.story import (
    ANSWER,
    KEYWORD,
    PAID_MESSAGE,
    PAUSE_MINUTES,
    Owner,
    Story,
    Weather,
)
from endurance.verdicts import Limits, reckon
from shoal.storage.data_directory import DATABASE_FILE

PROBE_SECONDS = 60.0
MESSAGE_AGE_SECONDS = 120.0
REST_SECONDS = 240.0
"""A deaf line is found out within one and a half looks; after that, what waits is answered or grows too old."""
ENVIRONMENT = {
    "SHOAL_PROBE_SECONDS": f"{PROBE_SECONDS:g}",
    "SHOAL_MESSAGE_AGE_SECONDS": f"{MESSAGE_AGE_SECONDS:g}",
    "SHOAL_TOKEN_RENEWAL_MINUTES": "10",
    "SHOAL_REPLY_DEBOUNCE_SECONDS": "0.5",
    "SHOAL_BUYER_REPLIES_PER_HOUR": "0",
    "SHOAL_LOG_LEVEL": "WARNING",
}
"""What a server has by default, but for what makes much happen in a few minutes."""
POLICY = {"im_token_seconds": 900, "tk_seconds": 600}


@dataclass
class Figures:
    """What one run was like."""

    outcomes: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    log: MutableSequence[str] = field(default_factory=list)
    seconds: float = 0.0


class StandingServer(ServerProcess):
    """A real server whose writer or readers can be made to stand still, or all of it."""

    command = (str(Path(__file__).with_name("standing_server.py")),)

    def __init__(self, data_dir: Path, site_url: str, **environment: str) -> None:
        self._file = data_dir.with_name(f"{data_dir.name}.standing")
        super().__init__(data_dir, site_url, STANDING_FILE=str(self._file), **environment)

    def stand(self, place: str, seconds: float) -> None:
        """Let it stand still for so long: ``begin`` or ``commit`` of its writer, or each ``read``."""
        self._file.write_text(f"{place} {time.time() + seconds}", encoding="ascii")

    async def stop_for(self, seconds: float) -> None:
        """Let all of it stand still for so long, as while the collector looks through a large heap."""
        pid = self._child.pid if self._child is not None else 0
        if pid:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class RealWeather(Weather):
    """The way between server and site, and the server itself, which may stand still while its lines break."""

    def __init__(self, relay: Relay, server: StandingServer) -> None:
        self._relay = relay
        self._server = server
        self._stopping: set[asyncio.Task[None]] = set()

    def strike(self, rng: Random) -> str:
        kind = rng.choice(["way", "way", "way", *STANDING])
        if kind == "way":
            return self._relay.strike(rng)
        seconds = rng.uniform(*STANDING_SECONDS)
        match kind:
            case "the writer stands still":
                self._server.stand(rng.choice(["begin", "commit"]), seconds)
            case "the readers stand still":
                self._server.stand("read", seconds)
            case _:
                task = asyncio.create_task(self._server.stop_for(seconds))
                self._stopping.add(task)
                task.add_done_callback(self._stopping.discard)
        if rng.random() < 0.7:
            asyncio.get_running_loop().call_later(rng.uniform(0, seconds / 2), self._relay.cut, rng.choice([0.5, 1.0]))
        return kind

    def mend(self) -> None:
        self._relay.mend()
        self._server.stand("none", 0)


class RealOwner(Owner):
    """The owner, who speaks HTTP, and who also ends the server: mostly by ``kill -9``."""

    def __init__(self, server: ServerProcess, rng: Random, figures: Figures) -> None:
        self._server = server
        self._rng = rng
        self._counted = figures.counted
        self._up = asyncio.Event()
        self._up.set()

    async def enable(self, account_id: str, enabled: bool) -> None:
        await self._until_taken("PUT", f"/cookies/{account_id}/status", {"enabled": enabled})

    async def auto_confirm(self, account_id: str, enabled: bool) -> None:
        await self._until_taken("PUT", f"/cookies/{account_id}/auto-confirm", {"auto_confirm": enabled})

    async def new_cookie(self, account_id: str, cookie: str) -> None:
        await self._until_taken("PUT", f"/cookies/{account_id}", {"id": account_id, "value": cookie})

    async def resume(self, account_id: str) -> None:
        await self._until_taken("POST", f"/cookies/{account_id}/resume", None)

    async def change_rules(self, account_id: str, rules: dict[str, str]) -> None:
        await self._until_taken("POST", f"/keywords/{account_id}", {"keywords": rules})

    async def settings(self, account_id: str, values: dict[str, Any]) -> None:
        """Change some settings."""
        await self._until_taken("PATCH", f"/cookies/{account_id}/settings", values)

    async def states(self) -> dict[str, str]:
        if not self._up.is_set():
            return {}
        try:
            rows = await self._server.ok("GET", "/cookies/details")
        except httpx.TransportError:
            return {}
        return {row["id"]: row["state"] for row in rows}

    async def restart(self) -> None:
        if not self._up.is_set():
            return
        self._up.clear()
        gently = self._rng.random() < 0.25
        await self._server.end(signal.SIGTERM if gently else signal.SIGKILL, seconds=60)
        self._counted["stops" if gently else "kills"] += 1
        await asyncio.sleep(self._rng.choice([0.0, 1.0, self._rng.uniform(0, 30)]))
        await self._server.start()
        self._up.set()

    async def _until_taken(self, method: str, path: str, body: Any) -> None:
        """Say it until the server has answered that it is so. Each of these may be said twice."""
        while True:
            await self._up.wait()
            try:
                response = await self._server.http.request(method, path, json=body)
            except httpx.TransportError:
                self._counted["calls cut off"] += 1
            else:
                if response.status_code == 200:
                    return
                assert response.status_code == 503, f"{method} {path}: {response.status_code} {response.text}"
                self._counted["calls refused"] += 1
            await asyncio.sleep(self._rng.uniform(0.2, 2))


async def live(seed: int, seconds: float, directory: Path, *, shops: int = 5) -> Figures:
    """Live through so many real seconds and the rest after them, and reckon up."""
    figures, rng, began = Figures(), Random(seed), time.monotonic()
    sandbox = await SandboxProcess(directory / "sandbox.log").start(shops=shops, seed=seed, tls=directory / "tls")
    relay = Relay(urlsplit(sandbox.url).port or 0, Random(rng.random()))
    port = await relay.open()
    environment = {**QUICK_ENVIRONMENT, **ENVIRONMENT, "SSL_CERT_FILE": sandbox.authority}
    server = StandingServer(directory / "data", f"https://127.0.0.1:{port}", **environment)
    try:
        await sandbox.do("policy", **POLICY)
        await server.start()
        owner = RealOwner(server, Random(rng.random()), figures)
        names = await _open_shops(sandbox, server, owner)
        story = Story(
            rng,
            sandbox,
            owner,
            RealWeather(relay, server),
            names,
            now=time.time,
            question_seconds=1.5,
            fault_seconds=9.0,
            owner_seconds=25.0,
            rest_seconds=REST_SECONDS,
        )
        try:
            await story.run(seconds)
        finally:
            figures.happened, figures.log = story.happened, story.log
        limits = Limits(message_age_seconds=MESSAGE_AGE_SECONDS, probe_seconds=PROBE_SECONDS)
        reckoning = await reckon(story, sandbox, directory / "data" / DATABASE_FILE, limits)
        figures.outcomes, figures.violations = reckoning.outcomes, reckoning.violations
        figures.violations += await _left_over(sandbox, names)
        figures.violations += _complaints(server.log_file)
        state = await sandbox.get("state")
        figures.counted.update(
            {
                "lines": relay.opened,
                "lines refused": relay.refused,
                "lines reset": relay.resets,
                "lines silenced": relay.silenced,
                "frames": state["last_seq"]["frames"],
                "signed calls": state["last_seq"]["calls"],
            }
        )
    finally:
        await server.close()
        await sandbox.end()
        await relay.close()
    figures.seconds = time.monotonic() - began
    return figures


async def _open_shops(sandbox: SandboxProcess, server: ServerProcess, owner: RealOwner) -> dict[str, str]:
    names = {}
    for number, seller in enumerate((await sandbox.get("sellers"))["items"]):
        account_id = f"shop{number}"
        await server.add(account_id, seller["cookie"])
        await owner.change_rules(account_id, {KEYWORD: ANSWER})
        await owner.settings(account_id, {"paid_message": PAID_MESSAGE, "pause_duration": PAUSE_MINUTES})
        await owner.auto_confirm(account_id, True)
        names[account_id] = seller["unb"]
    return names


async def _left_over(sandbox: SandboxProcess, names: dict[str, str]) -> list[str]:
    """At rest each shop has one line to the site, with nothing unacknowledged, and never had two at once."""
    found = []
    for account_id, unb in names.items():
        sockets = await sandbox.sockets(unb)
        if sockets["now"] != 1:
            found.append(f"{account_id} has {sockets['now']} sockets at rest")
        if sockets["unacked"]:
            found.append(f"{account_id} has {sockets['unacked']} pushes that were never acknowledged")
    return found


def _complaints(log_file: Path) -> list[str]:
    """What the server wrote unforeseen: a trace of a failure, or a task that was never awaited."""
    lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [f"the log complains: {line}" for line in lines if "Traceback" in line or "never awaited" in line][:5]
