"""Short words for tests of webhooks: a receiver that notes what it gets, and a loop that is driven by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from shoal.accounts.events import EventBus
from shoal.accounts.positions import Position
from shoal.accounts.published import PublishedAccounts
from shoal.auth.authorization import Authorization
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from shoal.webhooks.webhook_calls import Called, WebhookCalls
from shoal.webhooks.webhook_loop import WebhookLoop
from shoal.webhooks.webhooks import Attempt, Target, Webhook, WebhookStore
from support.databases.store_steps import Clock

URL = "https://hooks.example.com/CANARY0path"
HOUR, DAY = 3_600, 86_400


class Receiver(WebhookCalls):
    """Notes every call, and answers as ``answer`` says: a status, and for how long it wants no more."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, str, dict[str, Any], int]] = []
        self.bodies: list[tuple[str, bytes]] = []
        """The id and the body of every call."""
        self.answer: Callable[[dict[str, Any]], int | None] = lambda _: 200
        self.retry_after: float | None = None

    async def post(self, target: Target, event_id: str, kind: str, body: bytes) -> Called:
        assert target.url == URL
        data = json.loads(body)
        self.bodies.append((event_id, body))
        status = self.answer(data)
        self.calls.append((event_id, kind, data["data"], status or 0))
        await asyncio.sleep(0)
        attempt = Attempt(event_id=event_id, type=kind, at_ms=self.clock(), status=status)
        return Called(attempt, None if attempt.arrived else self.retry_after)

    @property
    def arrived(self) -> list[str]:
        """The messages that it took, in order, as often as it took them."""
        return [data["message_id"] for _, _, data, status in self.calls if status == 200 and "message_id" in data]


class Poster:
    """A loop, a store and a receiver, at the times of a clock."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.published = PublishedAccounts(EventBus())
        accounts = self.published.accounts
        self.authorization = Authorization(
            database, accounts, self.published.events, of_owner=self.published.of_owner, now_ms=clock
        )
        self.settled: Callable[[], Position | None] = lambda: None
        self.store = WebhookStore(database, vault, now_ms=clock, settled=self._settled)
        self.receiver = Receiver(clock)
        self.loop = self._new_loop()

    def _new_loop(self) -> WebhookLoop:
        return WebhookLoop(
            self.database, self.store, self.receiver, self.authorization, now_ms=self.clock, settled=self._settled
        )

    def _settled(self) -> Position | None:
        return self.settled()

    def restart(self) -> None:
        """Forget what only memory has."""
        self.loop = self._new_loop()

    async def opened(self, manager: DBManager) -> Poster:
        """Read the accounts and the grants."""
        self.published.load(await manager.load())
        await self.authorization.reload()
        return self

    async def now(self) -> None:
        """Post everything that is due now."""
        await self.loop.look()
        while self.loop._posting:
            await asyncio.wait(self.loop._posting.values())

    async def passes(self, seconds: float, *, every: float) -> None:
        """Let time pass, and post what becomes due."""
        while seconds > 0:
            self.clock.now += round(min(every, seconds) * 1000)
            seconds -= every
            await self.now()

    async def webhook(self, user_id: int = 1, **values: Any) -> int:
        return (await self.store.create(user_id, URL, **values))[0].id

    async def shown(self, webhook_id: int, user_id: int = 1) -> Webhook:
        return await self.store.get(user_id, webhook_id)
