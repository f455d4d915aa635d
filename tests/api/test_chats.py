"""The chats over the API: listed, taken over, handed back, spoken in; and the hook by which old scripts send."""

from __future__ import annotations

import pytest

from shoal.accounts.events import MessageEvent
from shoal.clock import now_ms
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage
from support.servers.doors import Door, another_person, client_of

EN = {"Accept-Language": "en"}


def a_message(number: int, chat_id: str = "c1", direction: Direction = Direction.IN) -> IncomingMessage:
    return IncomingMessage(
        message_id=f"m{number}", chat_id=chat_id, item_id="7001", sender_id="22", sender_name="小鱼",
        text=f"在吗 {number}", created_at_ms=1_767_323_045_000 + number, direction=direction,
    )  # fmt: skip


async def test_chats_with_their_last_word_page_by_page(door: Door) -> None:
    log = door.server.message_log
    await log.store_incoming("shop", [a_message(1), a_message(2, "c2"), a_message(3, "c3")])
    await log.store_incoming("shop", [a_message(4, "c2", Direction.OUT)])
    first = await door.call("GET", "/chats", params={"limit": 2})
    assert [(row["chat_id"], row["last_text"], row["last_direction"]) for row in first["items"]] == [
        ("c2", "在吗 4", "out"), ("c3", "在吗 3", "in"),
    ]  # fmt: skip
    row = first["items"][0]
    assert (row["buyer_id"], row["buyer_name"], row["item_id"], row["read_at"]) == ("22", "小鱼", "7001", None)
    rest = await door.call("GET", "/chats", params={"limit": 2, "cursor": first["next"]})
    assert ([row["chat_id"] for row in rest["items"]], rest["next"]) == (["c1"], None)
    assert [row["chat_id"] for row in (await door.call("GET", "/chats", params={"chat": "c3"}))["items"]] == ["c3"]
    await door.call("GET", "/chats", 404, params={"cid": "nobody"})
    async with another_person(door) as bob:
        assert await bob.call("GET", "/chats") == {"items": [], "next": None}


async def test_chats_are_found_by_words_by_name_by_id_and_by_who_spoke_last(door: Door) -> None:
    log = door.server.message_log
    await log.store_incoming("shop", [a_message(1), a_message(2, "c2"), a_message(31, "c2")])
    await log.store_incoming("shop", [a_message(4, "c1", Direction.OUT)])

    async def found(**asked: object) -> list[tuple[str, str | None]]:
        rows = (await door.call("GET", "/chats", params=asked))["items"]
        return [(row["chat_id"], row["found_text"]) for row in rows]

    assert await found() == [("c2", None), ("c1", None)]
    assert await found(q="在吗 3") == [("c2", "在吗 31")]
    assert await found(q="小鱼") == [("c2", "在吗 31"), ("c1", "在吗 4")], "the newest of each"
    assert await found(q="7001") == [("c2", None), ("c1", None)]
    assert await found(q="c1") == [("c1", None)]
    assert await found(q="%") == [], "a wildcard is a character like any other"
    assert await found(waiting=True) == [], "nothing is decided yet"
    await log.decide("shop", ["m2", "m31"], Decision.NO_RULE)
    assert await found(waiting=True) == [("c2", None)]
    assert await found(waiting=False) == [("c1", None)]
    assert await found(waiting=True, q="在吗 1") == []
    async with another_person(door) as bob:
        assert await bob.call("GET", "/chats", params={"q": "在吗"}) == {"items": [], "next": None}


async def test_c5_a_chat_is_taken_over_shown_and_handed_back(door: Door) -> None:
    await door.server.message_log.store_incoming("shop", [a_message(1), a_message(2, "c2")])
    path = "/cookies/shop/chats/c1/pause"
    pause = await door.call("PUT", path, json={"minutes": 30})
    assert (pause["chat_id"], pause["reason"], pause["actor"]) == ("c1", "taken_over", "user:admin")
    assert (await door.call("GET", "/cookies/shop/pauses"))["items"] == [pause]
    (row,) = (await door.call("GET", "/chats", params={"paused": True}))["items"]
    assert (row["chat_id"], row["paused_until"], row["pause_actor"]) == ("c1", pause["until"], "user:admin")
    checks = {row["name"]: row for row in (await door.call("GET", "/cookies/shop/diagnosis"))["checks"]}
    assert "小鱼" in checks["pause"]["detail"]
    assert "恢复自动回复" in checks["pause"]["do"]
    async with another_person(door) as bob:
        await bob.call("DELETE", path, 404)
    assert (await door.call("DELETE", path))["ended"] is True
    assert (await door.call("DELETE", path))["ended"] is False
    assert (await door.call("GET", "/cookies/shop/pauses"))["items"] == []
    for minutes in (0, 10_081, "5"):
        await door.call("PUT", path, 422, json={"minutes": minutes})


async def test_a_keyed_take_over_is_answered_alike(door: Door) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await door.client.put("/cookies/shop/chats/c1/pause", json={"minutes": 5}, headers=key)
    again = await door.client.put("/cookies/shop/chats/c1/pause", json={"minutes": 5}, headers=key)
    assert (first.status_code, first.content) == (200, again.content)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_who_is_not_connected_cannot_send_and_is_told_why(door: Door) -> None:
    body = {"chat_id": "c1", "to_user_id": "22", "text": "您好"}
    answer = await door.call("POST", "/cookies/shop/send", 409, json=body, headers=EN)
    assert answer["code"] == "not_connected"
    answer = await door.call("POST", "/cookies/shop/send", 422, json={"chat_id": "c1", "text": "您好"})
    assert answer["code"] == "unknown_buyer"
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    answer = await door.call("POST", "/cookies/shop/send", 409, json=body)
    assert answer["code"] == "account_disabled"
    for bad in ({"text": ""}, {"text": "x", "image_url": "/y"}, {"chat_id": ""}, {"chat_id": "a/b"}):
        await door.call("POST", "/cookies/shop/send", 422, json={**body, **bad})
    await door.call("POST", "/cookies/shop/send", 409, json={**body, "take_over": True})
    assert (await door.call("GET", "/cookies/shop/pauses"))["items"] == [], "who could not send has not taken over"
    async with another_person(door) as bob:
        await bob.call("POST", "/cookies/shop/send", 404, json=body)


async def test_a_picture_that_the_site_does_not_have_is_not_sent_and_it_is_said_what_to_do(door: Door) -> None:
    body = {"chat_id": "c1", "to_user_id": "22", "image_url": "https://example.com/a.png"}
    refused = await door.call("POST", "/cookies/shop/send", 422, json=body, headers=EN)
    assert (refused["code"], "Upload it first" in refused["detail"]) == ("bad_image_url", True)
    assert (await door.call("GET", "/sendings"))["items"] == []


async def test_the_old_sending_hook_answers_in_its_old_words(door: Door) -> None:
    full = {"api_key": "", "cookie_id": "shop", "chat_id": "c1", "to_user_id": "22", "message": "您好"}

    async def said(**values: str) -> str:
        async with client_of(door.app) as anybody:
            answer = await anybody.post("/send-message", json={**full, **values})
        assert (answer.status_code, answer.json()["success"]) == (200, False)
        return str(answer.json()["message"])

    token = await door.server.sessions.open(1, 60)
    assert await said() == "API秘钥不能为空"
    assert await said(api_key="\r\n") == "API秘钥不能为空"
    assert await said(api_key="xianyu_qq_reply_2024") == "API秘钥验证失败"
    assert await said(api_key="zhinina_test_key") == "API秘钥验证失败"
    assert await said(api_key=token, chat_id="\n") == "参数 chat_id 不能为空"
    assert await said(api_key=token, cookie_id="nobody") == "账号实例不存在或未连接，请检查账号状态"
    assert await said(api_key=token) == "账号WebSocket连接已断开，请等待重连"
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    answer = await door.call("POST", "/send-message", json=full)
    assert answer == {"success": False, "message": "账号实例不存在或未连接，请检查账号状态"}, (
        "a sign-in will do as well"
    )


async def test_what_happens_in_chats_is_told_to_its_owner(door: Door) -> None:
    with door.server.events.subscribe() as mine:
        await door.server.message_log.store_incoming("shop", [a_message(1)])
        await door.call("PUT", "/cookies/shop/chats/c1/pause", json={"minutes": 30})
        told = {event.kind: event for event in await mine.take() if isinstance(event, MessageEvent)}
    assert set(told) == {"message", "pause"}
    assert {event.owner_id for event in told.values()} == {1}
    assert told["message"].facts["text"] == "在吗 1"
    assert told["pause"].facts["paused_until_ms"] > now_ms()


@pytest.mark.parametrize("cursor", ["WzEsImEiXQ", "WyJhIiwiYiIsImMiXQ"])
async def test_cursors_of_other_lists_are_refused(door: Door, cursor: str) -> None:
    assert (await door.call("GET", "/chats", 422, params={"cursor": cursor}))["code"] == "bad_cursor"
