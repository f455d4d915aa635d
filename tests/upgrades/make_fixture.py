"""Writes the data directory of an old Shoal as SQL, by that version's own modules; run it with its sources.

``PYTHONPATH=<old checkout>/src python tests/upgrades/make_fixture.py <file.sql>``. Everything in it is invented.
Modules and classes are looked up by name, because versions have them in different places; what a version lacks is
left out.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from shoal.config import Settings

KEY = "5a" * 32
PASSWORD = "lantern-otter-17-quince"
DAY_MS = 86_400_000
SAID_AT_MS = 1_763_000_000_000
"""The time of the first message."""


ROOMS = ("", "accounts.", "auth.", "goods.", "messages.", "orders.", "server.", "storage.", "xianyu.")
"""The packages of the modules below; in old versions they lie directly in ``shoal``."""


def has(*names: str) -> bool:
    """Return whether this version has a module of one of these names."""
    return _find(names) is not None


def module(*names: str) -> Any:
    """Import the module that has one of these names in this version."""
    found = _find(names)
    assert found is not None, names
    return importlib.import_module(found)


def _find(names: tuple[str, ...]) -> str | None:
    for path in (f"shoal.{room}{name}" for name in names for room in ROOMS):
        with contextlib.suppress(ModuleNotFoundError):  # an old version lacks the room
            if importlib.util.find_spec(path) is not None:
                return path
    return None


def named(owner: Any, *names: str) -> Any:
    """Return the attribute that has one of these names in this version."""
    return next(getattr(owner, name) for name in names if hasattr(owner, name))


def main(target: Path) -> None:
    """Make the data in a temporary directory and write it to ``target`` as SQL."""
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(fill(Path(place)))
        with contextlib.closing(sqlite3.connect(Path(place) / "shoal.db")) as connection:
            connection.execute("DELETE FROM store_meta WHERE key = 'marker'")
            target.write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")


async def fill(place: Path) -> None:
    """Store everything that this version can hold."""
    db_manager = module("db_manager")
    settings = Settings(data_dir=place)
    database = await module("database").Database(place).open()
    try:
        await database.remember_site(site_of(settings))
        vault = await db_manager.open_vault(database, place / "secret.key", KEY)
        users = await add_users(database)
        store = db_manager.DBManager(database, vault)
        manager = module("cookie_manager").CookieManager(store, silent, settings)
        await manager.open()
        try:
            await add_shops(manager, users["mei"])
            shop = manager.account("shop")
            credentials = module("credentials").Credentials(database, vault)
            await credentials.save_jar("shop", {"unb": "100000001", "cookie2": "rotated"}, shop.cookie_version)
            await credentials.save_token(
                "shop",
                device_id="device-of-shop",
                access_token="token-of-shop",
                expires_at_ms=SAID_AT_MS + 3650 * DAY_MS,
                based_on=shop.cookie_version,
            )
            await add_messages(database)
            await add_orders(database)
            await add_permissions(database, manager, users)
            await add_seller_number(store, manager, users.get("wei"))
            await add_goods(database, users["mei"])
        finally:
            await manager.close()
    finally:
        await database.close()


def site_of(settings: Settings) -> str:
    """Return what the server of this version binds its data to."""
    if has("reply_server"):
        server = module("open_storage", "reply_server")
        return str(named(server, "site_of", "_site_of")(settings))
    return settings.site_ws_url


async def silent(account: Any, link: Any) -> None:
    """A connection that sends nothing and stays. It knows its seller's name, where that can be stored."""
    if hasattr(link, "named"):
        link.named("小鱼杂货铺", "https://gw.example.test/face.jpg")
    await asyncio.Event().wait()


async def add_users(database: Any) -> dict[str, int]:
    """Add an administrator, an owner and, where there are such, staff and a second owner; the owner is signed in."""
    users_module = module("users")
    if has("passwords"):
        passwords = module("passwords").Passwords()
        users = users_module.Users(database, passwords)
        closing = passwords.close
    else:
        users = users_module.Users(database)
        closing = users.close
    await users.ensure_admin(PASSWORD)
    mei = await users.create("mei", PASSWORD, email="mei@example.test")
    ids = {"mei": mei.id}
    if hasattr(users_module.Role, "STAFF"):
        ids["lin"] = (await users.create("lin", PASSWORD, role=users_module.Role.STAFF)).id
    if has("seller_numbers"):
        ids["wei"] = (await users.create("wei", PASSWORD)).id
    if has("sessions"):
        sessions = module("sessions").Sessions(replica_of(database), hours=24 * 3650, idle_hours=0)
        token = await sessions.open(mei.id)
        await sessions.close()
    else:
        opened = await users.open_session(mei.id, 3600 * 24 * 3650.0)
        token = opened if isinstance(opened, str) else opened.token
    await closing()
    await database.remember("fixture:session", token)
    return ids


def replica_of(database: Any) -> Any:
    """Return the store of sessions and tokens: a replica, or the database in versions without one."""
    return module("user_replica").UserReplica(database) if has("user_replica") else database


async def add_shops(manager: Any, owner_id: int) -> None:
    """Add a shop with everything set, one that is off, and one that is gone."""
    caller = module("cookie_manager").Caller(actor="user:mei")
    for name, number in (("shop", 1), ("quiet", 2), ("gone", 3)):
        cookie = f"unb=10000000{number}; cookie2=of-{name}; _m_h5_tk=a_1"
        await manager.add_cookie(name, cookie, owner_id=owner_id, caller=caller, remark=f"备注 {name}")
    if has("browser"):
        browser = (
            "Cookie: unb=100000001; cookie2=of-shop; _m_h5_tk=a_1\nUser-Agent: Firefox/145.0\nAccept-Language: zh-CN"
        )
        await manager.update_cookie("shop", browser, caller=caller)
        await manager.update_settings("shop", {"name": "鱼铺"}, caller=caller)
    await manager.update_keywords("shop", [("在吗", "在的"), ("多少钱", "标价")], caller=caller)
    await manager.update_settings("shop", {"paid_message": "网盘链接", "pause_duration": 25}, caller=caller)
    await manager.update_item("shop", "900001", {"reply": "这件包邮"}, caller=caller)
    await manager.update_auto_confirm_setting("shop", True, caller=caller)
    await manager.update_cookie_status("quiet", False, caller=caller)
    await manager.remove_cookie("gone", caller=caller)


async def add_messages(database: Any) -> None:
    """Add two chats, and an answer in one of them."""
    message_log = module("message_log")
    log = message_log.MessageLog(database)
    out = message_log.Direction.OUT
    said: list[dict[str, Any]] = [
        {"message_id": "m1", "chat_id": "c1", "sender_id": "200000001", "sender_name": "北方的狼", "text": "在吗"},
        {"message_id": "m2", "chat_id": "c1", "sender_id": "100000001", "text": "在的", "direction": out},
        {"message_id": "m3", "chat_id": "c2", "sender_id": "200000002", "sender_name": "柠檬不酸", "text": "多少钱"},
    ]
    for number, row in enumerate(said):
        message = message_log.IncomingMessage(item_id="900001", created_at_ms=SAID_AT_MS + number * 1000, **row)
        await log.store_incoming("shop", [message])


async def add_orders(database: Any) -> None:
    """Add one order that was paid, with its time line."""
    store = named(module("order_store", "order_book"), "OrderStore", "OrderBook")(database)
    facts = {"item_id": "900001", "buyer_id": "200000001", "chat_id": "c1", "status": "completed", "source": "card"}
    if hasattr(store, "upsert"):
        await store.upsert("shop", "o1", **facts)
    else:
        update = named(module("order_rows"), "OrderUpdate", "News")
        await named(store, "receive", "hear")("shop", update(order_id="o1", **facts))


async def add_permissions(database: Any, manager: Any, users: dict[str, int]) -> None:
    """Add a token for scripts and share a shop, where there are such."""
    if not has("api_tokens"):
        return
    permission = named(module("permission", "right"), "Permission", "Right")
    tokens = module("api_tokens").ApiTokens(replica_of(database))
    token, _ = await tokens.make(users["mei"], "script", permission.OPERATE, days=3650)
    await database.remember("fixture:api-token", token)
    authorization = named(module("authorization", "access"), "Authorization", "Access")
    more: dict[str, Any] = {}
    if "of_owner" in inspect.signature(authorization).parameters:
        more["of_owner"] = lambda owner: [one for one in manager.accounts.values() if one.owner_id == owner]
    access = authorization(database, manager.accounts, manager.events, **more)
    await access.open()
    await access.give(manager.account("shop"), users["lin"], permission.REPLY, given_by="user:mei")
    await access.close()


async def add_seller_number(store: Any, manager: Any, wei: int | None) -> None:
    """Let the owner's shop hold its seller's number, and a second owner name the same, where that is possible."""
    if wei is None:
        return
    assert await store.hold_number("100000001", "shop", SAID_AT_MS) == "shop"
    caller = module("cookie_manager").Caller(actor="user:wei")
    await manager.add_cookie("twin", "unb=100000001; cookie2=of-twin; _m_h5_tk=a_1", owner_id=wei, caller=caller)


async def add_goods(database: Any, owner_id: int) -> None:
    """Add goods with a stock, where there are such."""
    if not has("goods_store"):
        return
    by = module("stock_history").By(actor="user:mei", op_id="op-goods")
    kinds = importlib.import_module("shoal.goods.goods").GoodsKind
    await module("goods_store").GoodsStore(database).create(owner_id, {"name": "月卡", "kind": kinds.STOCK}, by)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
