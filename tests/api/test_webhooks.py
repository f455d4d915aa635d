"""Webhooks by the API: signed, sealed, guarded, tried and posted again; a whole server posts to a real receiver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook

from api.test_chats import a_message
from shoal.storage.notice_tables import webhooks
from shoal.webhooks.webhooks import MAX_WEBHOOKS
from support.servers.doors import Door, another_person, open_door
from support.site.sandbox_driver import Box, sandbox
from support.site.standins import until

CANARY = "CANARY0hook"
ELSEWHERE = {"url": f"https://hooks.example.com/{CANARY}", "kinds": ["message"]}


async def _made(door: Door, box: Box, **values: Any) -> dict[str, Any]:
    body = {"url": f"{box.url}/hook/{CANARY}?key={CANARY}", "kinds": ["message"], **values}
    made: dict[str, Any] = await door.call("POST", "/webhooks", json=body)
    return made


def _received(box: Box) -> list[Any]:
    return [one for one in box.site.receivers.notices if one.service == "webhook"]


async def _until_received(box: Box, count: int) -> list[Any]:
    await until(lambda: len(_received(box)) >= count)
    return _received(box)


async def test_events_arrive_signed_and_every_call_is_shown(door: Door) -> None:
    async with sandbox() as box:
        made = await _made(door, box)
        assert made["url"] == f"{box.url}/***"
        await door.server.message_log.store_incoming("shop", [a_message(1), a_message(2)])
        first, second = await _until_received(box, 2)
        for number, one in enumerate((first, second), 1):
            assert one.headers["webhook-id"] == one.body["data"]["event"]
            assert one.body["type"] == "message.received"
            assert (one.body["data"]["message_id"], one.body["data"]["account_id"]) == (f"m{number}", "shop")
            assert one.target.endswith(f"/hook/{CANARY}?key={CANARY}")
            assert Webhook(made["secret"]).verify(one.raw, one.headers) == one.body
        path = f"/webhooks/{made['id']}"

        async def arrived() -> list[str]:
            return [row["event"] for row in (await door.call("GET", f"{path}/attempts"))["items"] if row["arrived"]]

        while len(await arrived()) < 2:
            await until(lambda: door.server.database.group_writer.waiting == 0)
        assert await arrived() == [second.headers["webhook-id"], first.headers["webhook-id"]]
        page = await door.call("GET", f"{path}/attempts", params={"limit": 1})
        rest = await door.call("GET", f"{path}/attempts", params={"cursor": page["next"]})
        assert ([row["status"] for row in page["items"] + rest["items"]], rest["next"]) == ([200, 200], None)
        await door.call("POST", f"{path}/replay", json={"from_event": second.headers["webhook-id"]})
        again = (await _until_received(box, 3))[2]
        assert again.headers["webhook-id"] == second.headers["webhook-id"]


async def test_g9_a_receiver_that_checks_signatures_takes_what_is_posted_and_no_other_secret(door: Door) -> None:
    async with sandbox() as box:
        made = await _made(door, box)
        path = f"/webhooks/{made['id']}"
        await box.post("bot", service="webhook", token=CANARY, secret=made["secret"])
        assert (await door.call("POST", f"{path}/test"))["status"] == 200
        await door.server.message_log.store_incoming("shop", [a_message(1)])
        assert [one.status for one in await _until_received(box, 2)] == [200, 200]
        await box.post("bot", service="webhook", token=CANARY, secret="whsec_" + "A" * 32)
        assert (await door.call("POST", f"{path}/test"))["status"] == 401


async def test_a_test_shows_what_the_receiver_answers_and_follows_nothing(door: Door) -> None:
    async with sandbox() as box:
        path = f"/webhooks/{(await _made(door, box))['id']}"
        tried = await door.call("POST", f"{path}/test")
        assert (tried["sent"], tried["status"], tried["error"], tried["answer"]) == (True, 200, "", '{"ok":true}')
        assert _received(box)[0].body["type"] == "webhook.test"
        for fault, status, error in (
            ("http_500", 500, ""), ("redirect", 307, "redirect"), ("huge", 200, ""), ("closing", None, "no_answer"),
        ):  # fmt: skip
            await box.post("receiver", kind=fault, times=1)
            tried = await door.call("POST", f"{path}/test")
            assert (tried["status"], tried["error"]) == (status, error), fault
            assert len(tried["answer"]) <= 300
        attempts = (await door.call("GET", f"{path}/attempts"))["items"]
        assert [row["type"] for row in attempts] == ["webhook.test"] * 5


async def test_a_webhook_that_is_removed_during_its_test_is_unknown(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sandbox() as box:
        path = f"/webhooks/{(await _made(door, box))['id']}"
        calls = door.server.notices.webhooks.calls
        post = calls.post

        async def removed_meanwhile(*values: Any) -> Any:
            await door.call("DELETE", path)
            return await post(*values)

        monkeypatch.setattr(calls, "post", removed_meanwhile)
        assert (await door.call("POST", f"{path}/test", 404))["code"] == "unknown_webhook"
        assert len(_received(box)) == 1


async def test_an_answer_that_repeats_the_address_shows_no_secret(door: Door) -> None:
    async with sandbox() as box:
        made = await _made(door, box)
        await box.post("receiver", kind="echo", service="webhook")
        told = await door.call("POST", f"/webhooks/{made['id']}/test")
        kept = await door.call("GET", f"/webhooks/{made['id']}/attempts")
    assert (told["status"], told["sent"]) == (400, False)
    assert "***" in told["answer"]
    assert CANARY not in str(told) + str(kept)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_addresses_inside_are_not_called(tmp_path: Path, host: str) -> None:
    async with sandbox() as box, open_door(tmp_path, allow_private_targets="") as door:
        made = await _made(door, box, url=f"{box.url}/hook/a".replace("127.0.0.1", host))
        tried = await door.call("POST", f"/webhooks/{made['id']}/test")
        assert (tried["sent"], tried["status"], tried["error"]) == (False, None, "private_target")
        assert _received(box) == []


async def test_address_and_secret_are_sealed_and_shown_no_more(door: Door) -> None:
    secret = "whsec_" + "Q0FOQVJZ" * 5  # of the word CANARY
    made = await door.client.post("/webhooks", json={**ELSEWHERE, "secret": secret})
    assert made.json()["secret"] == secret
    path = f"/webhooks/{made.json()['id']}"
    changed = await door.client.patch(path, json={"kinds": ["incident"]}, headers={"If-Match": made.headers["etag"]})
    assert (changed.json()["kinds"], changed.json()["active"]) == (["incident"], True)
    stale = await door.client.patch(path, json={"kinds": []}, headers={"If-Match": made.headers["etag"]})
    assert (stale.status_code, stale.json()["current"]["kinds"]) == (412, ["incident"])
    rows = await door.server.database.read(lambda connection: connection.execute(select(webhooks)).mappings().all())
    shown = [changed.text, stale.text, str([dict(row) for row in rows])]
    shown += [str(await door.call("GET", one)) for one in ("/webhooks", path, "/security-log")]
    assert not any(CANARY in text or secret in text for text in shown)
    await door.call("DELETE", path)
    events = [entry["kind"] for entry in (await door.call("GET", "/security-log"))["items"]]
    assert {"webhook_added", "webhook_changed", "webhook_removed"} <= set(events)
    assert (await door.call("GET", path, 404))["code"] == "unknown_webhook"


async def test_a_webhook_whose_address_cannot_be_opened_hides_no_other_and_can_be_removed(door: Door) -> None:
    damaged, whole = [(await door.call("POST", "/webhooks", json=ELSEWHERE))["id"] for _ in range(2)]
    spoilt = update(webhooks).where(webhooks.c.id == damaged).values(address_sealed=b"\x01damaged")
    await door.server.database.write(lambda connection: connection.execute(spoilt).rowcount)
    listed = (await door.call("GET", "/webhooks"))["items"]
    assert [(one["id"], one["url"]) for one in listed] == [(damaged, ""), (whole, "https://hooks.example.com/***")]
    off = await door.call("PATCH", f"/webhooks/{damaged}", json={"active": False})
    assert (off["url"], off["active"]) == ("", False)
    assert (await door.call("DELETE", f"/webhooks/{damaged}"))["id"] == damaged
    assert [one["id"] for one in (await door.call("GET", "/webhooks"))["items"]] == [whole]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "ftp://x.example"}, "webhook_url"),
        ({"url": "https://user:pass@x.example"}, "webhook_url"),
        ({"url": "https://x.example/a b"}, "webhook_url"),
        ({"secret": "whsec_c2hvcnQ="}, "webhook_secret"),
        ({"secret": "Q0FOQVJZ" * 5}, "webhook_secret"),
        ({"accounts": ["not-there"]}, "unknown_account"),
    ],
)
async def test_what_cannot_work_is_refused(door: Door, body: dict[str, Any], code: str) -> None:
    refused = await door.client.post("/webhooks", json={**ELSEWHERE, **body})
    assert refused.json()["code"] == code
    assert CANARY not in refused.text


async def test_a_webhook_belongs_to_its_user_alone(door: Door) -> None:
    number = (await door.call("POST", "/webhooks", json=ELSEWHERE))["id"]
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/webhooks"))["items"] == []
        for method, rest, body in (
            ("GET", "", None), ("PATCH", "", {"active": False}), ("DELETE", "", None), ("POST", "/test", None),
            ("GET", "/attempts", None), ("POST", "/replay", {"from_ms": 0}),
        ):  # fmt: skip
            answer = await bob.call(method, f"/webhooks/{number}{rest}", 404, json=body)
            assert answer["code"] == "unknown_webhook"
    assert (await door.call("GET", f"/webhooks/{number}"))["active"]
    wrong = await door.call("POST", f"/webhooks/{number}/replay", 422, json={})
    assert wrong["code"] == "replay_from"
    for _ in range(MAX_WEBHOOKS - 1):
        await door.call("POST", "/webhooks", json=ELSEWHERE)
    assert (await door.call("POST", "/webhooks", 409, json=ELSEWHERE))["code"] == "too_many_webhooks"
