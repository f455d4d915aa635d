"""Writes what an old Shoal leaves in its data directory, by that Shoal's own modules; run with its sources.

``PYTHONPATH=<old checkout>/src python tests/upgrades/make_fixture.py <file.sql>``. Everything in it is invented.
"""

# ruff: noqa: PLC0415 - what a version lacks is not imported
# mypy: ignore-errors
from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from shoal.accounts.cookie_manager import Caller, CookieManager
from shoal.auth.users import Role, Users
from shoal.config import Settings
from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.orders.order_store import OrderStore
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault

KEY = "5a" * 32
PASSWORD = "lantern-otter-17-quince"
DAY_MS = 86_400_000
SAID_AT_MS = 1_763_000_000_000
"""When what buyers say in it was said."""


def has(module: str) -> bool:
    """Whether this version of Shoal has such a module."""
    return importlib.util.find_spec(f"shoal.{module}") is not None


def main(target: Path) -> None:
    """Make the data in a directory of its own; write it to ``target`` as SQL."""
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(fill(Path(place)))
        with contextlib.closing(sqlite3.connect(Path(place) / "shoal.db")) as connection:
            connection.execute("DELETE FROM store_meta WHERE key = 'marker'")
            target.write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")


async def fill(place: Path) -> None:
    """Everything that this version can hold."""
    settings = Settings(data_dir=place)
    database = await Database(place).open()
    try:
        await database.remember_site(site_of(settings))
        vault = await open_vault(database, place / "secret.key", KEY)
        people = await add_people(database, vault)
        manager = CookieManager(DBManager(database, vault), silent, settings)
        await manager.open()
        try:
            await add_shops(manager, people["mei"])
            shop = manager.account("shop")
            credentials = Credentials(database, vault)
            await credentials.save_jar("shop", {"unb": "100000001", "cookie2": "rotated"}, shop.cookie_version)
            await credentials.save_token(
                "shop",
                device_id="device-of-shop",
                access_token="token-of-shop",
                expires_at_ms=SAID_AT_MS + 3650 * DAY_MS,
                based_on=shop.cookie_version,
            )
            await add_messages(MessageLog(database))
            await add_orders(OrderStore(database))
            await add_rights(database, manager, people)
        finally:
            await manager.close()
    finally:
        await database.close()


def site_of(settings: Settings) -> str:
    """What the server of this version binds its data to."""
    if has("server.open_storage"):
        from shoal.server import open_storage

        return str(open_storage.site_of(settings))
    return settings.site_ws_url


async def silent(account: Any, link: Any) -> None:
    """A connection that says nothing and stays."""
    await asyncio.Event().wait()


async def add_people(database: Database, vault: Any) -> dict[str, int]:
    """An administrator, an owner and, where there are such, staff; the owner is signed in."""
    if has("passwords"):
        from shoal.auth.passwords import Passwords

        passwords = Passwords()
        users = Users(database, passwords)
        closing = passwords.close
    else:
        users = Users(database)
        closing = users.close
    await users.ensure_admin(PASSWORD)
    mei = await users.create("mei", PASSWORD, email="mei@example.test")
    people = {"mei": mei.id}
    if hasattr(Role, "STAFF"):
        people["lin"] = (await users.create("lin", PASSWORD, role=Role.STAFF)).id
    if has("sessions"):
        from shoal.auth.sessions import Sessions

        sessions = Sessions(database, hours=24 * 3650, idle_hours=0)
        token = await sessions.open(mei.id)
        await sessions.close()
    else:
        opened = await users.open_session(mei.id, 3600 * 24 * 3650.0)
        token = opened if isinstance(opened, str) else opened.token
    await closing()
    await database.remember("fixture:session", token)
    return people


async def add_shops(manager: CookieManager, owner_id: int) -> None:
    """A shop with everything set, one that is off, and one that is gone."""
    caller = Caller(actor="user:mei")
    for name, number in (("shop", 1), ("quiet", 2), ("gone", 3)):
        cookie = f"unb=10000000{number}; cookie2=of-{name}; _m_h5_tk=a_1"
        await manager.add_cookie(name, cookie, owner_id=owner_id, caller=caller, remark=f"备注 {name}")
    await manager.update_keywords("shop", [("在吗", "在的"), ("多少钱", "标价")], caller=caller)
    await manager.update_settings("shop", {"paid_message": "网盘链接", "pause_duration": 25}, caller=caller)
    await manager.update_item("shop", "900001", {"reply": "这件包邮"}, caller=caller)
    await manager.update_auto_confirm_setting("shop", True, caller=caller)
    await manager.update_cookie_status("quiet", False, caller=caller)
    await manager.remove_cookie("gone", caller=caller)


async def add_messages(log: MessageLog) -> None:
    """Two chats, and an answer in one of them."""
    said: list[dict[str, Any]] = [
        {"message_id": "m1", "chat_id": "c1", "sender_id": "200000001", "sender_name": "北方的狼", "text": "在吗"},
        {"message_id": "m2", "chat_id": "c1", "sender_id": "100000001", "text": "在的", "direction": Direction.OUT},
        {"message_id": "m3", "chat_id": "c2", "sender_id": "200000002", "sender_name": "柠檬不酸", "text": "多少钱"},
    ]
    for number, row in enumerate(said):
        message = IncomingMessage(item_id="900001", created_at_ms=SAID_AT_MS + number * 1000, **row)
        await log.store_incoming("shop", [message])


async def add_orders(book: OrderStore) -> None:
    """One order that was paid, with its time line."""
    facts = {"item_id": "900001", "buyer_id": "200000001", "chat_id": "c1"}
    if hasattr(book, "hear"):
        from shoal.orders.order_rows import OrderUpdate

        await book.receive("shop", OrderUpdate(order_id="o1", status="completed", source="card", **facts))
    else:
        await book.upsert("shop", "o1", status="completed", source="card", **facts)


async def add_rights(database: Database, manager: CookieManager, people: dict[str, int]) -> None:
    """A token for scripts and a shared shop, where there are such."""
    if not has("api_tokens"):
        return
    from shoal.auth.api_tokens import ApiTokens
    from shoal.auth.authorization import Authorization
    from shoal.auth.permission import Permission

    tokens = ApiTokens(database)
    token, _ = await tokens.make(people["mei"], "script", Permission.OPERATE, days=3650)
    await database.remember("fixture:api-token", token)
    access = Authorization(database, manager.accounts, manager.events)
    await access.open()
    await access.give(manager.account("shop"), people["lin"], Permission.REPLY, given_by="user:mei")
    await access.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
