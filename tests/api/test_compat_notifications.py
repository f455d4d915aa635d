"""Channels and of which accounts they tell, as scripts for the older system send and read them."""

from __future__ import annotations

import json
from typing import Any

from support.servers.doors import Door, another_person

CANARY = "CANARY0channel0token"
DINGTALK = {
    "name": "值班群", "type": "ding_talk", "user_id": 1,
    "config": json.dumps({"webhook_url": f"https://oapi.dingtalk.com/robot/send?access_token={CANARY}"}),
}  # fmt: skip


async def _tells(door: Door, channel: int) -> dict[str, Any]:
    found: dict[str, Any] = await door.call("GET", f"/channels/{channel}/subscriptions")
    return found


async def test_channels_are_added_read_changed_and_removed_as_the_older_system_did(door: Door) -> None:
    made = await door.call("POST", "/notification-channels", json=DINGTALK)
    assert made == {"msg": "notification channel created", "id": made["id"]}
    path = f"/notification-channels/{made['id']}"
    (shown,) = await door.call("GET", "/notification-channels")
    assert await door.call("GET", path) == shown
    assert (shown["type"], shown["config"], shown["enabled"], len(shown["created_at"])) == (
        "dingtalk", '{"webhook_url": "***"}', True, 19,
    )  # fmt: skip
    assert (await door.call("GET", f"/channels/{made['id']}"))["service"] == "dingtalk"
    said = await door.call("PUT", path, json={**shown, "name": "夜班", "enabled": False})
    assert said == {"msg": "notification channel updated"}
    after = await door.call("GET", path)
    assert (after["name"], after["enabled"], after["config"]) == ("夜班", False, shown["config"])
    opened = await door.server.notices.channels.opened(made["id"])
    assert opened is not None
    assert opened[2] == {"token": CANARY}, "what came back hidden stays"
    config = json.dumps({"webhook_url": f"{CANARY}2", "secret": "***"})
    await door.call("PUT", path, json={"name": "夜班", "config": config})
    opened = await door.server.notices.channels.opened(made["id"])
    assert opened is not None
    assert opened[2] == {"token": f"{CANARY}2"}
    async with another_person(door) as bob:
        assert await bob.call("GET", "/notification-channels") == []
        for method, body in (("GET", None), ("PUT", {"name": "x", "config": "{}"}), ("DELETE", None)):
            refused = await bob.call(method, path, 404, json=body)
            assert (refused["code"], refused["detail"]) == ("unknown_channel", "通知渠道不存在")
    log = await door.call("GET", "/security-log")
    assert CANARY not in json.dumps(log)
    assert {"channel_added", "channel_changed"} <= {entry["kind"] for entry in log["items"]}
    assert await door.call("DELETE", path) == {"msg": "notification channel deleted"}
    assert await door.call("GET", "/notification-channels") == []
    refused = await door.call(
        "POST", "/notification-channels", 422, json={"name": "q", "config": '{"qq_number":"10001"}'}
    )
    assert refused["code"] == "channel_of_qq_number"


async def test_a_channel_tells_of_the_accounts_that_are_named_and_of_no_other(door: Door) -> None:
    await door.add("second", 2)
    channel = (await door.call("POST", "/notification-channels", json=DINGTALK))["id"]
    assert await _tells(door, channel) == {"kinds": [], "accounts": [], "tags": [], "nothing": True}
    assert await door.call("GET", "/message-notifications") == {}
    body = {"channel_id": channel, "enabled": True}
    assert await door.call("POST", "/message-notifications/shop", json=body) == {"msg": "message notification set"}
    assert await _tells(door, channel) == {"kinds": [], "accounts": ["shop"], "tags": [], "nothing": False}
    (row,) = await door.call("GET", "/message-notifications/shop")
    assert {**row, "id": 0} == {
        "id": 0, "channel_id": channel, "enabled": True, "channel_name": "值班群", "channel_type": "dingtalk",
        "channel_config": '{"webhook_url": "***"}',
    }  # fmt: skip
    await door.call("POST", "/message-notifications/second", json=body)
    told = await door.call("GET", "/message-notifications")
    assert {cid: [one["channel_id"] for one in rows] for cid, rows in told.items()} == {
        "shop": [channel], "second": [channel],
    }  # fmt: skip
    assert await door.call("DELETE", f"/message-notifications/{row['id']}") == {"msg": "message notification deleted"}
    assert (await _tells(door, channel))["accounts"] == ["second"]
    assert (await door.call("DELETE", f"/message-notifications/{row['id']}", 404))["detail"] == "通知配置不存在"
    said = await door.call("DELETE", "/message-notifications/account/second")
    assert said == {"msg": "account notifications deleted"}
    assert (await _tells(door, channel))["nothing"]
    assert await door.call("DELETE", "/message-notifications/account/second") == said


async def test_a_channel_of_the_console_tells_of_every_account_until_one_is_taken_out(door: Door) -> None:
    await door.add("second", 2)
    fields = {"token": CANARY}
    channel = (await door.call("POST", "/channels", json={"name": "c", "service": "dingtalk", "fields": fields}))["id"]
    assert set(await door.call("GET", "/message-notifications")) == {"shop", "second"}
    await door.call("POST", "/message-notifications/shop", json={"channel_id": channel})
    assert (await _tells(door, channel))["accounts"] == [], "it told of it already"
    await door.call("POST", "/message-notifications/shop", json={"channel_id": channel, "enabled": False})
    assert (await _tells(door, channel))["accounts"] == ["second"]
    assert await door.call("GET", "/message-notifications/shop") == []
    await door.call("PUT", f"/notification-channels/{channel}", json={"name": "c", "config": "***", "enabled": False})
    assert await door.call("GET", "/message-notifications") == {}, "it is off"
    subscriptions = await door.call("GET", "/subscriptions")
    assert subscriptions["items"] == [
        {"channel_id": channel, "kinds": [], "accounts": ["second"], "tags": [], "nothing": False}
    ]
    for method, path, status, sentence in (
        ("GET", "/message-notifications/none", 403, "无权限访问该Cookie"),
        ("POST", "/message-notifications/none", 403, "无权限操作该Cookie"),
    ):
        body = {"channel_id": channel} if method == "POST" else None
        assert (await door.call(method, path, status, json=body))["detail"] == sentence
    refused = await door.call("POST", "/message-notifications/shop", 404, json={"channel_id": 999})
    assert refused["detail"] == "通知渠道不存在"
    await door.call("POST", "/message-notifications/shop", 422, json={"channel_id": 10**30})
