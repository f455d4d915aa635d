"""A shop with a language model: over a stand-in of the site, with a provider on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from shoal.sandbox.model_provider import ModelProvider
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.notice_tables import incidents
from shoal.storage.schema import messages
from shoal.storage.user_tables import users
from support.models.model_steps import served_model, settings_for
from support.site.without_sockets import OneShop, one_shop

REPLY: dict[str, Any] = {"action": "reply", "text": "在的，亲", "offered_fen": None, "facts": []}


@dataclass(frozen=True, slots=True)
class ModelShop:
    """A shop with a provider."""

    shop: OneShop
    model: ModelProvider
    base: str

    async def add(self, mode: str = "auto", **settings: Any) -> None:
        """Add the shop; its model is asked about what no rule answers."""
        row = {"id": 1, "username": "ann", "name_key": "ann", "password_hash": "-"}
        await self.shop.database.write(lambda connection: connection.execute(insert(users).values(**row)).rowcount)
        values = settings_for(self.base, price_in_fen=100, price_out_fen=200, calls_per_minute=10_000)
        provider = await self.shop.providers.create(1, values)
        ai = {"ai_mode": mode, "ai_provider_id": provider.id, "ai_disclosure": False}
        await self.shop.add(**{**ai, **settings})

    async def runs(self, *states: str) -> list[Any]:
        """The runs, oldest first, once their states are these."""
        query = select(ai_runs).order_by(ai_runs.c.id)
        async with asyncio.timeout(60):
            while True:
                found = await self.shop.database.read(lambda connection: connection.execute(query).all())
                if [row.state for row in found] == list(states):
                    return list(found)
                await asyncio.sleep(0.005)

    async def final(self, message_id: str) -> str:
        """The decision about a message, once that is final."""
        query = select(messages.c.verdict).where(messages.c.message_id == message_id, messages.c.handled)
        async with asyncio.timeout(60):
            while True:
                found = await self.shop.database.read(lambda connection: connection.scalar(query))
                if found is not None:
                    return str(found)
                await asyncio.sleep(0.005)

    async def asked(self, count: int) -> None:
        """Wait until so many calls are under way or done."""
        async with asyncio.timeout(60):
            while len(self.model.calls.after(0)) < count:
                await asyncio.sleep(0.005)

    async def incidents(self, kind: str) -> list[tuple[str, str]]:
        """Subjects and details of incidents of a kind."""
        query = select(incidents.c.subject, incidents.c.detail).where(incidents.c.kind == kind)
        rows = await self.shop.database.read(lambda connection: connection.execute(query).all())
        return [(row.subject, row.detail) for row in rows]


@asynccontextmanager
async def model_shop(tmp_path: Path) -> AsyncIterator[ModelShop]:
    """An open shop and a provider, without its account."""
    async with served_model() as (base, model), one_shop(tmp_path) as shop:
        yield ModelShop(shop, model, base)
