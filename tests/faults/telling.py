"""Kills a program that tells of incidents, again and again, and counts who was told how often.

``python -m faults.telling KILLS INCIDENTS SEED`` (from ``tests``) prints the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import insert

from notice_steps import a_channel
from quick_start import blank_database
from shoal.storage.database import Database
from shoal.storage.engines import DATABASE_FILE
from shoal.storage.user_tables import users
from warm_start import WarmStart

CHILD = Path(__file__).with_name("telling_child.py")
CHANNELS = 3
PATIENCE = 60.0
_UNSETTLED = """SELECT (SELECT count(*) FROM incidents WHERE due_at_ms IS NOT NULL AND told_at_ms IS NULL)
    + (SELECT count(*) FROM notices WHERE state IN ('waiting', 'sending', 'failed'))"""
_STORED = "SELECT count(*) FROM incidents"
_NOTICES = """SELECT n.incident_id, n.channel_id, n.state, coalesce(d.dedupe_id, n.dedupe_id)
    FROM notices n LEFT JOIN notices d ON d.id = n.digest_id WHERE n.phase = 'begin'"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """``untold``: acknowledged incidents of which a channel was never told, although nothing says that this is
    uncertain; ``lost``: those that are not stored; ``unsure``: not told twice over, and shown so."""

    kills: int
    messages: int
    told: Counter[int]
    untold: int
    lost: int
    unsure: int


async def tell_through_kills(place: Path, *, kills: int, incidents: int, seed: int) -> Figures:
    """Start the program, kill it at some moment, and so on; then let it finish."""
    draw, ledger, data_dir = Random(seed), place / "ledger", place / "data"
    await blank_database(data_dir)
    async with Database(data_dir) as database:
        row = {"username": "mei", "name_key": "mei", "password_hash": "-"}
        await database.write(lambda connection: connection.execute(insert(users).values(row)).rowcount)
        for _ in range(CHANNELS):
            await a_channel(database, 1)
    programs, killed = WarmStart(), 0
    try:
        while killed < kills:
            count = incidents * (killed + 1) // kills
            arguments = (str(CHILD), str(data_dir), str(ledger), str(count), str(seed + killed))
            program = await programs.start(arguments, dict(os.environ), place / "log")
            await _goes_on(ledger, draw.randrange(1, 12), or_all_of=data_dir)
            await asyncio.sleep(draw.random() * 0.05)
            program.kill()
            await program.wait()
            killed += 1
        arguments = (str(CHILD), str(data_dir), str(ledger), str(incidents), str(seed + kills))
        program = await programs.start(arguments, dict(os.environ), place / "log")
        try:
            async with asyncio.timeout(PATIENCE + incidents):
                while _asked(data_dir, _STORED)[0][0] < incidents or _asked(data_dir, _UNSETTLED)[0][0]:
                    await asyncio.sleep(0.1)
        finally:
            program.kill()
            await program.wait()
    finally:
        programs.close()
    return _judged(data_dir, ledger, kills)


async def _goes_on(ledger: Path, lines: int, *, or_all_of: Path) -> None:
    """Wait until the ledger has so many more lines, or nothing is left to tell."""
    wanted = len(_lines(ledger)) + lines
    async with asyncio.timeout(PATIENCE):
        while len(_lines(ledger)) < wanted:
            await asyncio.sleep(0.01)
            if len(_lines(ledger)) > wanted - lines and not _asked(or_all_of, _UNSETTLED)[0][0]:
                return


def _lines(ledger: Path) -> list[list[str]]:
    return [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []


def _asked(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{data_dir / DATABASE_FILE}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def _judged(data_dir: Path, ledger: Path, kills: int) -> Figures:
    lines = _lines(ledger)
    got = Counter((int(line[1]), line[2]) for line in lines if line[0] == "told")
    stored = {subject for (subject,) in _asked(data_dir, "SELECT subject FROM incidents")}
    lost = sum(line[0] == "opened" and f"goods:{line[1]}" not in stored for line in lines)
    told: Counter[int] = Counter()
    untold = unsure = 0
    rows = _asked(data_dir, _NOTICES)
    for _, channel_id, state, dedupe_id in rows:
        times = got[channel_id, dedupe_id]
        told[times] += 1
        if not times:
            unsure += state == "uncertain"
            untold += state != "uncertain"
    untold += len(stored) * CHANNELS - len(rows)
    return Figures(kills=kills, messages=sum(got.values()), told=told, untold=untold, lost=lost, unsure=unsure)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        amounts = [int(word) for word in sys.argv[1:4]]
        print(asyncio.run(tell_through_kills(Path(directory), kills=amounts[0], incidents=amounts[1], seed=amounts[2])))  # noqa: T201
