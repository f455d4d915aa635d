"""Kills a program that tells about incidents, again and again, and counts who was told how often."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, create_engine, insert, text

from shoal.notices.planner import SHORTEST_MS
from shoal.storage.database import Database
from shoal.storage.engines import database_url
from shoal.storage.user_tables import users
from support.databases.postgres_server import Postgres
from support.notices.notice_steps import a_channel
from support.runs.quick_start import blank_database
from support.runs.warm_start import WARM

CHILD = Path(__file__).with_name("telling_child.py")
CHANNELS = 3
PATIENCE = 60.0
_UNSETTLED = """SELECT (SELECT count(*) FROM incidents WHERE due_at_ms IS NOT NULL AND told_at_ms IS NULL)
    + (SELECT count(*) FROM incidents WHERE closed_at_ms IS NOT NULL AND NOT over)
    + (SELECT count(*) FROM notices WHERE state IN ('waiting', 'sending', 'failed'))"""
_STORED = "SELECT count(*) FROM incidents"
_TO_TELL = f"""SELECT count(*) FROM incidents
    WHERE told_at_ms IS NOT NULL OR closed_at_ms IS NULL OR closed_at_ms - opened_at_ms >= {SHORTEST_MS}"""  # noqa: S608
_NOTICES = """SELECT n.phase, n.channel_id, n.state, coalesce(d.tries, n.tries), coalesce(d.dedupe_id, n.dedupe_id)
    FROM notices n LEFT JOIN notices d ON d.id = n.digest_id WHERE n.phase <> 'digest'"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """``told``: how many notices arrived how often. ``untold``: notices that no channel got, although nothing says that
    this is uncertain; ``lost``: acknowledged incidents that are not stored; ``unsure``: notices that did not arrive,
    shown as uncertain, because two sendings were cut off or not answered."""

    kills: int
    incidents: int
    messages: int
    told: Counter[int]
    ends: int
    untold: int
    lost: int
    unsure: int
    uncertain: int
    seconds: float

    @property
    def violations(self) -> list[str]:
        """What must not be."""
        bad = {
            f"{self.untold} notices did not arrive": self.untold,
            f"{self.lost} incidents were lost": self.lost,
            "a notice arrived three times": sum(self.told[times] for times in self.told if times > 2),
            "what did not arrive is not shown as uncertain": self.told[0] - self.unsure - self.untold,
        }
        return [sentence for sentence, number in bad.items() if number]

    def row(self) -> dict[str, Any]:
        """The figures as JSON takes them."""
        return {
            "kills": self.kills, "incidents": self.incidents, "messages": self.messages, "ends": self.ends,
            "once": self.told[1], "twice": self.told[2], "untold": self.untold, "unsure": self.unsure,
            "uncertain": self.uncertain, "seconds": round(self.seconds, 1), "violations": self.violations,
        }  # fmt: skip


async def tell_through_kills(
    place: Path, *, kills: int, incidents: int, seed: int, postgres: Postgres | None = None
) -> Figures:
    """Start the program, kill it at some moment, and so on; then let it finish."""
    began, draw = time.monotonic(), Random(seed)
    with _url(postgres) as url:
        run = _Run(place, url)
        await run.prepare()
        try:
            for number in range(kills):
                await run.until_killed(incidents * (number + 1) // kills, seed + number, draw)
            await run.to_the_end(incidents, seed + kills)
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
    def __init__(self, place: Path, url: str) -> None:
        self._place, self._url = place, url
        self._ledger, self._data_dir = place / "ledger", place / "data"
        self._engine: Engine | None = None

    async def prepare(self) -> None:
        """Make the database, a user and the channels."""
        if not self._url:
            await blank_database(self._data_dir)
        async with Database(self._data_dir, url=self._url) as database:
            row = {"username": "mei", "name_key": "mei", "password_hash": "-"}
            await database.write(lambda connection: connection.execute(insert(users).values(row)).rowcount)
            for _ in range(CHANNELS):
                await a_channel(database, 1)
        self._engine = create_engine(database_url(self._url, self._data_dir))

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()

    async def until_killed(self, incidents: int, seed: int, draw: Random) -> None:
        """Let the program tell about so many incidents, and kill it some messages later."""
        program = await self._started(incidents, seed)
        try:
            before = len(self._lines())
            wanted = before + draw.randrange(1, 12)
            async with asyncio.timeout(PATIENCE):
                for turn in count():
                    await asyncio.sleep(0.01)
                    lines = len(self._lines())
                    is_idle = turn % 20 == 0 and lines > before and not self._asked(_UNSETTLED)[0][0]
                    if lines >= wanted or is_idle:
                        break
            await asyncio.sleep(draw.random() * 0.05)
        finally:
            program.kill()
            await program.wait()

    async def to_the_end(self, incidents: int, seed: int) -> None:
        """Let the program tell about everything."""
        program = await self._started(incidents, seed)
        try:
            async with asyncio.timeout(PATIENCE + incidents):
                while self._asked(_STORED)[0][0] < incidents or self._asked(_UNSETTLED)[0][0]:
                    await asyncio.sleep(0.1)
        finally:
            program.kill()
            await program.wait()

    async def _started(self, incidents: int, seed: int) -> Any:
        words = (str(CHILD), str(self._data_dir), str(self._ledger), str(incidents), str(seed), self._url)
        return await WARM.start(words, dict(os.environ), self._place / "log")

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self._ledger.read_text().splitlines()] if self._ledger.exists() else []

    def _asked(self, query: str) -> list[Any]:
        assert self._engine is not None
        with self._engine.connect() as connection:
            return list(connection.execute(text(query)).all())

    def judged(self, kills: int, seconds: float) -> Figures:
        """Count."""
        lines = self._lines()
        got = Counter((int(line[1]), line[2]) for line in lines if line[0] == "told")
        stored = {subject for (subject,) in self._asked("SELECT subject FROM incidents")}
        told, phases = Counter[int](), Counter[str]()
        untold = unsure = uncertain = 0
        for phase, channel_id, state, tries, dedupe_id in self._asked(_NOTICES):
            times = got[channel_id, dedupe_id]
            told[times] += 1
            phases[phase] += 1
            uncertain += state == "uncertain"
            is_shown = state == "uncertain" and tries >= 2
            unsure += not times and is_shown
            untold += not times and not is_shown
        untold += self._asked(_TO_TELL)[0][0] * CHANNELS - phases["begin"]
        return Figures(
            kills=kills,
            incidents=len(stored),
            messages=sum(got.values()),
            told=told,
            ends=phases["end"],
            untold=untold,
            lost=sum(line[0] == "opened" and f"goods:{line[1]}" not in stored for line in lines),
            unsure=unsure,
            uncertain=uncertain,
            seconds=seconds,
        )


def told_in_a_new_place(*, kills: int, incidents: int, seed: int, postgres: Postgres | None) -> Figures:
    """Do it in a temporary directory, which is kept when anything was not as it must be."""
    place = Path(tempfile.mkdtemp(prefix="shoal-telling-"))
    found = asyncio.run(tell_through_kills(place, kills=kills, incidents=incidents, seed=seed, postgres=postgres))
    if not found.violations:
        shutil.rmtree(place, ignore_errors=True)
    return found
