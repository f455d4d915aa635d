"""Notices: how few a bad night makes, how soon a parked shop's owner knows, and what an incident costs.

``python -m benchmarks.notices [--shops 60]``: its figures are in results.md. The night passes at once, in this
process; the shops are parked by the real sandbox, and their owners notified over webhooks by the real server.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil
import structlog
from sqlalchemy import Connection, event, insert, select

from benchmarks.figures import keep
from benchmarks.processes import SandboxProcess, ServerProcess, soon
from shoal.accounts.account import AccountState, Observation, ParkReason
from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.transport import Message, Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject, close_incidents, open_incidents
from shoal.storage.notice_tables import channels, notices, subscriptions
from shoal.storage.observation_rows import write_observations
from shoal.storage.schema import accounts
from shoal.storage.user_tables import users

NIGHT_SHOPS, FAILURES_EACH = 50, 12
NIGHT_MINUTES, STEP_MINUTES = 9 * 60, 3
MINUTE_MS = 60_000
PARKED_LIMIT_MS = 5_000
SHOPS_OF_A_CHANNEL = 5
"""More of one kind within a minute are one digest for a channel, by design."""
ASKED = 1_000
COLUMNS = ("begins", "ends", "messages", "statements", "median ms", "slowest ms", "limit ms", "CPU ms each")
Row = dict[str, Any]


@dataclass(slots=True)
class Night:
    """A loop that is driven by hand, and what it sent."""

    database: Database
    now_ms: int = 1_790_000_000_000
    messages: list[Message] = field(default_factory=list)

    async def send(self, _: int, message: Message) -> Sent:
        """Be a service that takes everything."""
        self.messages.append(message)
        return Sent(outcome=Outcome.SENT)

    async def pass_with(self, outages: list[tuple[int, int, str]]) -> Row:
        """Let a night pass with these outages (begin and end in minutes, shop). Return its figures."""
        loop = NoticeLoop(self.database, self, now_ms=lambda: self.now_ms)
        cpu = time.process_time()
        for minute in range(0, NIGHT_MINUTES, STEP_MINUTES):
            step = range(minute, minute + STEP_MINUTES)
            down = {shop for begin, _, shop in outages if begin in step}
            up = {shop for _, end, shop in outages if end in step} - down
            await self.database.write(partial(open_incidents, openings=[self._failing(shop) for shop in sorted(down)]))
            subjects = [account_subject(shop) for shop in up]
            ended = partial(close_incidents, subjects=subjects, kinds=[IncidentKind.RETRYING], at_ms=self.now_ms)
            await self.database.write(ended)
            self.now_ms += STEP_MINUTES * MINUTE_MS
            await loop.send_all_due()
        cpu = time.process_time() - cpu
        count = Counter(await self.database.read(lambda c: list(c.scalars(select(notices.c.phase)))))
        return {
            "begins": count["begin"],
            "ends": count["end"],
            "messages": len(self.messages),
            "CPU ms each": cpu / len(outages) * 1000,
        }

    def _failing(self, shop: str) -> Opening:
        kind = IncidentKind.RETRYING
        return Opening(subject=account_subject(shop), kind=kind, at_ms=self.now_ms, account_id=shop, detail="timeout")


def _owned(connection: Connection, names: list[str]) -> None:
    """One owner of all shops, with a channel that tells about everything."""
    connection.execute(insert(users).values(id=1, username="bench", name_key="bench", password_hash="-"))
    row = {"owner_id": 1, "shard": 0, "generation": 1, "rev": 1}
    connection.execute(insert(accounts), [{"id": name, "unb": name, **row} for name in names])
    connection.execute(insert(channels).values(id=1, user_id=1, address_sealed=b"", service="bark", language="en"))
    connection.execute(insert(subscriptions).values(channel_id=1))


def nights() -> dict[str, list[tuple[int, int, str]]]:
    """The outages of two nights: each shop at its own times, and all of them whenever the site is away."""
    names, draw = [f"s{number}" for number in range(NIGHT_SHOPS)], Random("night")  # noqa: S311  no secret
    begins = [(draw.randrange(8 * 60), name) for name in names for _ in range(FAILURES_EACH)]
    together = [(number * 40, number * 40 + 20, name) for number in range(FAILURES_EACH) for name in names]
    return {
        "each by itself": [(begin, begin + draw.randrange(1, 15), name) for begin, name in begins],
        "all at once, for 20 minutes": together,
    }


async def a_night() -> list[Row]:
    """Return how few notices a bad night makes."""
    rows = []
    for name, outages in nights().items():
        with tempfile.TemporaryDirectory() as place:
            async with Database(Path(place)) as database:
                shops = [f"s{number}" for number in range(NIGHT_SHOPS)]
                await database.write(partial(_owned, names=shops))
                figures = await Night(database).pass_with(outages)
        rows.append({"what": f"{len(outages)} failures of {NIGHT_SHOPS} shops in a night, {name}", **figures})
    return rows


async def what_a_fact_costs() -> list[Row]:
    """Return how many statements an observed state adds for incidents, and how long they take."""
    parked = Observation(state=AccountState.PARKED, reason=ParkReason.RISK_CONTROL, since_ms=1, parked_since_ms=1)
    states = {
        "starts": Observation(state=AccountState.STARTING),
        "runs": Observation(state=AccountState.RUNNING),
        "is parked": parked,
    }
    with tempfile.TemporaryDirectory() as place:
        async with Database(Path(place)) as database:
            await database.write(partial(_owned, names=["s0"]))
            return [
                {"what": f"a shop {what}", **await database.write(partial(_measured, seen={"s0": observation}))}
                for what, observation in states.items()
            ]


def _measured(connection: Connection, seen: dict[str, Observation]) -> Row:
    took: list[float] = []
    began = [0.0]

    def before(*_: Any) -> None:
        began[0] = time.perf_counter()

    def after(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "incidents" in statement:
            took.append((time.perf_counter() - began[0]) * 1000)

    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)
    for _ in range(ASKED):
        write_observations(connection, seen)
    event.remove(connection, "before_cursor_execute", before)
    event.remove(connection, "after_cursor_execute", after)
    return {"statements": len(took) // ASKED, "median ms": statistics.median(took) if took else None}


async def opened(server: ServerProcess, sandbox: SandboxProcess) -> dict[str, str]:
    """Open every seller's shop, with one channel for each few of them. Return the sellers by shop."""
    sellers = {f"shop{number:03}": seller for number, seller in enumerate((await sandbox.get("sellers"))["items"])}
    for shop, seller in sellers.items():
        await server.add(shop, seller["cookie"])
    shops = list(sellers)
    for number in range(0, len(shops), SHOPS_OF_A_CHANNEL):
        fields = {"url": f"{sandbox.url}/hook/c{number}"}
        await add_channel(server, "webhook", fields, shops[number : number + SHOPS_OF_A_CHANNEL])
    return {shop: seller["unb"] for shop, seller in sellers.items()}


async def add_channel(server: ServerProcess, service: str, fields: dict[str, str], shops: list[str]) -> None:
    """Add a channel that is notified when one of these shops is parked."""
    body = {"name": "bench", "service": service, "language": "en", "fields": fields}
    channel = (await server.ok("POST", "/channels", body))["id"]
    wanted = {"kinds": ["parked"], "accounts": shops, "tags": []}
    await server.ok("PUT", f"/channels/{channel}/subscriptions", wanted)


async def parked(sandbox: SandboxProcess, shops: dict[str, str], draw: Random) -> list[float]:
    """Park one shop after another. Return how many ms each owner waited for the notice, sorted."""
    at: dict[str, float] = {}
    for shop, unb in shops.items():
        at[shop] = time.time() * 1000
        await sandbox.do("fault", account=unb, kind="kickout")
        await asyncio.sleep(0.2 + draw.random())
    waits_ms: dict[str, float] = {}

    async def has_all() -> bool:
        for one in (await sandbox.get("received"))["items"]:
            for shop in shops if one["service"] == "webhook" else ():
                if one["body"]["message"].endswith(f"/accounts/{shop}"):
                    waits_ms.setdefault(shop, one["wall_ms"] - at[shop])
        return len(waits_ms) == len(shops)

    await soon(has_all, seconds=120, every_seconds=0.2)
    return sorted(waits_ms.values())


async def a_parked_shop(count: int) -> list[Row]:
    """Return how soon a receiver has the notice, beside a channel that hangs too, and what that costs the server."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        sandbox = await SandboxProcess(Path(place) / "sandbox.log").start(shops=count)
        server = ServerProcess(Path(place) / "data", sandbox.url, SHOAL_PUBLIC_URL="https://shoal.example")
        try:
            await server.start()
            shops, draw = await opened(server, sandbox), Random("parked")  # noqa: S311  no secret
            names = list(shops)
            half = len(names) // 2
            for what, mine in (("", names[:half]), (" beside one that hangs", names[half:])):
                if what:
                    await sandbox.do("receiver", kind="slow", service="gotify", seconds=600)
                    await add_channel(server, "gotify", {"server": sandbox.url, "token": "bench"}, mine)
                cpu = processor_seconds(server.child.pid)
                waits = await parked(sandbox, {name: shops[name] for name in mine}, draw)
                cpu = processor_seconds(server.child.pid) - cpu
                rows.append(
                    {
                        "what": f"from the parking to the receiver{what}, {len(waits)} shops",
                        "median ms": statistics.median(waits),
                        "slowest ms": waits[-1],
                        "limit ms": PARKED_LIMIT_MS,
                        "CPU ms each": cpu / len(waits) * 1000,
                    }
                )
        finally:
            await server.close()
            await sandbox.end()
    return rows


def processor_seconds(pid: int) -> float:
    """Return what a process and its children have used."""
    process = psutil.Process(pid)
    return float(sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True))))


async def main(shops: int) -> None:
    """Measure all."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = [*await a_night(), *await what_a_fact_costs(), *await a_parked_shop(shops)]
    about = "Notices: a night in one process, what an observed state adds, the real server with its process"
    keep("notices", [{"what": row["what"], **{name: row.get(name) for name in COLUMNS}} for row in rows], about=about)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="notices")
    parser.add_argument("--shops", type=int, default=60)
    sys.exit(asyncio.run(main(parser.parse_args().shops)))
