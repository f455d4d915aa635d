"""Kills a program that posts events to a webhook, again and again, and counts what the receiver got.

The receiver is up, then down for a day of the program's time, then up again; the program is killed in all three.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web
from sqlalchemy import Engine, create_engine, insert, text
from standardwebhooks import Webhook

from faults.posting_child import KEY_FILE, SHOPS, TIME
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.engines import database_url
from shoal.storage.user_tables import users
from shoal.webhooks.webhooks import WebhookStore
from support.databases.postgres_server import Postgres
from support.databases.store_steps import an_account, created
from support.runs.quick_start import blank_database
from support.runs.warm_start import WARM

CHILD = Path(__file__).with_name("posting_child.py")
PATIENCE = 60.0
STEP_MS = 30 * 60_000
STEPS_OF_A_DAY = 48
_STORED = "SELECT account_id, message_id FROM messages ORDER BY id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """``calls``: how often the receiver was called while it was up; ``down``: while it was down. ``again``: how many
    events arrived more than once. ``missing``, ``disordered``: events that did not arrive, or after a later one of
    their account; ``renamed``: that came under two ids; ``forged``: calls with a wrong signature."""

    kills: int
    events: int
    calls: int
    down: int
    again: int
    missing: int
    disordered: int
    renamed: int
    forged: int
    switched_off: int
    seconds: float

    @property
    def violations(self) -> list[str]:
        """What must not be."""
        names = ("missing", "disordered", "renamed", "forged", "switched_off")
        return [f"{getattr(self, name)} {name}" for name in names if getattr(self, name)]

    def row(self) -> dict[str, Any]:
        """The figures as JSON takes them."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "seconds": round(self.seconds, 1), "violations": self.violations}


class Receiver:
    """Takes events while it is up. It answers 503 or closes the connection while it is down."""

    def __init__(self, draw: Random) -> None:
        self.is_up = True
        self.secret = ""
        self.got: list[tuple[str, str, str]] = []
        self.refused = self.forged = 0
        self._draw = draw

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.text()
        if not self.is_up:
            self.refused += 1
            if self.refused % 2 and request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        name, at = request.headers["webhook-id"], int(request.headers["webhook-timestamp"])
        signature = Webhook(self.secret).sign(name, datetime.fromtimestamp(at, UTC), body)
        self.forged += signature != request.headers["webhook-signature"]
        data = json.loads(body)["data"]
        self.got.append((data["account_id"], data["message_id"], name))
        if self._draw.random() < 0.01 and request.transport is not None:  # it took it, and its answer is lost
            request.transport.abort()
        return web.Response(text="ok")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen, and provide the address."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()


async def post_through_kills(
    place: Path, *, kills: int, events: int, seed: int, postgres: Postgres | None = None
) -> Figures:
    """Start the program, kill it at some moment, and so on; then let it finish."""
    began, draw = time.monotonic(), Random(seed)
    receiver = Receiver(Random(seed))
    with _url(postgres) as url:
        async with receiver.listening() as address:
            run = _Run(place, url, receiver, draw)
            await run.prepare(address)
            try:
                for number in range(kills):
                    part = number * 3 // kills
                    receiver.is_up = part != 1
                    await run.until_killed(events * (number + 1) // kills, steps=STEPS_OF_A_DAY * 3 // kills + 1)
                receiver.is_up = True
                await run.to_the_end(events)
                return run.judged(kills, time.monotonic() - began)
            finally:
                run.close()


@contextmanager
def _url(postgres: Postgres | None) -> Iterator[str]:
    if postgres is None:
        yield ""
    else:
        with postgres.database() as url:
            yield url


class _Run:
    def __init__(self, place: Path, url: str, receiver: Receiver, draw: Random) -> None:
        self._place, self._url = place, url
        self._receiver, self._draw = receiver, draw
        self._data_dir, self._clock = place / "data", place / "clock"
        self._now = 1_700_000_000_000
        self._engine: Engine | None = None

    async def prepare(self, address: str) -> None:
        """Make the database, a user, the shops and the webhook."""
        if not self._url:
            await blank_database(self._data_dir)
        self._pass(0)
        async with Database(self._data_dir, url=self._url) as database:
            row = {"username": "mei", "name_key": "mei", "password_hash": "-"}
            await database.write(lambda connection: connection.execute(insert(users).values(row)).rowcount)
            vault = await open_vault(database, self._data_dir / KEY_FILE)
            await created(DBManager(database, vault), *(an_account(name) for name in SHOPS))
            store = WebhookStore(database, vault, now_ms=lambda: self._now)
            _, self._receiver.secret = await store.create(1, address, kinds=["message"])
        self._engine = create_engine(database_url(self._url, self._data_dir))

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()

    async def until_killed(self, events: int, *, steps: int) -> None:
        """Let the program post, and kill it some calls later. While the receiver is down, time passes."""
        program = await self._started(events)
        try:
            before = len(self._receiver.got) + self._receiver.refused
            wanted = before + (1 if not self._receiver.is_up else self._draw.randrange(1, 40))
            for _ in range(1 if self._receiver.is_up else steps):
                self._pass(0 if self._receiver.is_up else STEP_MS)
                await self._called(wanted, events)
                wanted += not self._receiver.is_up
            await asyncio.sleep(self._draw.random() * 0.02)
        finally:
            program.kill()
            await program.wait()

    async def _called(self, wanted: int, events: int) -> None:
        """Wait until the receiver was called so often, or has everything."""
        async with asyncio.timeout(PATIENCE):
            turn = 0
            while len(self._receiver.got) + self._receiver.refused < wanted:
                await asyncio.sleep(0.005)
                turn += 1
                if turn % 20 == 0:
                    if self._has_all(events):
                        return
                    self._pass(60_000)  # what failed is tried again later

    async def to_the_end(self, events: int) -> None:
        """Let the program post everything."""
        program = await self._started(events)
        try:
            async with asyncio.timeout(PATIENCE + events):
                while not self._has_all(events):
                    self._pass(60_000)
                    await asyncio.sleep(0.05)
        finally:
            program.kill()
            await program.wait()

    def _has_all(self, events: int) -> bool:
        return len({message for _, message, _ in self._receiver.got}) >= events

    def _pass(self, milliseconds: int) -> None:
        self._now += milliseconds
        if not self._clock.exists():
            self._clock.write_bytes(TIME.pack(self._now))
        with self._clock.open("r+b") as file:
            file.write(TIME.pack(self._now))

    async def _started(self, events: int) -> Any:
        seed = str(self._draw.randrange(1 << 30))
        words = (str(CHILD), str(self._data_dir), str(self._clock), str(events), seed, self._url)
        return await WARM.start(words, dict(os.environ), self._place / "log")

    def _asked(self, query: str) -> list[Any]:
        assert self._engine is not None
        with self._engine.connect() as connection:
            return list(connection.execute(text(query)).all())

    def judged(self, kills: int, seconds: float) -> Figures:
        """Count."""
        got, names = self._receiver.got, defaultdict[str, set[str]](set)
        firsts: defaultdict[str, list[str]] = defaultdict(list)
        for account_id, message, name in got:
            if not names[message]:
                firsts[account_id].append(message)
            names[message].add(name)
        stored: defaultdict[str, list[str]] = defaultdict(list)
        for account_id, message in self._asked(_STORED):
            stored[account_id].append(message)
        times = Counter(message for _, message, _ in got)
        return Figures(
            kills=kills,
            events=sum(map(len, stored.values())),
            calls=len(got),
            down=self._receiver.refused,
            again=sum(number > 1 for number in times.values()),
            missing=sum(message not in names for said in stored.values() for message in said),
            disordered=sum(one != other for shop, said in stored.items() for one, other in _pairs(firsts[shop], said)),
            renamed=sum(len(ids) > 1 for ids in names.values()),
            forged=self._receiver.forged,
            switched_off=self._asked("SELECT count(*) FROM webhooks WHERE NOT active")[0][0],
            seconds=seconds,
        )


def _pairs(arrived: list[str], stored: list[str]) -> Iterator[tuple[str, str]]:
    there = set(arrived)
    return zip(arrived, (message for message in stored if message in there), strict=True)


def posted_in_a_new_place(*, kills: int, events: int, seed: int, postgres: Postgres | None = None) -> Figures:
    """Do it in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        running = post_through_kills(Path(directory), kills=kills, events=events, seed=seed, postgres=postgres)
        return asyncio.run(running)
