"""A program that stores messages and posts them to a webhook until it is killed: ``DATA_DIR CLOCK EVENTS SEED URL``.

Its time is what the file ``CLOCK`` says, so that a day passes when the test says so.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from mmap import ACCESS_READ, mmap
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from shoal.accounts.events import EventBus
from shoal.accounts.published import PublishedAccounts
from shoal.auth.authorization import Authorization
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.network.outbound import Outbound
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.schema import messages
from shoal.webhooks.webhook_calls import WebhookCalls
from shoal.webhooks.webhook_loop import WebhookLoop
from shoal.webhooks.webhooks import WebhookStore

KEY_FILE = "secret.key"
SHOPS = [f"shop{number}" for number in range(5)]
MOST_AT_ONCE = 20
TIME = struct.Struct("<q")


class FileClock:
    """Milliseconds, as another process says."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mmap(file.fileno(), TIME.size, access=ACCESS_READ)

    def __call__(self) -> int:
        return int(TIME.unpack(self._bytes[:])[0])


async def main(data_dir: Path, clock: FileClock, count: int, seed: int, url: str) -> None:
    draw = Random(seed)
    database = await Database(data_dir, url=url).open()
    vault = await open_vault(database, data_dir / KEY_FILE)
    published = PublishedAccounts(EventBus())
    published.load(await DBManager(database, vault).load())
    authorization = Authorization(database, published.accounts, published.events, of_owner=published.of_owner)
    await authorization.reload()
    store, calls = WebhookStore(database, vault, now_ms=clock), WebhookCalls(Outbound.of("127.0.0.1"), now_ms=clock)
    WebhookLoop(database, store, calls, authorization, now_ms=clock, look_seconds=0.02).start()
    log = MessageLog(database, now_ms=clock)
    known = await database.read(lambda c: c.scalar(select(func.count()).select_from(messages)) or 0)
    while known < count:
        some = range(known, min(count, known + draw.randrange(1, MOST_AT_ONCE)))
        shop = draw.choice(SHOPS)
        said = [IncomingMessage(message_id=f"m{n}", chat_id="c", text=f"{n}", created_at_ms=clock()) for n in some]
        await log.store_incoming(shop, said)
        known += len(said)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), FileClock(Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
