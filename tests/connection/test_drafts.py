"""A person sends a model's draft over a real connection: once, whoever asks, and never what was dropped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert

from connection.counters import Counter
from shoal.accounts.events import MessageEvent
from shoal.clock import now_ms
from shoal.errors import TemporaryFailure
from shoal.storage.schema import messages
from shoal.xianyu.live_socket import LiveSocket
from support.models.model_runs import a_run, state_of
from support.servers.doors import another_person

EN = {"Accept-Language": "en"}
FILTERS = {"filter_contacts": True}


async def _draft(counter: Counter, **values: Any) -> int:
    database = counter.door.server.database
    return await a_run(database, chat_id=counter.chat_id, buyer_id=counter.buyer_id, **values)


async def _approve(counter: Counter, run: int, status: int = 200, *, key: str = "", **body: Any) -> Any:
    headers = EN | ({"Idempotency-Key": key} if key else {})
    return await counter.door.call("POST", f"/ai-runs/{run}/approve", status, json=body, headers=headers)


async def test_a_draft_is_sent_as_it_is_and_stands_in_the_history_with_who_sent_it(counter: Counter) -> None:
    run = await _draft(counter)
    told = await _approve(counter, run)
    assert told["outcome"] == "sent"
    assert await counter.seen() == ["在的，今天可以发货"]
    row = await counter.door.call("GET", f"/ai-runs/{run}")
    assert (row["state"], row["actor"], row["outbox_id"]) == ("answered", "user:admin", told["id"])
    assert row["decided_at"] is not None
    (sending,) = (await counter.door.call("GET", "/sendings"))["items"]
    assert (sending["kind"], sending["actor"]) == ("manual", "user:admin")


async def test_an_edited_draft_is_sent_as_it_was_edited(counter: Counter) -> None:
    run = await _draft(counter)
    await _approve(counter, run, text="明天发货")
    assert await counter.seen() == ["明天发货"]
    assert (await state_of(counter.door.server.database, run))[:2] == ("answered", "明天发货")


async def test_of_ten_who_approve_at_once_one_sends(counter: Counter) -> None:
    run = await _draft(counter)
    answers = await asyncio.gather(
        *(counter.door.client.post(f"/ai-runs/{run}/approve", json={"text": f"第{n}"}) for n in range(10))
    )
    (sent,) = [one.json() for one in answers if one.status_code == 200]
    assert sent["outcome"] == "sent"
    assert {one.json()["code"] for one in answers if one.status_code != 200} == {"run_closed"}
    assert len(await counter.seen()) == 1


async def test_a_repeated_request_is_answered_alike_and_sends_once(counter: Counter) -> None:
    run = await _draft(counter)
    first = await _approve(counter, run, key="a-draft")
    assert await _approve(counter, run, key="a-draft") == first
    refused = await _approve(counter, run, 409, key="another")
    assert (refused["code"], refused["detail"]) == (
        "run_closed", "This draft can no longer be sent or dropped: sent.",
    )  # fmt: skip
    assert len(await counter.seen()) == 1


async def test_of_one_who_approves_and_one_who_drops_one_wins(counter: Counter) -> None:
    run = await _draft(counter)
    path = f"/ai-runs/{run}"
    approved, dropped = await asyncio.gather(
        counter.door.client.post(f"{path}/approve", json={}), counter.door.client.post(f"{path}/drop")
    )
    assert sorted([approved.status_code, dropped.status_code]) == [200, 409]
    assert len(await counter.seen()) == (approved.status_code == 200)


async def test_a_dropped_draft_is_never_sent(counter: Counter) -> None:
    run = await _draft(counter)
    dropped = await counter.door.call("POST", f"/ai-runs/{run}/drop")
    assert (dropped["state"], dropped["actor"]) == ("dropped", "user:admin")
    assert (await counter.door.call("POST", f"/ai-runs/{run}/drop"))["state"] == "dropped"
    assert (await _approve(counter, run, 409))["code"] == "run_closed"
    assert await counter.seen() == []


async def test_what_the_filter_finds_in_a_draft_is_sent_only_when_a_person_insists(counter: Counter) -> None:
    await counter.door.call("PATCH", "/cookies/shop/settings", json=FILTERS)
    run = await _draft(counter)
    refused = await _approve(counter, run, 409, text="加我微信 abc12345")
    assert refused["code"] == "filtered"
    assert (await state_of(counter.door.server.database, run))[0] == "drafted"
    assert (await _approve(counter, run, text="加我微信 abc12345", send_anyway=True))["outcome"] == "sent"


async def test_a_draft_stays_one_while_the_shop_is_not_connected(counter: Counter) -> None:
    await counter.door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    run = await _draft(counter)
    assert (await _approve(counter, run, 409))["code"] == "account_disabled"
    assert await state_of(counter.door.server.database, run) == ("drafted", "在的，今天可以发货", None)


async def test_a_draft_whose_message_certainly_did_not_leave_is_one_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_: object) -> None:
        raise TemporaryFailure("the socket has ended", code="closed")

    run = await _draft(counter)
    with monkeypatch.context() as patched:
        patched.setattr(LiveSocket, "send", ended)
        assert (await _approve(counter, run, 409, text="明天"))["code"] == "not_sent"
    assert await state_of(counter.door.server.database, run) == ("drafted", "在的，今天可以发货", None)
    assert (await _approve(counter, run))["outcome"] == "sent"
    drafts = counter.door.server.assistant.drafts
    await drafts.not_sent(await drafts.find(run), "a request that sent nothing")
    assert (await counter.door.call("GET", f"/ai-runs/{run}"))["state"] == "answered"
    assert await counter.seen() == ["在的，今天可以发货"]


async def test_a_draft_that_did_not_leave_is_none_again_in_a_chat_that_moved_on(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = counter.door.server.database

    async def spoken(*_: object) -> None:
        row = {"account_id": "shop", "message_id": "99.PNM", "chat_id": counter.chat_id, "direction": "in",
               "text": "人呢", "received_at_ms": now_ms(), "created_at_ms": now_ms()}  # fmt: skip
        await database.write(lambda connection: connection.execute(insert(messages).values(**row)).rowcount)
        raise TemporaryFailure("the socket has ended", code="closed")

    run = await _draft(counter)
    with monkeypatch.context() as patched:
        patched.setattr(LiveSocket, "send", spoken)
        assert (await _approve(counter, run, 409))["code"] == "not_sent"
    row = await counter.door.call("GET", f"/ai-runs/{run}")
    assert (row["state"], row["why"], row["outbox_id"]) == ("superseded", "buyer_wrote", None)
    assert (await _approve(counter, run, 409))["code"] == "run_closed"
    assert await counter.seen() == []


async def test_words_typed_with_shoal_end_the_open_draft_of_their_chat(counter: Counter) -> None:
    run = await _draft(counter)
    elsewhere = await a_run(counter.door.server.database, chat_id="another", buyer_id=counter.buyer_id)
    body = {"cookie_id": "shop", "chat_id": counter.chat_id, "to_user_id": counter.buyer_id, "message": "我来答"}
    with counter.door.server.manager.events.subscribe() as events:
        await counter.door.call("POST", "/send-message", json=body)
        told = [event for event in await events.take() if isinstance(event, MessageEvent) and event.kind == "model"]
    assert [event.key for event in told] == [str(run)], "open windows hear that it is no draft any more"
    row = await counter.door.call("GET", f"/ai-runs/{run}")
    assert (row["state"], row["why"], row["outbox_id"]) == ("superseded", "human", None)
    assert (await _approve(counter, run, 409))["code"] == "run_closed"
    assert await counter.seen() == ["我来答"]
    assert (await counter.door.call("GET", f"/ai-runs/{elsewhere}"))["state"] == "drafted"


async def test_others_see_and_send_no_draft(counter: Counter) -> None:
    run = await _draft(counter)
    async with another_person(counter.door) as bob:
        for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/drop")):
            body: dict[str, Any] = {"json": {}} if path == "/approve" else {}
            assert (await bob.call(method, f"/ai-runs/{run}{path}", 404, **body))["code"] == "unknown_run"
    assert await counter.seen() == []
