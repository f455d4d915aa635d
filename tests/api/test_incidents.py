"""Incidents over the API: those who see a shop read what stops it, in their language, and no one else does."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.auth.permission import Permission
from shoal.config import load_settings
from shoal.errors import ActionRequired, ConfigError
from shoal.messages.logged_message import Direction
from shoal.messages.message_log import IncomingMessage
from shoal.notices.disk_watch import DISK_EVERY_MS, DiskWatch
from shoal.notices.incident_history import IncidentHistory, Sight
from shoal.notices.server_watch import ServerWatch
from shoal.notices.store_alarm import StoreAlarm
from shoal.orders.order_store import OrderUpdate
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, open_incidents
from shoal.storage.known_item_rows import SeenItem
from shoal.storage.notice_tables import incidents
from support.notices.notice_steps import NotingTransport, a_channel
from support.servers.doors import Door, another_person
from support.site.sandbox_driver import sandbox
from support.site.standins import until_told

EN = {"Accept-Language": "en"}


async def items(door: Door, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """The incidents, but for those of the machine on which the test runs."""
    found = (await door.call("GET", f"/incidents{query}", headers=headers or EN))["items"]
    return [one for one in found if one["kind"] != "disk_low"]


async def happens(door: Door, number: int, **values: Any) -> None:
    opening = Opening(**{"subject": f"n:{number}", "kind": IncidentKind.BACKUP_FAILED, "at_ms": 1_000, **values})
    await door.server.database.write(partial(open_incidents, openings=[opening]))


async def test_a_parked_shop_is_an_open_incident_until_it_runs_again(door: Door) -> None:
    async def expire(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url="https://h5api.m.goofish.com/slider")

    runs, door.site.behave = door.site.behave, expire
    await door.call("POST", "/cookies/shop/resume")

    async def kinds() -> list[str]:
        return [one["kind"] for one in await items(door, "?open=1&cid=shop")]

    await until_told(kinds, ["parked"])
    (found,) = await items(door, "?open=1")
    assert found | {"id": 0, "opened_at_ms": 0, "notified_at_ms": None} == {
        "id": 0, "account_id": "shop", "kind": "parked", "level": "urgent", "opened_at_ms": 0, "closed_at_ms": None,
        "notified_at_ms": None, "count": 1, "reason": "risk_control",
        "detail": "Shop “shop” needs you: Xianyu asked for verification (risk control)", "about": "",
        "do": found["do"], "url": "",
        "page": "accounts/shop",
    }  # fmt: skip
    (found,) = await items(door, **{"Accept-Language": "zh"})
    assert found["detail"].startswith("店铺“shop”需要您处理：闲鱼要求验证")
    door.site.behave = runs
    await door.call("POST", "/cookies/shop/resume?anyway=true")
    await until_told(kinds, [])
    assert [one["kind"] for one in await items(door, "?open=0")] == ["parked"]


async def test_a_parked_shop_is_told_over_its_owners_channel_and_that_it_runs_again_is_not_yet(door: Door) -> None:
    """From the connection's refusal through the incident to a real receiver of notices."""

    async def expire(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control")

    async with sandbox() as box:
        fields = {"url": f"{box.url}/hook/shop"}
        body = {"name": "w", "service": "webhook", "fields": fields, "language": "en"}
        channel = (await door.call("POST", "/channels", json=body))["id"]
        await door.call("PUT", f"/channels/{channel}/subscriptions", json={"kinds": ["parked"]})
        runs, door.site.behave = door.site.behave, expire
        await door.call("POST", "/cookies/shop/resume")

        async def titles() -> list[str]:
            return [one["body"]["title"] for one in (await box.get("received"))["items"]]

        wanted = ["Shop “shop” needs you: Xianyu asked for verification (risk control)"]
        await until_told(titles, wanted)
        door.site.behave = runs
        await door.call("POST", "/cookies/shop/resume?anyway=true")

        async def told() -> list[tuple[int, str, str]]:
            found = (await door.call("GET", "/notices"))["items"]
            return [(one["channel_id"], one["phase"], one["state"]) for one in found]

        await until_told(told, [(channel, "begin", "sent")])
        assert await titles() == wanted


async def test_incidents_of_a_chat_and_of_an_order_name_buyer_and_item(door: Door) -> None:
    said = [
        IncomingMessage(
            message_id=f"m{chat}", chat_id=chat, item_id=item, sender_id="22", sender_name="小鱼", text="在吗",
            created_at_ms=1, direction=Direction.IN,
        )
        for chat, item in (("c1", "7001"), ("c2", "7002"), ("c3", "7002"))
    ]  # fmt: skip
    await door.server.message_log.store_incoming("shop", said)
    await door.server.order_store.items.note_from_chats("shop", [SeenItem(item_id="7001", title="电子书")])
    bought = OrderUpdate(order_id="45", status="completed", source="card", buyer_id="22", chat_id="c3", item_id="7001")
    await door.server.order_store.receive("shop", bought)
    kinds = (IncidentKind.BUYER_WAITS, IncidentKind.WANTS_PERSON, IncidentKind.REFUND_ASKED, IncidentKind.ORDER_PROBLEM)
    facts = ({"chat_id": "c1"}, {"chat_id": "c2"}, {"order_id": "45"}, {"order_id": "46"})
    for number, (kind, known) in enumerate(zip(kinds, facts, strict=True)):
        await happens(door, number, account_id="shop", kind=kind, facts=known)
    assert [one["about"] for one in (await items(door, "?cid=shop"))[::-1]] == [
        "小鱼 · 电子书", "小鱼", "小鱼 · 电子书", "",
    ]  # fmt: skip


async def test_who_sees_a_shop_sees_its_incidents_and_only_administrators_those_of_the_server(door: Door) -> None:
    await happens(door, 1, account_id="shop")
    await happens(door, 2, user_id=2)
    await happens(door, 3)
    async with another_person(door) as bob:
        assert [one["account_id"] for one in await items(door)] == [None, "shop"]
        assert [one["account_id"] for one in await items(bob)] == [None]
        assert (await bob.call("GET", "/incidents?cid=shop", 404))["code"] == "unknown_account"
        await door.server.authorization.give(door.account(), 2, Permission.READ, given_by="user:admin")
        assert [one["account_id"] for one in await items(bob)] == [None, "shop"]
        assert [one["account_id"] for one in await items(bob, "?cid=shop")] == ["shop"]


async def test_a_token_for_some_shops_reads_their_incidents_alone(door: Door) -> None:
    await happens(door, 1, account_id="shop")
    await happens(door, 2, user_id=1)
    made = await door.call("POST", "/tokens", json={"name": "x", "scope": "read", "accounts": ["shop"]})
    found = await door.call("GET", "/incidents", headers={"Authorization": f"Bearer {made['token']}"})
    assert [one["account_id"] for one in found["items"]] == ["shop"]


async def test_pages_follow_each_other(door: Door) -> None:
    for number in range(5):
        await happens(door, number, account_id="shop")
    seen, query = [], "?cid=shop&limit=2"
    while query:
        page = await door.call("GET", f"/incidents{query}")
        seen += [one["id"] for one in page["items"]]
        query = page["next"] and f"?cid=shop&limit=2&cursor={page['next']}"
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5


async def test_a_user_reads_the_notices_of_own_channels(door: Door) -> None:
    channel = await a_channel(door.server.database, 1, kinds=["backup_failed"])
    await happens(door, 1)

    async def told() -> list[tuple[int, str, str]]:
        found = (await door.call("GET", "/notices"))["items"]
        return [(one["channel_id"], one["phase"], one["state"]) for one in found]

    await until_told(told, [(channel, "begin", "failed")])  # its address is none
    assert (await door.call("GET", "/notices?state=given_up"))["items"] == []
    (incident,) = [one["id"] for one in await items(door, "?kind=backup_failed")]
    assert await items(door, "?kind=parked") == await items(door, "?notified=0") == []
    assert [one["id"] for one in await items(door, "?notified=1")] == [incident]
    assert len((await door.call("GET", f"/notices?incident={incident}"))["items"]) == 1
    assert (await door.call("GET", f"/notices?incident={incident + 1}"))["items"] == []
    (listed,) = (await door.call("GET", "/channels"))["items"]
    assert (listed["id"], listed["last"]["state"]) == (channel, "failed")
    assert listed["last"]["error"]
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/notices"))["items"] == []


async def test_old_incidents_are_forgotten_with_their_notices_and_open_ones_stay(door: Door) -> None:
    database = door.server.database
    for number in range(3):
        await happens(door, number, account_id="shop")
    over = update(incidents).where(incidents.c.subject != "n:0").values(over=True, closed_at_ms=5_000)
    await database.write(lambda connection: connection.execute(over).rowcount)
    history = IncidentHistory(database)
    assert await history.forget_older_than(5_000) == 0
    assert await history.forget_older_than(5_001, rows=1) == 2
    assert len(await items(door)) == 1


async def test_a_full_disk_and_a_store_without_writes_are_incidents_of_the_server(door: Door) -> None:
    database, now, free = door.server.database, [10_000_000], [0.5]
    alarm = StoreAlarm(database, NotingTransport(), now_ms=lambda: now[0])
    disk = DiskWatch(database, Path(), now_ms=lambda: now[0], free=lambda _: free[0])
    watch = ServerWatch(database, alarm=alarm, now_ms=lambda: now[0])

    async def seen() -> list[tuple[str, bool]]:
        rows = await IncidentHistory(database).incidents(Sight(accounts=[], sees_server=True))
        mine = [one for one in rows if one.opened_at_ms <= now[0]]
        return [(one.kind.value, one.closed_at_ms is None) for one in mine]

    await disk.look()
    assert await seen() == []
    free[0] = 0.04
    await disk.look()
    assert await seen() == []  # it was looked at a moment ago
    now[0] += DISK_EVERY_MS
    await disk.look()
    assert await seen() == [("disk_low", True)]
    free[0], now[0] = 0.06, now[0] + DISK_EVERY_MS
    await disk.look()
    assert await seen() == [("disk_low", False)]
    writer = database.group_writer
    writer.degraded = True
    await watch.look()
    now[0] += 60_000
    writer.degraded = False
    await watch.look()
    assert await seen() == [("store_degraded", False), ("disk_low", False)]


@pytest.mark.parametrize("url", ["shoal.example", "ftp://shoal.example", "https://shoal.example/?a=1", "https://a b"])
def test_a_public_address_that_no_link_could_use_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_PUBLIC_URL", url)
    with pytest.raises(ConfigError, match="public_url"):
        load_settings()
