"""Channels by the API: fields instead of addresses, sealed and never shown, tested by the service's own answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from shoal.notices import channel_transport
from shoal.notices.channel_transport import AT_ONCE
from shoal.notices.channels import MAX_CHANNELS
from shoal.notices.transport import Failure, Message, Outcome
from shoal.storage.notice_tables import channels, subscriptions
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.sandbox_driver import sandbox
from support.site.standins import until, until_told

CANARY = "CANARY0channel0token"
DINGTALK = {"name": "值班群", "service": "dingtalk", "fields": {"token": CANARY}}


async def _webhook(door: Door, url: str, **values: Any) -> int:
    fields = {"url": f"{url}/hook/shop", "authorization": f"Bearer {CANARY}"}
    made = await door.call("POST", "/channels", json={"name": "w", "service": "webhook", "fields": fields, **values})
    return int(made["id"])


async def test_a_channel_is_added_changed_and_removed_and_its_address_is_never_shown(door: Door) -> None:
    services = (await door.call("GET", "/channels/services"))["items"]
    assert [field["name"] for one in services if one["name"] == "dingtalk" for field in one["fields"]] == [
        "token", "secret",
    ]  # fmt: skip
    quiet = {"from": "23:00", "to": "08:00", "zone": "Asia/Shanghai"}
    added = await door.client.post("/channels", json={**DINGTALK, "quiet": quiet, "least": "warning"})
    made = added.json()
    assert (made["address"], made["quiet"], made["least"]) == ("dingtalk://***", quiet, "warning")
    path = f"/channels/{made['id']}"
    changed = await door.client.patch(path, json={"quiet": None, "least": "urgent"}, headers={"If-Match": '"g1"'})
    assert (changed.json()["quiet"], changed.json()["least"], changed.headers["etag"]) == (None, "urgent", '"g2"')
    renewed = await door.call("PATCH", path, json={"fields": {"token": f"{CANARY}2"}})
    assert renewed["name"] == "值班群"
    stale = await door.client.patch(path, json={"name": "x"}, headers={"If-Match": '"g1"'})
    assert (stale.status_code, stale.json()["current"]["least"]) == (412, "urgent")
    shown = [added.text, changed.text, str(await door.call("GET", "/channels")), str(await door.call("GET", path))]
    rows = await door.server.database.read(lambda connection: connection.execute(select(channels)).mappings().all())
    shown += [str(dict(row)) for row in rows] + [str(await door.call("GET", "/security-log"))]
    assert not any(CANARY in text for text in shown)
    events = {entry["kind"] for entry in (await door.call("GET", "/security-log"))["items"]}
    await door.call("DELETE", path)
    assert {"channel_added", "channel_changed"} <= events
    assert (await door.call("GET", path, 404))["code"] == "unknown_channel"
    assert await door.server.database.read(
        lambda connection: connection.execute(select(subscriptions.c.id)).all()
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**DINGTALK, "service": "syslog"}, "unknown_service"),
        ({**DINGTALK, "fields": {"token": "a b"}}, "channel_field"),
        ({**DINGTALK, "fields": {}}, "channel_field_missing"),
        ({**DINGTALK, "name": " "}, "bad_channel_name"),
        ({**DINGTALK, "quiet": {"from": "25:00", "to": "08:00"}}, "bad_quiet_hours"),
        ({**DINGTALK, "quiet": {"from": "08:00", "to": "08:00"}}, "bad_quiet_hours"),
        ({**DINGTALK, "quiet": {"from": "08:00", "to": "09:00", "zone": "Mars/Base"}}, "bad_quiet_hours"),
    ],
)
async def test_what_cannot_work_is_refused_with_the_reason(door: Door, body: dict[str, Any], code: str) -> None:
    refused = await door.client.post("/channels", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert CANARY not in refused.text


async def test_a_test_shows_the_services_own_answer(door: Door) -> None:
    async with sandbox() as box:
        channel = await _webhook(door, box.url)
        answer = await door.call("POST", f"/channels/{channel}/test")
        assert answer == {"sent": True, "answer": 'HTTP 200 {"ok":true}'}
        await box.post("receiver", kind="http_500")
        answer = await door.call("POST", f"/channels/{channel}/test")
        assert answer == {"sent": False, "answer": 'HTTP 500 {"error":"internal"}'}
        received = (await box.get("received"))["items"]
        assert [one["status"] for one in received] == [200, 500]
        assert received[0]["headers"]["authorization"] == f"Bearer {CANARY}"
        assert received[0]["body"]["title"] == "测试通知"


async def test_channels_that_hang_leave_places_to_other_users(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_transport, "TURN_SECONDS", 0.05)
    message = Message(title="t", body="b")
    async with sandbox() as box, another_person(door) as bob:
        hanging, quick, of_bob = (
            await _webhook(door, box.url),
            await _webhook(door, box.url),
            await _webhook(bob, box.url),
        )
        transport = door.server.notices.transport
        assert (await transport.send(quick, message)).outcome is Outcome.SENT
        await box.post("receiver", kind="slow", seconds=600.0, times=AT_ONCE)
        tasks = [asyncio.create_task(transport.send(hanging, message)) for _ in range(AT_ONCE)]
        await until(lambda: box.site.receivers.asked_now == AT_ONCE)
        late = await transport.send(quick, message)
        assert (late.outcome, late.failure) == (Outcome.FAILED, Failure.BUSY)
        assert (await transport.send(of_bob, message)).outcome is Outcome.SENT
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (await transport.send(quick, message)).outcome is Outcome.SENT


async def test_a_channel_belongs_to_its_user_alone(door: Door) -> None:
    channel = (await door.call("POST", "/channels", json=DINGTALK))["id"]
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/channels"))["items"] == []
        for method, path, body in (
            ("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("POST", "/test", None),
            ("GET", "/subscriptions", None), ("PUT", "/subscriptions", {"kinds": []}),
        ):  # fmt: skip
            answer = await bob.call(method, f"/channels/{channel}{path}", 404, json=body)
            assert answer["code"] == "unknown_channel"
    await door.call("GET", f"/channels/{channel}")


async def test_subscriptions_name_what_the_user_may_see(door: Door) -> None:
    channel = (await door.call("POST", "/channels", json=DINGTALK))["id"]
    path = f"/channels/{channel}/subscriptions"
    assert await door.call("GET", path) == {"kinds": [], "accounts": [], "tags": [], "nothing": False}
    wanted: dict[str, Any] = {"kinds": ["parked"], "accounts": ["shop"], "tags": []}
    kept = {**wanted, "nothing": False}
    assert await door.call("PUT", path, json=wanted) == kept
    assert await door.call("GET", path) == kept
    tagged = await door.call("PUT", path, 422, json={**wanted, "tags": ["a"]})
    assert tagged["code"] == "no_tags_yet"
    refused = await door.call("PUT", path, 404, json={**wanted, "accounts": ["shop", "not-there"]})
    assert refused["code"] == "unknown_account"
    unknown = await door.call("PUT", path, 422, json={**wanted, "kinds": ["parked", "rain"]})
    assert (unknown["code"], unknown["params"]["kind"]) == ("unknown_incident_kind", "rain")
    assert await door.call("GET", path) == kept
    assert await door.call("GET", "/subscriptions") == {"items": [{"channel_id": channel, **kept}]}


async def test_a_user_has_only_so_many_channels_and_tests(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(MAX_CHANNELS):
        channel = (await door.call("POST", "/channels", json=DINGTALK))["id"]
    assert (await door.call("POST", "/channels", 409, json=DINGTALK))["code"] == "too_many_channels"

    async def sent(*_: Any) -> Any:
        raise AssertionError("it was sent over the limit")

    for _ in range(60):
        await door.server.rate_limits.count_channel_test(1)
    monkeypatch.setattr(type(door.server.notices.transport), "send", sent)
    refused = await door.call("POST", f"/channels/{channel}/test", 429)
    assert refused["code"] == "too_many_channel_tests"


async def test_the_channels_of_a_user_go_with_the_user(door: Door) -> None:
    async with another_person(door) as bob:
        channel = (await bob.call("POST", "/channels", json=DINGTALK))["id"]
        person = (await bob.call("GET", "/me"))["id"]
    await door.call("DELETE", f"/users/{person}")

    await until_told(lambda: door.server.notices.channels.opened(channel), None)
    sent = await door.server.notices.transport.send(channel, Message(title="t", body="b"))
    assert (sent.outcome, sent.failure) == (Outcome.FAILED, Failure.GONE)


async def test_channels_survive_a_restart_with_their_address(tmp_path: Path) -> None:
    async with sandbox() as box:
        async with open_door(tmp_path) as door:
            channel = await _webhook(door, box.url)
        async with open_door(tmp_path) as door, client_of(door.app):
            sent = await door.server.notices.transport.send(channel, Message(title="t", body="b", dedupe_id="d-1"))
            assert sent.outcome is Outcome.SENT
        (one,) = (await box.get("received"))["items"]
        assert one["headers"]["idempotency-key"] == "d-1"
