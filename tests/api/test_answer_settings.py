"""Hours, hand-off and output filter over the API: set, tried, undone, and named where an answer is missing."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.clock import now_ms
from support.messages.filter_texts import HARMLESS, links
from support.servers.doors import Door, another_person
from support.site.standins import until

EN = {"Accept-Language": "en"}
SETTINGS = "/cookies/shop/settings"
CLOSED: dict[str, Any] = {"holidays": "2000-01-01/2999-12-31"}


async def put(door: Door, status: int = 200, **values: Any) -> Any:
    return await door.call("PATCH", SETTINGS, status, json=values, headers=EN)


async def desired(door: Door) -> Any:
    return (await door.call("GET", "/cookies/shop"))["desired"]


async def test_they_are_stored_in_one_form_and_undone(door: Door) -> None:
    before = await desired(door)
    filters = [before[f"filter_{name}"] for name in ("contacts", "links", "patterns")]
    assert filters == [True, True, ""], "a new shop lets no contact and no link out, and all else"
    done = await put(
        door, opening_hours="1-5 9:00-18:00\n6 10:00-02:00", holidays="2026-10-01/2026-10-07, 2027-01-01",
        handoff_words=" 真人 \n\n真人\n人工", filter_patterns="刷单\n刷单", price_floor_fen=990,
    )  # fmt: skip
    after = await desired(door)
    assert after["opening_hours"] == "1-5 09:00-18:00; 6 10:00-02:00"
    assert after["holidays"] == "2026-10-01/2026-10-07 2027-01-01"
    assert (after["handoff_words"], after["filter_patterns"], after["price_floor_fen"]) == ("真人\n人工", "刷单", 990)
    await door.call("POST", f"/history/{done['rev']}/undo")
    assert await desired(door) == before


async def test_g14_a_new_shop_lets_no_link_out_until_its_owner_says_so(door: Door) -> None:
    path = "/cookies/shop/filter/try"
    let_out = [
        text for text in links(40)
        if not (await door.call("POST", path, json={"text": f"您好，在这里下载：{text}"}))["filtered_words"]
    ]  # fmt: skip
    assert let_out == []
    for text in HARMLESS:
        assert await door.call("POST", path, json={"text": text}) == {"filtered_words": []}, text
    await put(door, filter_links=False)
    assert await door.call("POST", path, json={"text": "https://example.com"}) == {"filtered_words": []}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"opening_hours": "9-18"}, "bad_opening_hours"),
        ({"holidays": "Christmas"}, "bad_holidays"),
        ({"handoff_words": "人" * 51}, "bad_handoff_words"),
        ({"filter_patterns": "("}, "bad_pattern"),
        ({"price_floor_fen": 0}, "bad_price_floor"),
        ({"away_reply": "啊" * 5_000}, "text_too_long"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_changes_nothing(
    door: Door, values: dict[str, Any], code: str
) -> None:
    before = await desired(door)
    assert (await put(door, 422, **values))["code"] == code
    assert await desired(door) == before


async def test_the_filter_is_tried_with_settings_that_are_not_saved(door: Door) -> None:
    path = "/cookies/shop/filter/try"
    tried = {"text": "加我微信，15元"}
    await put(door, filter_contacts=False)
    assert await door.call("POST", path, json=tried) == {"filtered_words": []}
    found = await door.call("POST", path, json={**tried, "filter_contacts": True, "price_floor_fen": 2_000})
    assert found == {"filtered_words": ["加我微", "15元"]}
    await put(door, price_floor_fen=2_000)
    assert (await door.call("POST", path, json={**tried, "price_floor_fen": None})) == {"filtered_words": []}
    assert (await door.call("POST", path, json=tried)) == {"filtered_words": ["15元"]}
    assert (await door.call("POST", path, 422, json={**tried, "filter_patterns": "("}))["code"] == "bad_pattern"
    assert (await desired(door))["filter_contacts"] is False
    async with another_person(door) as bob:
        await bob.call("POST", path, 404, json=tried)


async def test_a_text_by_hand_is_refused_with_the_words_and_an_old_script_is_told(door: Door) -> None:
    await until(lambda: door.server.manager.observation("shop").state == "running")
    await put(door, filter_contacts=True)
    body = {"chat_id": "c1", "to_user_id": "22", "text": "加我微信"}
    refused = await door.call("POST", "/cookies/shop/send", 409, json=body, headers=EN)
    assert (refused["code"], "加我微" in refused["detail"]) == ("filtered", True)
    insisted = await door.call("POST", "/cookies/shop/send", 409, json={**body, "anyway": True}, headers=EN)
    assert insisted["code"] == "not_connected", "the stand-in has no live connection"
    old = {"cookie_id": "shop", "chat_id": "c1", "to_user_id": "22", "message": "加我微信", "api_key": ""}
    told = await door.call("POST", "/send-message", json=old)
    assert (told["success"], "加我微" in told["message"]) == (False, True)


async def test_a_script_gets_no_filtered_text_and_what_is_said_once_only_once(door: Door) -> None:
    asked = {
        "cookie_id": "shop", "msg_time": "", "user_url": "", "send_user_id": "22", "send_user_name": "小鱼",
        "item_id": "", "send_message": "在吗", "chat_id": "c1",
    }  # fmt: skip
    await put(door, default_reply_enabled=True, default_reply="加我微信", filter_contacts=True)
    refused = await door.call("POST", "/xianyu/reply", 404, json=asked)
    assert refused["code"] == "answer_filtered"
    await put(door, away_reply="休息中", **CLOSED)
    assert (await door.call("POST", "/xianyu/reply", json=asked))["data"]["send_msg"] == "休息中"
    assert (await door.call("POST", "/xianyu/reply", 404, json=asked))["code"] == "no_reply"
    await put(door, handoff_words="人工", handoff_reply="稍等")
    person = {**asked, "send_message": "人工", "chat_id": "c2"}
    assert (await door.call("POST", "/xianyu/reply", json=person))["data"]["send_msg"] == "稍等"
    assert (await door.call("POST", "/xianyu/reply", 404, json=person))["code"] == "no_reply"
    (pause,) = (await door.call("GET", "/cookies/shop/pauses"))["items"]
    assert (pause["chat_id"], pause["reason"]) == ("c2", "wants_person")


async def test_a_trial_names_what_would_hold_the_answer_back(door: Door) -> None:
    await until(lambda: door.server.manager.observation("shop").state == "running")
    await put(door, default_reply_enabled=True, default_reply="加我微信", filter_contacts=True, handoff_words="人工")

    async def tried(message: str = "你好", **more: Any) -> Any:
        return await door.call("POST", "/cookies/shop/try", json={"message": message, **more}, headers=EN)

    found = await tried()
    assert (found["blocked_by"], found["filtered_words"], found["text"]) == ("filtered", ["加我微"], "加我微信")
    assert "加我微" in found["detail"]
    await put(door, opening_hours="1 09:00-10:00")
    assert (await tried(at="2026-11-28T12:00:00+08:00"))["blocked_by"] == "closed"
    await put(door, handoff_reply="稍等")
    person = await tried("人工", at="2026-11-28T12:00:00+08:00")
    assert (person["source"], person["would_send"]) == ("handoff", True)


async def test_a_diagnosis_says_until_when_the_shop_is_closed_and_what_was_filtered(door: Door) -> None:
    async def checks() -> dict[str, Any]:
        found = await door.call("GET", "/cookies/shop/diagnosis", headers=EN)
        return {one["name"]: one for one in found["checks"]}

    assert (await checks())["hours"]["ok"] is True
    await put(door, opening_hours="1-7 00:00-24:00", **CLOSED)
    assert (await checks())["hours"]["ok"] is False
    await put(door, holidays="2000-01-01/2026-11-27")
    account = door.server.manager.account("shop")
    assert (account.closed_at(now_ms()) is None) is (await checks())["hours"]["ok"]
