"""A person sends over the API: what the site answered is what the caller is told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from copy import copy
from typing import Any

import pytest

from connection.counters import Counter
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.socket_errors import GateClosed
from support.servers.doors import another_person
from support.site.sandboxed import UNANSWERED
from support.site.standins import until


async def test_b12_a_sending_waits_for_the_sites_answer(counter: Counter) -> None:
    told = await counter.send()
    assert (told["outcome"], told["reason"]) == ("sent", "")
    (line,) = (await counter.sandbox.get(f"chats/{counter.unb}/小鱼"))["seen"]
    assert line["id"] == told["message_id"]
    (row,) = (await counter.door.call("GET", "/sendings"))["items"]
    assert (row["kind"], row["actor"], row["outcome"], row["text"]) == ("manual", "user:admin", "sent", "您好")


async def test_b12_a_refusal_is_told_as_one(counter: Counter) -> None:
    await counter.fault("send_refused", reason="CSI_FORBID", times=2)
    told = await counter.send()
    assert (told["outcome"], told["reason"], told["message_id"]) == ("refused", "CSI_FORBID", "")
    answer = await counter.old_send()
    assert answer["success"] is False
    assert "CSI_FORBID" in answer["message"]
    assert answer["message"].startswith("发送消息失败: ")
    assert await counter.seen() == []


async def test_b12_the_old_hook_says_success_only_of_what_the_site_took(counter: Counter) -> None:
    assert await counter.old_send(message="一\r\n二") == {"success": True, "message": "消息发送成功"}
    assert await counter.seen() == ["一二"]


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
async def test_a_sending_without_an_answer_is_sent_again_under_its_number_and_arrives_once(counter: Counter) -> None:
    await counter.fault("send_timeout", delivered=False, times=1)
    told = await counter.send()
    assert (told["outcome"], told["reason"]) == ("sent", "sent_again")
    assert await counter.seen() == ["您好"]


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
async def test_a_sending_that_is_never_answered_is_uncertain_and_not_called_sent(counter: Counter) -> None:
    await counter.fault("send_timeout", delivered=False, times=9)
    assert (await counter.send())["outcome"] == "uncertain"
    answer = await counter.old_send()
    assert answer["success"] is False
    assert "不确定" in answer["message"]


async def test_a_keyed_sending_is_sent_once_however_often_it_is_asked(counter: Counter) -> None:
    first, again = await asyncio.gather(counter.send(key="k1"), counter.send(key="k1"))
    assert first == again
    assert (await counter.send(key="k1")) == first
    assert await counter.seen() == ["您好"]
    assert (await counter.send(key="k2"))["id"] != first["id"]


async def test_a_keyed_sending_whose_answer_was_lost_is_looked_up_and_not_repeated(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise ConnectionError("the server died here")

    with monkeypatch.context() as dying:
        dying.setattr("shoal.api.http.idempotency._keep", lost)
        assert (await counter.door.client.post(
            "/cookies/shop/send", json={"chat_id": counter.chat_id, "text": "您好"}, headers={"Idempotency-Key": "k1"}
        )).status_code == 500  # fmt: skip
    assert (await counter.send(key="k1"))["outcome"] == "sent"
    assert await counter.seen() == ["您好"]


async def test_b11_after_a_renewed_connection_a_sending_goes_over_the_new_one(counter: Counter) -> None:
    cookie = f"{counter.door.account().cookie}; extra=1"
    await counter.door.call("PUT", "/cookies/shop", json={"id": "shop", "value": cookie})
    await until(lambda: counter.door.server.live_connections.sender("shop") is not None)
    assert (await counter.send())["outcome"] == "sent"
    assert (await counter.sandbox.sockets(counter.unb))["max"] == 1
    await counter.door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    assert counter.door.server.live_connections.sender("shop") is None
    assert (await counter.send(status=409))["code"] == "account_disabled"


async def test_b11_a_connection_that_ends_late_does_not_take_its_successors_place(counter: Counter) -> None:
    live_connections = counter.door.server.live_connections
    running, site = live_connections.sender("shop"), live_connections.site("shop")
    assert running is not None
    assert site is not None
    successor = copy(running)
    async with AsyncExitStack() as old, AsyncExitStack() as new:
        await old.enter_async_context(live_connections.connected("other", running, site))
        await new.enter_async_context(live_connections.connected("other", successor, site))
        assert live_connections.sender("other") is successor
        await old.aclose()
        assert live_connections.sender("other") is successor
    assert (live_connections.sender("other"), live_connections.site("other")) == (None, None)


async def test_a_word_by_hand_may_take_the_chat_over(counter: Counter) -> None:
    await counter.door.call("POST", "/keywords/shop", json={"keywords": {"在吗": "hi"}})
    await counter.send(take_over=True)
    (pause,) = (await counter.door.call("GET", "/cookies/shop/pauses"))["items"]
    assert (pause["chat_id"], pause["reason"]) == (counter.chat_id, "taken_over")
    said = await counter.sandbox.do("say", account=counter.unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(60):
        while True:
            rows = (await counter.door.call("GET", "/messages", params={"decision": "paused"}))["items"]
            if [row["message_id"] for row in rows] == [said["message_id"]]:
                break
            await asyncio.sleep(0.02)
    assert await counter.seen() == ["您好"]


async def test_our_own_word_by_api_is_no_human_and_pauses_nothing(counter: Counter) -> None:
    await counter.send()
    async with asyncio.timeout(60):
        while not (await counter.door.call("GET", "/messages", params={"decision": "echo"}))["items"]:
            await asyncio.sleep(0.02)
    assert (await counter.door.call("GET", "/cookies/shop/pauses"))["items"] == []


async def test_nobody_sends_over_somebody_elses_shop(counter: Counter) -> None:
    body = {"chat_id": counter.chat_id, "to_user_id": counter.buyer_id, "text": "您好"}
    async with another_person(counter.door) as bob:
        await bob.call("POST", "/cookies/shop/send", 404, json=body)
        answer = await bob.call("POST", "/send-message", json={"cookie_id": "shop", "message": "x", **body})
    assert answer["message"] == "账号实例不存在或未连接，请检查账号状态"
    assert await counter.seen() == []


async def test_f1_a_letter_that_the_next_connection_took_over_is_told_as_it_went_there(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose picture took long to upload, until the gate was shut."""
    begun, goes_on, send = asyncio.Event(), asyncio.Event(), LiveSocket.send

    async def slowly(socket: LiveSocket, *message: Any) -> Any:
        if not begun.is_set():
            begun.set()
            await goes_on.wait()
            raise GateClosed("the account may not send at the moment")
        return await send(socket, *message)

    monkeypatch.setattr(LiveSocket, "send", slowly)
    sending = asyncio.create_task(counter.send())
    await begun.wait()
    cookie = f"{counter.door.account().cookie}; extra=1"
    await counter.door.call("PUT", "/cookies/shop", json={"id": "shop", "value": cookie})
    assert await counter.sandbox.seen_soon(counter.unb, "小鱼", 1) == ["您好"]
    goes_on.set()
    assert (await sending)["outcome"] == "sent"
    (row,) = (await counter.door.call("GET", "/sendings"))["items"]
    assert row["outcome"] == "sent"
    assert await counter.seen() == ["您好"]
