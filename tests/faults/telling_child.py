"""A program that opens incidents and tells about them until it is killed: ``DATA_DIR LEDGER INCIDENTS SEED URL``.

Its clock runs 60 times as fast as the wall's, so that a minute of grouping takes a second. The ledger gets a line for
each incident whose opening was acknowledged, and a line for each message that the service got.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.transport import Message, Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, goods_subject, open_incidents
from shoal.storage.notice_tables import incidents

OWNER = 1
KINDS = (IncidentKind.OUT_OF_STOCK, IncidentKind.OUT_OF_STOCK, IncidentKind.PARKED)
ENDS_AFTER = 12
"""How many incidents later one that has an end is over."""


def fast_ms() -> int:
    return int(time.time() * 60_000)


class Ledger:
    """Appends lines; each is in the file when the call returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Service:
    """Gets most messages, refuses some, and is silent about some, of which it got half."""

    def __init__(self, ledger: Ledger, draw: Random) -> None:
        self._ledger = ledger
        self._draw = draw

    async def send(self, channel: int, message: Message) -> Sent:
        await asyncio.sleep(self._draw.random() * 0.02)
        chance = self._draw.random()
        if chance < 0.1:
            return Sent(outcome=Outcome.FAILED, answer="refused")
        is_silent = chance < 0.2
        if not is_silent or message.maybe_again or chance < 0.15:
            self._ledger.add("told", channel, message.dedupe_id)
        await asyncio.sleep(self._draw.random() * 0.02)
        return Sent(outcome=Outcome.UNCERTAIN if is_silent else Outcome.SENT, answer="")


async def main(data_dir: Path, ledger_file: Path, count: int, seed: int, url: str) -> None:
    draw, ledger = Random(seed), Ledger(ledger_file)
    database = await Database(data_dir, url=url).open()
    loop = NoticeLoop(database, Service(ledger, draw), now_ms=fast_ms, look_seconds=0.02)
    loop.start()
    known = await database.read(lambda c: c.scalar(select(func.count()).select_from(incidents)) or 0)
    for number in range(known, count):
        subject, kind = goods_subject(number), KINDS[number % len(KINDS)]
        opening = Opening(subject=subject, kind=kind, at_ms=fast_ms(), user_id=OWNER)
        await database.write(partial(open_incidents, openings=[opening]))
        ledger.add("opened", number)
        before = [goods_subject(number - ENDS_AFTER)]
        await database.write(partial(close_incidents, subjects=before, kinds=[IncidentKind.PARKED], at_ms=fast_ms()))
        if draw.random() < 0.3:
            await asyncio.sleep(draw.random() * 0.05)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
