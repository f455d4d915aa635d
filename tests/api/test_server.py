"""The life of a server: what it refuses to start on, and what it leaves behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, update

from shoal.accounts.cookie_manager import CookieManager
from shoal.errors import ConfigError
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from shoal.server import open_accounts
from shoal.server.reply_server import build_app
from shoal.storage.history_tables import journal
from shoal.storage.schema import accounts
from shoal.storage.user_tables import grants
from support.servers.doors import another_person, open_door
from support.site.standins import FakeSite, cookie_of, quick_settings, until, until_told


async def test_two_servers_live_side_by_side(tmp_path: Path) -> None:
    async with open_door(tmp_path / "a") as one, open_door(tmp_path / "b") as other:
        await one.add("shop", 1)
        assert await other.call("GET", "/cookies") == []
        await other.add("shop", 2)
        assert one.account().unb != other.account().unb


async def test_the_threads_that_check_passwords_end_with_the_server(tmp_path: Path) -> None:
    def mine() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("shoal-password")}

    before = mine()
    async with open_door(tmp_path, admin_password="correct horse 9 staple"):
        begun = mine() - before
        assert begun
    assert not any(thread.is_alive() for thread in begun)


async def test_a_start_of_many_accounts_ends_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
    began, ended = asyncio.Event(), asyncio.Event()

    async def lasting(_: CookieManager) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(open_accounts, "MOST_AWAITED", 0)
    monkeypatch.setattr(CookieManager, "start", lasting)
    async with open_door(tmp_path):
        await asyncio.wait_for(began.wait(), 60)
    assert ended.is_set()


async def test_a_data_directory_is_for_one_server_at_a_time(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        app = build_app(quick_settings(data_dir=tmp_path), connect=FakeSite().connect)
        with pytest.raises(ConfigError):
            async with app.router.lifespan_context(app):
                pass
        await door.call("GET", "/cookies")


async def test_a_data_directory_remembers_its_site_and_refuses_another(tmp_path: Path) -> None:
    async with open_door(tmp_path):
        pass
    with pytest.raises(ConfigError, match="another data directory"):
        async with open_door(tmp_path, site_ws_url="ws://127.0.0.1:9/"):
            pass
    async with open_door(tmp_path):
        pass


async def test_after_a_restart_everything_is_as_it_was(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await door.add("shop", 1)
        await door.call("POST", "/keywords/shop", json={"keywords": {"a": "b"}})
        await door.call("POST", "/cookies", json={"id": "off", "value": cookie_of(2)})
        await door.call("PUT", "/cookies/off/status", json={"enabled": False})
        before = dict(door.server.manager.accounts)
        token = door.client.headers["authorization"]
    async with open_door(tmp_path) as door:
        assert dict(door.server.manager.accounts) == before
        await until(lambda: door.site.live.get("shop") == 1)
        assert "off" not in door.site.ever
        answer = await door.client.get("/cookies", headers={"Authorization": token})
        assert answer.status_code == 200, "a sign-in outlives the server"


async def test_f1_what_the_last_server_left_begun_is_told_at_the_start_also_of_a_shop_that_is_off(
    tmp_path: Path,
) -> None:
    async with open_door(tmp_path) as door:
        await door.add("shop", 1)
        await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
        book = door.server.order_store
        await book.receive(
            "shop", OrderUpdate(order_id="o1", status="pending_ship", source="card", paid=True, chat_id="c")
        )
        await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.DONE)
        assert await book.begin_action("shop", "o1", Action.CONFIRM)
        await door.server.message_log.outbox.queue([OutboxRow(account_id="shop", chat_id="c", uuid="u1", text="hi")])
    async with open_door(tmp_path) as door:
        listed = await door.call("GET", "/cookies/shop/orders")
        assert [(order["order_id"], order["problem"]["code"]) for order in listed["items"]] == [
            ("o1", "confirm_uncertain")
        ]
        (sending,) = await door.server.message_log.outbox.list_sendings(["shop"])
        assert sending.outcome is SendOutcome.UNCERTAIN


async def test_when_the_database_has_recovered_it_is_read_again(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await door.add("shop", 1)
        await door.server.store.save_auto_confirm("shop", True)  # type: ignore[attr-defined]
        recovered = door.server.database.group_writer.on_degraded
        assert recovered is not None
        recovered(True)
        recovered(False)
        await until(lambda: door.account().auto_confirm)


async def test_f7_a_shop_that_cannot_be_read_again_keeps_no_right_that_was_taken(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door, another_person(door) as bob:
        await door.add("shop", 1)
        await door.add("broken", 2)
        await door.call("PATCH", "/cookies/broken/settings", json={"remark": "x"})
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "read"})
        await bob.call("GET", "/cookies/shop")

        def write(connection: Connection) -> None:  # as a commit without an answer does, and another program
            connection.execute(delete(grants))
            connection.execute(delete(journal).where(journal.c.account_id == "broken", journal.c.generation == 1))
            connection.execute(update(accounts).where(accounts.c.id == "broken").values(remark="theirs"))

        await door.server.database.write(write)
        recovered = door.server.database.group_writer.on_degraded
        assert recovered is not None
        recovered(False)

        async def status() -> int:
            return (await bob.client.get("/cookies/shop")).status_code

        await until_told(status, 404, seconds=60)
