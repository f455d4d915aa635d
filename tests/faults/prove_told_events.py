"""The proof that readers of events miss nothing at any of two servers, through kills and freezes, unless they are told.

    python -m tests.faults.prove_told_events --rounds 4 [--seconds 6] [--run LABEL] [--figures FILE]

A hopping reader goes on at the other server every second or so, from the last position that it was given. A staying
reader stays at one server and comes back to it. In each round buyers speak, then one server is struck among buyers. A
message that a reader has not seen must have been said before a ``reset`` that it got.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import httpx

from benchmarks.processes import ServerProcess, soon
from faults import figures
from outside.node_pair import Pair, a_pair
from support.databases.postgres_server import running_server
from support.runs.warm_start import WarmStart, warm_processes

PROOF = "told events"
NAME = "two servers"
HOP_SECONDS = 1.5
STRIKES = ("killed", "frozen")


@dataclass
class Reader:
    """Follows the events; ``servers``: where it goes on, one after the other."""

    name: str
    servers: list[ServerProcess]
    hops: bool
    chance: random.Random
    seen: dict[str, float] = field(default_factory=dict)
    again: int = 0
    resets: list[float] = field(default_factory=list)
    position: str = ""

    async def follow(self) -> None:
        """Read until it is cancelled."""
        for server in itertools.cycle(self.servers):
            seconds = self.chance.uniform(0.3, HOP_SECONDS) if self.hops else 3_600.0
            try:
                async with asyncio.timeout(seconds):
                    await self._read(server)
            except (TimeoutError, httpx.HTTPError):
                await asyncio.sleep(0.05)

    async def _read(self, server: ServerProcess) -> None:
        headers = {"Last-Event-ID": self.position} if self.position else {}
        async with server.http.stream("GET", "/events", headers=headers, timeout=20) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    self.position = line[4:]
                elif line.startswith("data: "):
                    self._take(json.loads(line[6:]))

    def _take(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if event["type"] == "reset":
            self.resets.append(now)
        elif event["type"] == "message" and event["direction"] == "in":
            self.again += event["text"] in self.seen
            self.seen.setdefault(event["text"], now)

    def missed(self, said: dict[str, float]) -> list[str]:
        """Return what it has not seen, although no reset came after it was said."""
        last = max(self.resets, default=0.0)
        return [text for text, at in said.items() if text not in self.seen and at > last]


@dataclass
class Buyers:
    """Say something to every shop again and again."""

    pair: Pair
    said: dict[str, float] = field(default_factory=dict)

    async def speak(self, seconds: float) -> None:
        """Speak for so long, to one shop after the other."""
        ends_at = time.monotonic() + seconds
        shops = itertools.cycle(self.pair.sellers.items())
        while time.monotonic() < ends_at:
            name, seller = next(shops)
            text = f"{name} {len(self.said)}"
            await self.pair.site.do("say", account=seller["unb"], buyer="小鱼", text=text)
            self.said[text] = time.monotonic()
            await asyncio.sleep(0.05)


async def _strike(pair: Pair, strike: str, struck: ServerProcess) -> None:
    """Kill a server and start it again, or freeze it until its shops run at the other."""
    other = pair.two if struck is pair.one else pair.one
    if strike == "killed":
        await struck.end(signal.SIGKILL)
        await pair.all_at(other)
        await struck.start()
        return
    child = struck.child
    child.send_signal(signal.SIGSTOP)
    try:
        await pair.all_at(other)
    finally:
        child.send_signal(signal.SIGCONT)


async def proved(directory: Path, rounds: int, seconds: float, chance: random.Random) -> dict[str, Any]:
    """Run it, and return the figures with what was broken."""
    with running_server() as postgres:
        await asyncio.to_thread(postgres.make_template)
        async with a_pair(directory, postgres, shops=6) as pair:
            await pair.one.start()
            for name, seller in pair.sellers.items():
                await pair.one.add(name, seller["cookie"])
            await pair.two.start()
            await pair.shared_out()
            servers = [pair.one, pair.two]
            readers = [
                Reader("hopping", servers, hops=True, chance=chance),
                *(Reader(f"staying at {one.data_dir.name}", [one], hops=False, chance=chance) for one in servers),
            ]
            tasks = [asyncio.create_task(reader.follow()) for reader in readers]
            try:
                return await _judged(pair, readers, rounds, seconds, chance)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _judged(
    pair: Pair, readers: list[Reader], rounds: int, seconds: float, chance: random.Random
) -> dict[str, Any]:
    buyers = Buyers(pair)
    quiet_resets = 0
    for number in range(rounds):
        before = sum(len(reader.resets) for reader in readers)
        await buyers.speak(seconds)
        quiet_resets += sum(len(reader.resets) for reader in readers) - before
        struck = chance.choice([pair.one, pair.two])
        async with asyncio.TaskGroup() as group:
            group.create_task(_strike(pair, STRIKES[number % len(STRIKES)], struck))
            group.create_task(buyers.speak(seconds))
        await pair.shared_out()
    await buyers.speak(seconds)

    async def is_seen() -> bool:
        return not any(reader.missed(buyers.said) for reader in readers)

    violations = []
    try:
        await soon(is_seen, seconds=60)
    except (AssertionError, TimeoutError):
        violations = [f"{one.name}: {text}" for one in readers for text in one.missed(buyers.said)]
    return {
        "said": len(buyers.said),
        "resets": sum(len(reader.resets) for reader in readers),
        "quiet_resets": quiet_resets,
        "again": sum(reader.again for reader in readers),
        "seen_by_hopping": len(readers[0].seen),
        "violations": violations,
    }


def main() -> int:
    """Run it unless it is done under this label; 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(description="readers at two servers miss nothing through kills and freezes")
    parser.add_argument("--rounds", type=int, default=4, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=6.0, help="of speaking in each part (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "told_events.jsonl")
    chosen = parser.parse_args()
    if any(row["run"] == chosen.run for row in figures.read(chosen.figures)):
        return 0
    warm = WarmStart()
    try:
        with tempfile.TemporaryDirectory() as directory, warm_processes(warm):
            chance = random.Random(chosen.seed)
            found = asyncio.run(proved(Path(directory), chosen.rounds, chosen.seconds, chance))
    finally:
        warm.close()
    figures.append(chosen.figures, PROOF, {"run": chosen.run, "name": NAME, **found})
    told = (
        f"{NAME}: {found['said']} messages, the hopping reader saw {found['seen_by_hopping']}; {found['again']} came "
        f"again, {found['resets']} resets, {found['quiet_resets']} of them while no server was struck"
    )
    sys.stdout.write("\n  ".join([told, *found["violations"][:20]]) + "\n")
    return int(bool(found["violations"]))


if __name__ == "__main__":
    sys.exit(main())
