"""What the older system's lists of items, users, accounts, logs and verifications show here, and what they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import pytest

from shoal.accounts.account import Account
from shoal.items.item_lists import ItemLists
from shoal.older_system.tables import NOT_KEPT, TABLES
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject, close_incidents, open_incidents
from support.servers.doors import Door, another_person
from support.site.standins import cookie_of

ON_SALE = {"9001": "月卡", "9000": "年卡"}


@pytest.fixture
def _on_sale(monkeypatch: pytest.MonkeyPatch) -> None:
    async def titles(_lists: ItemLists, _account: Account) -> dict[str, str]:
        return ON_SALE

    def kept(_lists: ItemLists, account: Account) -> Mapping[str, str]:
        return ON_SALE if account.id == "shop" else {}

    monkeypatch.setattr(ItemLists, "of", titles)
    monkeypatch.setattr(ItemLists, "kept", kept)


@pytest.mark.usefixtures("_on_sale")
async def test_the_items_of_a_shop_are_those_on_sale_and_those_that_it_has_something_set_for(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/items/700", json={"reply": "有货"})
    rules = [
        {"item_id": "9000", "spec": "时长:月卡", "parts": [{"text": "a"}]},
        {"item_id": "800", "parts": [{"text": "b"}]},
    ]
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": rules})
    await door.add("second", 2)
    await door.call("PUT", "/cookies/second/items/700", json={"reply": "没货"})
    rows = (await door.call("GET", "/items/cookie/shop"))["items"]
    assert [(row["item_id"], row["item_title"], row["is_multi_spec"]) for row in rows] == [
        ("9001", "月卡", False), ("9000", "年卡", True), ("700", "", False), ("800", "", False),
    ]  # fmt: skip
    everything = (await door.call("GET", "/items"))["items"]
    assert [(row["cookie_id"], row["item_id"]) for row in everything] == [
        *(("shop", row["item_id"]) for row in rows), ("second", "700"),
    ]  # fmt: skip
    assert len({row["id"] for row in everything}) == len(everything)
    short = await door.call("GET", "/items/shop")
    assert [row["item_title"] for row in short["items"]] == ["月卡", "年卡", "未知商品", "未知商品"]
    assert (await door.call("GET", "/items/shop/9001"))["item"] == rows[0]
    unknown = await door.call("GET", "/items/shop/1", 404)
    assert (unknown["code"], unknown["detail"]) == ("unknown_item", "商品不存在")
    page = {"cookie_id": "shop", "page_number": 2, "page_size": 1}
    assert (await door.call("POST", "/items/get-by-page", json=page))["current_count"] == 1
    assert (await door.call("POST", "/items/get-by-page", json={**page, "page_number": 3}))["current_count"] == 0
    await door.call("POST", "/items/get-by-page", 422, json={**page, "page_number": "2"})
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/items"))["items"] == []
        for path in ("/items/shop", "/items/cookie/shop", "/items/shop/9001"):
            assert (await bob.call("GET", path, 403))["detail"] == "无权限访问该Cookie"


async def test_items_of_a_shop_without_a_connection_say_so(door: Door) -> None:
    said = await door.call("POST", "/items/get-all-from-account", json={"cookie_id": "shop"})
    assert said["success"] is False
    assert said["message"].startswith("店铺没有连接")
    page = {"cookie_id": "shop", "page_number": 1, "page_size": 1}
    assert (await door.call("POST", "/items/get-by-page", json=page))["success"] is False
    assert (await door.call("GET", "/items/cookie/shop"))["items"] == []
    refused = await door.call("POST", "/items/get-all-from-account", 403, json={"cookie_id": "nowhere"})
    assert refused["code"] == "unknown_account"


async def test_an_administrator_sees_counts_of_all_and_accounts_of_none_but_their_own(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "主店"})
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        made = await bob.call("POST", "/cards", json={"name": "b", "type": "text", "text_content": "x"})
        assert made["id"]
        await bob.call("PUT", "/cookies/bobs/status", json={"enabled": False})
        for path in ("/admin/users", "/admin/cookies", "/admin/stats", "/admin/data/users", "/admin/logs"):
            assert (await bob.call("GET", path, 403))["code"] == "forbidden"
    users = (await door.call("GET", "/admin/users"))["users"]
    assert [(one["username"], one["cookie_count"], one["card_count"]) for one in users] == [
        ("admin", 1, 0),
        ("bob", 1, 1),
    ]
    shown = await door.call("GET", "/admin/cookies")
    row = {"cookie_id": "shop", "user_id": 1, "username": "admin", "nickname": "主店", "enabled": True}
    assert shown == {"success": True, "cookies": [row], "total": 1}
    stats = await door.call("GET", "/admin/stats")
    assert (stats["users"]["total"], stats["cookies"], stats["cards"]) == (
        2, {"total": 2, "enabled": 1}, {"total": 1, "enabled": 1},
    )  # fmt: skip
    for name, count in (("users", 2), ("cookies", 1), ("cards", 0), ("orders", 0)):
        table = await door.call("GET", f"/admin/data/{name}")
        assert (table["count"], len(table["data"])) == (count, count)
        assert cookie_of(1) not in json.dumps(table)
    assert (await door.call("GET", "/admin/data/sqlite_master", 410))["code"] == "gone"


async def test_an_administrator_removes_others_by_the_older_path_and_not_themselves(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
    assert (await door.call("DELETE", "/admin/users/1", 400))["detail"] == "不能删除管理员自己"
    assert await door.call("DELETE", "/admin/users/2") == {"message": "用户 bob 删除成功"}
    assert "bobs" not in door.server.manager.accounts
    await door.call("DELETE", "/admin/users/2", 404)
    assert "person_removed" in {entry["kind"] for entry in (await door.call("GET", "/security-log"))["items"]}


async def test_verifications_are_the_incidents_in_which_the_site_asked_for_one(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
    for account, at_ms, reason in (("shop", 1_000, "risk_control"), ("shop", 9_000, "login_expired"),
                                   ("bobs", 9_500, "risk_control")):  # fmt: skip
        opening = Opening(
            subject=f"{account_subject(account)}/{at_ms}", kind=IncidentKind.PARKED, at_ms=at_ms, account_id=account,
            detail=reason,
        )  # fmt: skip
        await door.server.database.write(partial(open_incidents, openings=[opening]))
    for path in ("/risk-control-logs", "/admin/risk-control-logs"):
        found = await door.call("GET", path)
        (row,) = found["data"]
        assert (found["total"], row["cookie_id"], row["processing_status"]) == (1, "shop", "processing")
        assert row["created_at"] == "1970-01-01 00:00:01"
        assert "风控" in row["event_description"] or "验证" in row["event_description"]
        assert (await door.call("GET", f"{path}?cookie_id=bobs"))["total"] == 0
        after = await door.call("GET", f"{path}?offset=1&limit=5")
        assert (after["data"], after["total"], after["offset"], after["limit"]) == ([], 1, 1, 5)
    subjects = [f"{account_subject('shop')}/1000"]
    await door.server.database.write(lambda c: close_incidents(c, subjects, [IncidentKind.PARKED], 61_000))
    (row,) = (await door.call("GET", "/risk-control-logs"))["data"]
    assert (row["processing_status"], row["updated_at"]) == ("success", "1970-01-01 00:01:01")


async def test_switches_that_the_server_reads_at_its_start_are_not_said_to_be_changed(door: Door) -> None:
    assert (await door.call("GET", "/registration-status"))["enabled"] is False
    said = await door.call("PUT", "/registration-settings", json={"enabled": False})
    assert said == {"success": True, "enabled": False, "message": "注册功能已关闭"}
    refused = await door.call("PUT", "/registration-settings", 409, json={"enabled": True})
    assert "SHOAL_OPEN_REGISTRATION" in refused["detail"]
    await door.call("PUT", "/login-info-settings", 409, json={"enabled": True})
    await door.call("PUT", "/registration-settings", 422, json={"enabled": "on"})
    for path, status in (("multi-spec", 422), ("multi-quantity-delivery", 422)):
        await door.call("PUT", f"/items/shop/700/{path}", status, json={})


async def test_each_table_of_the_older_system_is_what_its_routes_list_without_secrets(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"在吗": "在的"}})
    await door.call("PUT", "/item-reply/shop/700", json={"reply_content": "有货"})
    card = await door.call("POST", "/cards", json={"name": "k", "type": "data", "data_content": "CANARY-0001"})
    await door.call("POST", "/delivery-rules", json={"keyword": "会员", "card_id": card["id"]})
    channel = {"name": "c", "type": "ding_talk", "config": json.dumps({"webhook_url": "CANARY0123456789"})}
    channel_id = (await door.call("POST", "/notification-channels", json=channel))["id"]
    await door.call("POST", "/message-notifications/shop", json={"channel_id": channel_id})
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        await bob.call("POST", "/keywords/bobs", json={"keywords": {"别人": "的"}})
    shown = {name: await door.call("GET", f"/admin/data/{name}") for name in TABLES}
    for table in shown.values():
        assert table["count"] == len(table["data"])
        assert all(list(row) == table["columns"] for row in table["data"])
    said = json.dumps(shown, ensure_ascii=False)
    assert not [word for word in ("CANARY", "bobs", "别人", cookie_of(1)) if word in said]
    assert {name: table["count"] for name, table in shown.items()} == {
        "users": 2, "cookies": 1, "cookie_status": 1, "keywords": 1, "default_replies": 1, "item_replay": 1,
        "item_info": 1, "cards": 1, "delivery_rules": 1, "notification_channels": 1, "message_notifications": 1,
        "orders": 0, "system_settings": 2,
    }  # fmt: skip
    assert shown["keywords"]["data"][0]["cookie_id"] == "shop"
    for name in NOT_KEPT:
        assert await door.call("GET", f"/admin/data/{name}") == {"success": True, "data": [], "columns": [], "count": 0}
