"""A shop behind the API, really connected to the sandbox, and a chat in which a buyer waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shoal.server.reply_server import build_app
from support.runs.quick_start import blank_database
from support.servers.doors import Door, client_of, living
from support.site.sandboxed import Sandbox, settings_for
from support.site.standins import FakeSite


class Counter:
    """One shop behind the API, really connected; one chat in which 小鱼 has spoken."""

    def __init__(self, door: Door, sandbox: Sandbox, unb: str, chat_id: str, buyer_id: str) -> None:
        self.door, self.sandbox, self.unb, self.chat_id, self.buyer_id = door, sandbox, unb, chat_id, buyer_id

    async def send(self, text: str = "您好", status: int = 200, *, key: str = "", **more: Any) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"chat_id": self.chat_id, "text": text, **more}
        return await self.door.call("POST", "/cookies/shop/send", status, json=body, headers=headers)

    async def old_send(self, **values: str) -> Any:
        body = {"cookie_id": "shop", "chat_id": self.chat_id, "to_user_id": self.buyer_id, "message": "您好", **values}
        return await self.door.call("POST", "/send-message", json=body)

    async def seen(self) -> list[str]:
        return await self.sandbox.seen(self.unb, "小鱼")

    async def fault(self, kind: str, **values: Any) -> None:
        await self.sandbox.do("fault", account=self.unb, kind=kind, **values)


@asynccontextmanager
async def opened(sandbox: Sandbox, data_dir: Path, **settings: Any) -> AsyncIterator[Door]:
    await blank_database(data_dir)
    app = build_app(settings_for(sandbox, data_dir=data_dir, **settings))
    async with living(app):
        token = await app.state.server.sessions.open(1, 3600)
        async with client_of(app, token) as client:
            yield Door(app, client, FakeSite())
