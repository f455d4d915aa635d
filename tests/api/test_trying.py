"""Trying a message out says what would answer, why nothing else does, and what is in the way; it sends nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shoal.api.routes import rule_trial
from shoal.clock import now_ms
from shoal.errors import ComeBackLater, NotApplied
from shoal.messages.message_log import IncomingMessage
from shoal.messages.outbox_rows import OutboxRow
from shoal.messages.replies import Explained, explain
from shoal.messages.takeovers import Takeovers
from shoal.rules.matcher import MANY_RULES, WHY_NOT
from support.servers.doors import Door, another_person
from support.site.standins import ANN, until

SHOP = "/cookies/shop/rules"


async def add(door: Door, word: str, **more: Any) -> str:
    body = {"words": [word], "parts": [{"text": f"reply to {word}"}], **more}
    rule_id: str = (await door.call("POST", SHOP, json=body))["rule"]["id"]
    return rule_id


async def attempt(door: Door, message: str, **more: Any) -> Any:
    return await door.call("POST", "/cookies/shop/try", json={"message": message, **more})


@pytest.fixture
async def running(door: Door) -> Door:
    """Its shop runs: nothing but what a test does is in the way."""
    await until(lambda: door.server.manager.observation("shop").state == "running")
    return door


async def test_it_names_the_rule_and_the_exact_text(running: Door) -> None:
    rule_id = await add(
        running, "包邮",
        parts=[{"text": "{send_user_name}您好 {send_message} {item_id} {x}"}, {"image_url": "https://img.alicdn.com/a.png"},
               {"text": "再见"}],
        delay_seconds=[1, 2],
    )  # fmt: skip
    tried = await attempt(running, "包邮吗{item_id}", item_id="7001", buyer_id="22", buyer_name="小鱼")
    assert tried["rule"]["id"] == rule_id
    assert tried["text"] == "小鱼您好 包邮吗{item_id} 7001 {x}\n再见"
    assert tried["parts"][1] == {"text": "", "image_url": "https://img.alicdn.com/a.png"}
    assert (tried["source"], tried["delay_seconds"]) == ("general_rule", [1.0, 2.0])
    assert (tried["would_send"], tried["blocked_by"]) == (True, None), tried["detail"]
    assert await running.server.message_log.outbox.list_sendings(["shop"]) == []
    assert (await running.call("GET", f"{SHOP}/{rule_id}"))["hits"] == 0


async def test_f9_what_may_take_long_is_tried_on_a_thread_and_the_rest_at_once(
    running: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop: list[bool] = []

    def noted(*asked: Any, **more: Any) -> Explained:
        on_loop.append(threading.current_thread() is threading.main_thread())
        return explain(*asked, **more)

    monkeypatch.setattr(rule_trial, "explain", noted)
    await add(running, "包邮")
    await attempt(running, "包邮吗")
    pairs = [(f"词{number}", "在的") for number in range(MANY_RULES)]
    await running.server.manager.update_keywords("shop", pairs, caller=ANN)
    for _ in range(2):  # the index is made once
        assert (await attempt(running, "词7"))["would_send"]
    assert on_loop == [True, False, False]


async def test_every_other_rule_says_why_it_does_not_fire_in_both_languages(running: Door) -> None:
    ids = {
        "comes_later": await add(running, "在", priority=-1),
        "inactive": await add(running, "在吗", active=False),
        "other_item": await add(running, "在吗", item_ids=["9"]),
        "no_word": await add(running, "价格"),
        "missing_word": await add(running, "在吗", words=["在吗", "价格"], word_mode="all"),
        "outside_schedule": await add(running, "在吗", schedule=[{"start": "00:00", "end": "01:00"}]),
        "": await add(running, "在吗"),
    }
    body = {"message": "在吗", "item_id": "1", "at": "2026-01-02T12:00:00+08:00"}
    for language, word in (("zh", "商品"), ("en", "items")):
        tried = await running.call("POST", "/cookies/shop/try", json=body, headers={"Accept-Language": language})
        found = {one["why_not"]: one for one in tried["considered"]}
        assert {why: one["rule"] for why, one in found.items()} == ids
        assert all(one["detail"] for why, one in found.items() if why)
        assert word in found["other_item"]["detail"]
    assert set(ids) == {*WHY_NOT, ""}
    assert tried["considered_total"] == 7


async def test_hours_are_those_of_the_shop_and_any_moment_can_be_tried(running: Door) -> None:
    day = await add(running, "在吗", schedule=[{"start": "09:00", "end": "18:00"}], priority=1)
    night = await add(running, "在吗")
    at_noon_there = {"at": "2026-01-02T04:00:00+00:00"}
    assert (await attempt(running, "在吗", **at_noon_there))["rule"]["id"] == day
    await running.call("PATCH", "/cookies/shop/settings", json={"timezone": "America/New_York"})
    assert (await attempt(running, "在吗", **at_noon_there))["rule"]["id"] == night
    for wrong in ("noon", "2026-01-02T04:00:00", "", "9999-12-31T23:59:59Z"):
        body = await running.call("POST", "/cookies/shop/try", 422, json={"message": "在吗", "at": wrong})
        assert body["code"] == "bad_moment"


async def test_without_a_rule_the_items_reply_answers_and_then_the_default_reply(running: Door) -> None:
    assert (await attempt(running, "你好"))["blocked_by"] == "no_rule"
    await running.call("PUT", "/default-replies/shop", json={"enabled": True, "reply_content": "默认"})
    tried = await attempt(running, "你好", item_id="7")
    assert (tried["source"], tried["text"], tried["rule"]) == ("default_reply", "默认", None)
    await running.call("PUT", "/item-reply/shop/7", json={"reply_content": "商品 {item_id}"})
    tried = await attempt(running, "你好", item_id="7")
    assert (tried["source"], tried["text"]) == ("item_reply", "商品 7")
    assert (await attempt(running, "你好", item_id="8"))["source"] == "default_reply"


async def test_what_is_in_the_way_is_named_in_order(running: Door) -> None:
    door, log = running, running.server.message_log
    rule_id = await add(door, "在吗", cooldown_seconds=60)
    await add(door, "嘘", parts=[])
    assert (await attempt(door, "嘘"))["blocked_by"] == "silent_rule"
    asker = {"buyer_id": "b", "chat_id": "c"}
    row = OutboxRow(account_id="shop", chat_id="c", uuid="u", buyer_id="b", rule_id=rule_id, text="x")
    await log.outbox.queue([row])
    assert (await attempt(door, "在吗", **asker))["blocked_by"] == "cooldown"
    assert (await attempt(door, "在吗", buyer_id="other"))["would_send"]
    await Takeovers(door.server.database).take_over("shop", "c", minutes=5, actor="ann")
    assert (await attempt(door, "在吗", **asker))["blocked_by"] == "paused"
    asked = IncomingMessage(message_id="m", chat_id="c", sender_id="b", text="x", created_at_ms=now_ms())
    await log.store_incoming("shop", [asked])
    assert (await attempt(door, "在吗", buyer_id="b"))["blocked_by"] == "paused", "the buyer's chat is known"
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    tried = await attempt(door, "在吗", **asker)
    assert (tried["blocked_by"], tried["would_send"], tried["rule"]["id"]) == ("disabled", False, rule_id)
    assert tried["detail"]
    assert tried["do"]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_what_is_in_the_way_is_said_in_the_words_of_the_diagnosis(running: Door, language: str) -> None:
    async def unreachable(*_: object) -> None:
        raise ComeBackLater("nobody answers at 127.0.0.1", code="unreachable")

    door = running
    await add(door, "在吗")
    door.site.behave = unreachable
    await door.call("POST", "/cookies/shop/resume")
    await until(lambda: door.server.manager.observation("shop").state == "retrying")
    spoken = {"Accept-Language": language}
    tried = await door.call("POST", "/cookies/shop/try", json={"message": "在吗"}, headers=spoken)
    found = await door.call("GET", "/cookies/shop/diagnosis", headers=spoken)
    assert tried["blocked_by"] == "retrying"
    advice = next(check["detail"] for check in found["checks"] if check["name"] == "retrying")
    why = "连不上闲鱼" if language == "zh" else "Xianyu cannot be reached"
    assert why in tried["detail"]
    assert why in advice
    assert "127.0.0.1" not in tried["detail"]


async def test_a_default_reply_that_a_chat_has_had_is_not_given_again_and_trying_does_not_count(running: Door) -> None:
    sent = {"enabled": True, "reply_content": "默认", "reply_once": True}
    await running.call("PUT", "/default-replies/shop", json=sent)
    for _ in range(2):
        assert (await attempt(running, "你好", chat_id="c"))["would_send"]
    await running.call("POST", "/xianyu/reply", json=hook("你好", chat_id="c"))
    assert (await attempt(running, "你好", chat_id="c"))["blocked_by"] == "said_once"
    await running.call("POST", "/default-replies/shop/clear-records")
    assert (await attempt(running, "你好", chat_id="c"))["would_send"]


async def test_what_would_not_even_be_looked_at_is_said_first(running: Door) -> None:
    rule_id = await add(running, "发来")
    await running.call("PUT", "/default-replies/shop", json={"enabled": True, "reply_content": "默认"})
    tried = await attempt(running, "发来一条新消息")
    assert (tried["blocked_by"], tried["would_send"], tried["rule"]["id"]) == ("system_text", False, rule_id)
    assert tried["detail"]
    tried = await attempt(running, "")
    assert (tried["blocked_by"], tried["would_send"], tried["text"]) == ("nothing_said", False, "默认")


async def test_anything_can_be_tried_and_nothing_is_sent_or_counted(running: Door) -> None:
    rule_id = await add(running, "在吗", parts=[{"text": "{send_message}"}])
    await add(running, "(x|y)+z", match_mode="regex")
    await running.call("PUT", "/cookies/shop/status", json={"enabled": False})
    for message in ("在吗" + "啊" * 9_998, "在\u200b吗", "在吗\u202e", "👨\u200d👩\u200d👧在吗", "在吗 {x} {{ }} %s"):
        tried = await attempt(running, message, item_id="899999999999")
        assert (tried["rule"]["id"], tried["blocked_by"]) == (rule_id, "disabled")
        assert tried["text"] == message[:4_000]
        assert [one["why_not"] for one in tried["considered"]] == ["", "no_word"]
    await running.call("POST", "/cookies/shop/try", 422, json={"message": "啊" * 10_001})
    assert await running.server.message_log.outbox.list_sendings(["shop"]) == []
    assert await running.server.message_log.list_messages(["shop"]) == []
    assert (await running.call("GET", f"{SHOP}/{rule_id}"))["hits"] == 0


async def test_nobody_tries_the_shop_of_another(door: Door) -> None:
    async with another_person(door) as stranger:
        await stranger.call("POST", "/cookies/shop/try", 404, json={"message": "x"})
        body = await stranger.call("POST", "/xianyu/reply", 404, json=hook("x"))
        assert body["detail"] == "账号不存在或无权限"


def hook(message: str, **more: str) -> dict[str, str]:
    """What a script sends that answers by itself."""
    return {
        "cookie_id": "shop", "msg_time": "", "user_url": "", "send_user_id": "22", "send_user_name": "小鱼",
        "item_id": "", "send_message": message, "chat_id": "1", **more,
    }  # fmt: skip


async def words(door: Door, message: str, **more: str) -> str:
    """What a script is told to answer; empty when it is told that nothing answers."""
    answer = await door.client.post("/xianyu/reply", json=hook(message, **more))
    if answer.status_code == 404:
        return ""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (200, 200)
    said: str = body["data"]["send_msg"]
    return said


async def test_a16_every_way_to_change_a_rule_is_heard_by_the_very_next_message(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2"}})
    assert (await words(door, "a"), await words(door, "b")) == ("1", "2")
    rows = [{"keyword": "a", "reply": "3", "item_id": ""}, {"keyword": "a", "reply": "4", "item_id": "7"}]
    await door.call("POST", "/keywords-with-item-id/shop", json={"keywords": rows})
    assert (await words(door, "a"), await words(door, "a", item_id="7"), await words(door, "b")) == ("3", "4", "")
    await door.call("DELETE", "/keywords/shop/1")
    assert await words(door, "a", item_id="7") == "3"
    (left,) = await door.call("GET", "/keywords/shop")
    await door.call("DELETE", f"/keywords/shop/rules/{left['id']}")
    assert await words(door, "a") == ""
    files = {"image": ("a.gif", b"GIF89a\x01\x00\x01\x00", "image/gif")}
    picture = await door.call("POST", "/keywords/shop/image", data={"keyword": "图"}, files=files)
    answer = await door.call("POST", "/xianyu/reply", json=hook("图"))
    assert answer["data"] == {"send_msg": "", "image_urls": [picture["image_url"]]}
    rule_id = await add(door, "c")
    assert await words(door, "c") == "reply to c"
    await door.call("PATCH", f"{SHOP}/{rule_id}", json={"parts": [{"text": "5"}, {"text": "6"}]})
    assert await words(door, "c") == "5\n6"
    done = await door.call("PUT", SHOP, json={"rules": [{"words": ["c"], "parts": [{"text": "7"}]}]})
    assert (await words(door, "c"), await words(door, "图")) == ("7", "")
    await door.call("POST", f"/history/{done['rev']}/undo")
    assert await words(door, "c") == "5\n6"
    await door.call("DELETE", f"{SHOP}/{rule_id}")
    assert await words(door, "c") == ""


async def test_a_reply_waits_for_no_write_and_its_hits_are_counted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    rule_id = await add(door, "c")
    with monkeypatch.context() as patch:

        async def full(_: Any) -> Any:
            raise NotApplied("the disk is full")

        patch.setattr(door.server.database, "write", full)
        assert [await words(door, "c") for _ in range(3)] == ["reply to c"] * 3
    (rule,) = (await door.call("GET", SHOP))["items"]
    assert (rule["id"], rule["hits"]) == (rule_id, 3)


async def test_c17_an_account_that_is_off_answers_nothing_not_even_by_default(door: Door) -> None:
    await door.call("PUT", "/default-replies/shop", json={"enabled": True, "reply_content": "默认"})
    assert await words(door, "你好") == "默认"
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    body = await door.call("POST", "/xianyu/reply", 404, json=hook("你好"))
    assert body["detail"] == "未找到匹配的回复规则且未设置默认回复"


async def test_a_script_is_given_the_once_only_reply_once_in_a_chat(door: Door) -> None:
    sent = {"enabled": True, "reply_content": "默认", "reply_once": True}
    await door.call("PUT", "/default-replies/shop", json=sent)
    assert await words(door, "你好") == "默认"
    body = await door.call("POST", "/xianyu/reply", 404, json=hook("你好"))
    assert body["detail"] == "该对话已使用默认回复，不再重复回复"
    assert await words(door, "你好", chat_id="2") == "默认"


async def test_what_a_script_is_given_counts_as_a_hit(door: Door) -> None:
    rule_id = await add(door, "a")
    for _ in range(3):
        await words(door, "a")
    rule = await door.call("GET", f"{SHOP}/{rule_id}")
    assert rule["hits"] == 3
    assert rule["last_hit_at"] > "2020"
