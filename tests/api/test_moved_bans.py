"""What forbids in another system forbids here, over the wire: a dump is moved in and turned on, and buyers pay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.test_moving import ended
from benchmarks.processes import SandboxProcess
from shoal.goods.unit_states import UnitState
from shoal.storage.order_tables import orders
from shoal.storage.schema import messages
from support.moving.old_database import Rows
from support.moving.today_database import a_small_database, account, as_dump
from support.servers.doors import Door, open_door
from support.site.sandboxed import QUICK_SITE
from support.site.standins import ANN, until

CONFIRM = "consign.dummy"
BUYER = "买家小鱼"


@dataclass
class Moved:
    """A server and a sandbox in a process of its own, with three sellers."""

    door: Door
    sandbox: SandboxProcess
    sellers: list[dict[str, Any]]

    def account(self, place: int, **values: Any) -> dict[str, Any]:
        """An account of the sandbox as the old system has it; its id is ``shopN``."""
        return account(place, cookie=self.sellers[place - 1]["cookie"], **values)

    def item(self, place: int) -> str:
        return str(self.sellers[place - 1]["items"][0]["id"])

    def unb(self, place: int) -> str:
        return str(self.sellers[place - 1]["unb"])

    async def move_in(self, rows: Rows) -> None:
        """Import a dump over the API, and turn on what was on."""
        data = as_dump(rows).encode()
        plan = await self.door.call("POST", "/imports/plans", params={"name": "shop.sql"}, content=data)
        run = await self.door.call("POST", "/imports", json={"plan_id": plan["plan_id"]})
        await ended(self.door.server.moving)
        manager = self.door.server.manager
        for name in manager.accounts:  # so that a test need not wait until the first start is further back
            await manager.update_rules(name, lambda found: found.evolve(orders_since_ms=1), caller=ANN)
        await self.door.call("POST", f"/imports/{run['id']}/start", json={"old_system_stopped": True})
        await until(lambda: {manager.observation(name).state for name in manager.accounts} == {"running"}, seconds=60)

    async def pays(self, place: int) -> str:
        body = {"account": self.unb(place), "buyer": BUYER, "item": self.item(place)}
        paid: str = (await self.sandbox.do("pay", **body))["order_id"]
        return paid

    async def says(self, place: int, text: str, buyer: str = BUYER) -> None:
        await self.sandbox.do("say", account=self.unb(place), buyer=buyer, text=text)

    async def seen(self, place: int, count: int, buyer: str = BUYER) -> list[str]:
        """Return what a buyer saw of the shop, once there are so many lines."""
        async with asyncio.timeout(60):
            while len(lines := await self.sandbox.seen(self.unb(place), buyer)) < count:
                await asyncio.sleep(0.05)
        return lines

    async def decided(self, place: int, count: int) -> list[str]:
        """Return the decisions about what buyers said to a shop, in order, once there are so many."""
        mine = (messages.c.account_id == f"shop{place}", messages.c.handled, messages.c.verdict != "")
        query = select(messages.c.verdict).where(*mine).order_by(messages.c.id)
        async with asyncio.timeout(60):
            while True:
                found = await self.door.server.database.read(lambda connection: list(connection.scalars(query)))
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.05)

    async def confirmed(self, place: int) -> list[str]:
        """Return the calls by which a shop confirmed shipments."""
        calls = (await self.sandbox.get("calls", account=self.unb(place)))["items"]
        return [str(call["api"]) for call in calls if str(call["api"]).endswith(CONFIRM)]

    async def in_trouble(self, place: int, order_id: str) -> str:
        """Return the problem of an order, once it has one."""
        query = select(orders.c.problem).where(orders.c.account_id == f"shop{place}", orders.c.order_id == order_id)
        async with asyncio.timeout(60):
            while not (found := await self.door.server.database.read(lambda connection: connection.scalar(query))):
                await asyncio.sleep(0.05)
        return str(found)


@pytest.fixture
async def moved(tmp_path: Path) -> AsyncIterator[Moved]:
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    try:
        urls = {f"site_{name}_url": sandbox.url for name in ("mtop", "passport", "upload")}
        urls["site_ws_url"] = sandbox.url.replace("http", "ws", 1) + "/"
        async with open_door(tmp_path / "data", over_the_wire=True, **{**urls, **QUICK_SITE}) as door:
            yield Moved(door, sandbox, (await sandbox.get("sellers"))["items"])
    finally:
        await sandbox.end()


def card(number: int, *codes: str) -> dict[str, Any]:
    """A card with codes that is on."""
    return {
        "id": number, "user_id": 1, "name": f"卡{number}", "type": "data", "enabled": 1, "delay_seconds": 0,
        "is_multi_spec": 0, "data_content": "\n".join(codes), "item_id": None,
    }  # fmt: skip


def bound(number: int, card_id: int, item_id: str, **values: Any) -> dict[str, Any]:
    """A card that is bound to an item."""
    own = {"source": "own", "dock_record_id": 0}
    return {"id": number, "user_id": 1, "card_id": card_id, "item_id": item_id, **own, **values}


@pytest.mark.slow
async def test_g1_what_must_not_be_delivered_or_confirmed_there_is_not_here(moved: Moved) -> None:
    rows = a_small_database(
        moved.account(1, delivery_disabled=1, delivery_disabled_reason="等补货"),
        moved.account(2, only_send_card=1),
        moved.account(3),
        xy_cards=[card(7, "A-1", "A-2"), card(8, "B-1", "A-2"), card(9, "C-1"), card(10, "D-1")],
        xy_card_item_relations=[
            bound(1, 7, moved.item(1)), bound(2, 8, moved.item(2)), bound(3, 9, moved.item(3)),
            bound(4, 10, moved.item(3)),
        ],
    )  # fmt: skip
    await moved.move_in(rows)
    shop = moved.door.server.manager.account
    assert [shop(f"shop{place}").delivery for place in (1, 2, 3)] == [False, True, True]
    assert [shop(f"shop{place}").auto_confirm for place in (1, 2, 3)] == [True, False, True]
    assert await moved.in_trouble(1, await moved.pays(1)) == "delivery_off"
    assert await moved.in_trouble(3, await moved.pays(3)) == "no_paid_message"
    await moved.pays(2)
    assert await moved.seen(2, 1) == ["B-1"], "the control: this shop sends its card"
    assert await moved.in_trouble(2, await moved.pays(2)) == "out_of_stock"
    for place in (1, 3):
        assert await moved.sandbox.seen(moved.unb(place), BUYER) == [], place
    assert [await moved.confirmed(place) for place in (1, 2, 3)] == [[], [], []]
    assert await moved.seen(2, 1) == ["B-1"], "the code that two cards have waits"
    free = {}
    for goods in await moved.door.server.goods.store.list(1):
        counts = (await moved.door.server.goods.store.counts([goods.id]))[goods.id]
        free[goods.name] = counts.get(UnitState.FREE, 0)
    assert free == {"卡7": 2, "卡8": 0, "卡9": 1, "卡10": 1}


@pytest.mark.slow
async def test_g1_what_was_not_answered_there_is_not_answered_here(moved: Moved) -> None:
    buyer = next(one["id"] for one in (await moved.sandbox.get("state"))["buyers"] if one["nick"] == BUYER)
    rule = {"owner_id": 1, "reply_type": "text", "image_url": None, "is_active": 1, "item_id": None}
    said = {"item_id": None, "enabled": 1, "reply_type": "text", "reply_once": 0, "api_url": None, "reply_image": None}
    rows = a_small_database(
        moved.account(1), moved.account(2), moved.account(3),
        xy_keyword_rules=[
            {"id": 1, "account_id": 31, "keyword": "发票", "reply_content": "可以开", **rule},
            {"id": 2, "account_id": 31, "keyword": "发票", "reply_content": "可以", **rule, "item_id": moved.item(1)},
            {"id": 3, "account_id": 31, "keyword": "在吗", "reply_content": "在的", **rule},
            {"id": 4, "account_id": 33, "keyword": "在吗", "reply_content": "在的", **rule},
            {"id": 5, "account_id": None, "keyword": "包邮", "reply_content": "包邮", **rule},
        ],
        xy_message_filters=[
            {"id": 1, "account_id": "shop1", "keyword": "发票", "filter_type": "skip_reply", "enabled": 1},
        ],
        xy_default_replies=[
            {"id": 1, "account_id": "shop2", "reply_content": "稍等", **said, "reply_once": 1},
            {"id": 2, "account_id": "shop3", "reply_content": "旧的", **said, "reply_type": "api",
             "api_url": "https://bot.example.com"},
        ],
        xy_default_reply_records=[{"id": 1, "account_id": "shop2", "item_id": None, "user_id": str(buyer)}],
    )  # fmt: skip
    await moved.move_in(rows)
    await moved.says(1, "能开发票吗")
    assert await moved.decided(1, 1) == ["silent_rule"]
    await moved.says(1, "在吗")
    assert await moved.seen(1, 1) == ["在的"]
    await moved.says(2, "你好")
    assert await moved.decided(2, 1) == ["said_once"]
    await moved.says(2, "你好", "大鱼")
    assert await moved.seen(2, 1, "大鱼") == ["稍等"], "the control: another buyer gets it"
    for text, verdict in (("你好", "no_rule"), ("包邮吗", "no_rule")):
        await moved.says(3, text)
        assert (await moved.decided(3, 1))[-1] == verdict
    await moved.says(3, "在吗")
    assert await moved.seen(3, 1) == ["在的"]
