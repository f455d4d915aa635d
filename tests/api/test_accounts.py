"""Accounts over the API: what a change promises, whose they are, and what is really happening to them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from api.stream_reader import one_by_one
from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.errors import ActionRequired
from support.servers.doors import Door, another_person
from support.site.standins import cookie_of, until


async def test_a5_renewing_a_disabled_account_by_post_does_not_connect_it(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    connections = door.site.ever["shop"]
    body = await door.call("POST", "/cookies", json={"id": "shop", "value": cookie_of(1, secret="s2")})
    assert body["state"] == "stopped"
    assert door.site.ever["shop"] == connections
    body = await door.call("PUT", "/cookies/shop/status", json={"enabled": True})
    assert body["state"] == "running"
    assert door.site.cookies[-1] == ("shop", cookie_of(1, secret="s2"))


async def test_a8_switching_off_and_on_keeps_every_setting(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/auto-confirm", json={"auto_confirm": True})
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "kept"})
    await door.call("PUT", "/cookies/shop/pause-duration", json={"pause_duration": 3})
    for enabled in (False, True):
        await door.call("PUT", "/cookies/shop/status", json={"enabled": enabled})
    (row,) = await door.call("GET", "/cookies/details")
    assert (row["auto_confirm"], row["remark"], row["pause_duration"]) == (True, "kept", 3)


async def test_a20_a_removed_account_can_be_added_again_and_runs(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    gone = await door.call("DELETE", "/cookies/shop")
    assert gone["generation"] == 3
    await until(lambda: "shop" not in door.server.manager.tasks)
    body = await door.call("POST", "/cookies", json={"id": "shop", "value": cookie_of(1)})
    assert (body["state"], body["generation"]) == ("running", 4)


async def test_an_account_that_is_still_vanishing_cannot_be_added(door: Door) -> None:
    released = door.site.hold_farewells()
    await door.call("DELETE", "/cookies/shop", params={"wait": 0})
    body = await door.call("POST", "/cookies", 409, json={"id": "shop", "value": cookie_of(1)})
    assert body["code"] == "account_vanishing"
    released.set()
    await until(lambda: "shop" not in door.server.manager.tasks)


async def _in_turn(door: Door, *requests: tuple[str, str, Any]) -> list[httpx.Response]:
    """Send requests that all wait for the account's turn, in this order, before the first one gets it."""
    locks = door.server.manager.locks
    hold = await locks.acquire("shop", "test")
    sending = []
    for number, (method, path, more) in enumerate(requests):
        sending.append(asyncio.create_task(door.client.request(method, path, **more)))
        await until(lambda number=number: locks.figures().waiting > number)  # type: ignore[misc]
    hold.release()
    return list(await asyncio.gather(*sending))


REMOVE: tuple[str, str, Any] = ("DELETE", "/cookies/shop", {"params": {"wait": 0}})
RENEW: tuple[str, str, Any] = ("POST", "/cookies", {"json": {"id": "shop", "value": cookie_of(1, secret="s2")}})


async def test_a_renewal_that_waited_for_a_removal_hears_that_the_account_is_vanishing(door: Door) -> None:
    released = door.site.hold_farewells()
    gone, renewed = await _in_turn(door, REMOVE, RENEW)
    assert gone.status_code == 200
    assert (renewed.status_code, renewed.json()["code"]) == (409, "account_vanishing")
    released.set()
    await until(lambda: "shop" not in door.server.manager.tasks)
    assert (await door.call(*RENEW[:2], **RENEW[2]))["generation"] == 3


async def test_a_renewal_with_a_condition_that_waited_for_a_removal_is_refused(door: Door) -> None:
    released = door.site.hold_farewells()
    conditional = (*RENEW[:2], {**RENEW[2], "headers": {"If-Match": '"g1"'}})
    _, renewed = await _in_turn(door, REMOVE, conditional)
    released.set()
    assert (renewed.status_code, renewed.json()["code"]) == (412, "stale_generation")


async def test_other_changes_that_waited_for_a_removal_find_no_account(door: Door) -> None:
    released = door.site.hold_farewells()
    remark = ("PUT", "/cookies/shop/remark", {"json": {"remark": "late"}})
    gone, changed, again = await _in_turn(door, REMOVE, remark, REMOVE)
    released.set()
    assert [answer.status_code for answer in (gone, changed, again)] == [200, 403, 403]


async def test_a_change_of_settings_is_answered_though_a_removal_followed_at_once(door: Door) -> None:
    settings = ("PATCH", "/cookies/shop/settings", {"json": {"remark": "last words"}})
    item = ("PUT", "/cookies/shop/items/700000000001", {"json": {"reply": "in stock"}})
    changed, set_, gone = await _in_turn(door, settings, item, REMOVE)
    assert [answer.status_code for answer in (changed, set_, gone)] == [200, 200, 200]
    assert changed.json()["settings"]["remark"] == "last words"
    assert set_.json()["item"]["reply"] == "in stock"
    assert gone.json()["generation"] == 4


async def test_a23_one_seller_has_one_connection_whoever_adds_it(door: Door) -> None:
    body = await door.call("POST", "/cookies", 409, json={"id": "again", "value": cookie_of(1)})
    assert (body["code"], body["params"]) == ("duplicate_unb", {"id": "shop"})
    assert "shop" in body["detail"]
    async with another_person(door) as bob:
        body = await bob.call("POST", "/cookies?wait=0", json={"id": "mine", "value": cookie_of(1)})
        await until(lambda: door.server.manager.observation("mine").state == "waiting")
        assert door.site.live == {"shop": 1}, "two rows, one connection"


async def test_another_sellers_cookie_is_refused(door: Door) -> None:
    for method, path in (("PUT", "/cookies/shop"), ("POST", "/cookies"), ("POST", "/cookie/shop/account-info")):
        sent = {"id": "shop", "value": cookie_of(2)} if "cookies" in path else {"value": cookie_of(2)}
        body = await door.call(method, path, 409, json=sent)
        assert body["code"] == "other_unb"


async def test_a24_details_say_what_is_wanted_and_what_really_happens(door: Door) -> None:
    async def expire(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url="https://h5api.m.goofish.com/slider")

    door.site.behave = expire
    body = await door.call("POST", "/cookies/shop/resume")
    assert body["state"] == "parked"
    (row,) = await door.call("GET", "/cookies/details")
    assert (row["enabled"], row["state"], row["reason"]) == (True, "parked", "risk_control")
    account = await door.call("GET", "/cookies/shop")
    assert account["action_url"] == "https://www.goofish.com/im"
    assert account["action_text"] == "https://h5api.m.goofish.com/slider"
    assert account["desired"]["enabled"] is True
    assert account["observed"]["parked_since"].endswith("Z")
    assert (await door.call("GET", "/cookies/check"))["hasValidCookies"] is False
    door.site.behave = None
    again = await door.call("PUT", "/cookies/shop/status", json={"enabled": True})
    assert again["state"] == "parked", "saying true again does not un-park"
    assert (await door.call("POST", "/cookies/shop/resume?anyway=true"))["state"] == "running"
    assert (await door.call("GET", "/cookies/check"))["validCount"] == 1


async def test_resuming_with_the_cookie_that_the_site_stopped_is_told_first(door: Door) -> None:
    async def stop(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url="https://h5api.m.goofish.com/slider")

    door.site.behave = stop
    assert (await door.call("POST", "/cookies/shop/resume"))["state"] == "parked"
    door.site.behave = None
    starts = door.site.ever["shop"]
    refused = await door.call("POST", "/cookies/shop/resume", 409, headers={"Accept-Language": "en"})
    assert refused["code"] == "cookie_unchanged"
    assert "www.goofish.com/im" in refused["detail"]
    assert door.site.ever["shop"] == starts, "nothing was tried"
    body = {"id": "shop", "value": cookie_of(1, secret="newest")}
    assert (await door.call("PUT", "/cookies/shop", json=body))["state"] == "running"
    assert (await door.call("POST", "/cookies/shop/resume"))["state"] == "running", "nothing to be told any more"


async def test_each_person_sees_the_own_accounts_only(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        assert await bob.call("GET", "/cookies") == ["bobs"]
        assert await door.call("GET", "/cookies") == ["shop"], "the administrator too"
        assert [row["id"] for row in await bob.call("GET", "/cookies/details")] == ["bobs"]
        assert (await bob.call("GET", "/cookies/check"))["totalCount"] == 1


async def test_an_etag_guards_a_change(door: Door) -> None:
    etag = await door.etag("/cookies/shop")
    assert etag == '"g1"'
    answer = await door.client.put("/cookies/shop/remark", json={"remark": "a"}, headers={"If-Match": etag})
    assert answer.headers["etag"] == '"g2"'
    answer = await door.client.put("/cookies/shop/remark", json={"remark": "b"}, headers={"If-Match": etag})
    assert answer.status_code == 412
    assert answer.headers["etag"] == '"g2"'
    body = answer.json()
    assert body["code"] == "stale_generation"
    assert body["current"]["remark"] == "a"
    assert body["current"] == await door.call("GET", "/cookies/shop")
    await door.call("DELETE", "/cookies/shop", 412, headers={"If-Match": etag})
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "c"}, headers={"If-Match": "*"})
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "d"}, headers={"If-Match": 'W/"g3"'})
    several = {"If-Match": '"g3" , W/"g4"'}
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "d2"}, headers=several)
    await door.call("PUT", "/cookies/shop/remark", 412, json={"remark": "d3"}, headers=several)
    await door.call("PUT", "/cookies/shop/remark", 422, json={"remark": "d3"}, headers={"If-Match": '"g5", soon'})
    body = await door.call("PUT", "/cookies/shop/remark", 422, json={"remark": "e"}, headers={"If-Match": "soon"})
    assert body["code"] == "bad_if_match"
    sent = {"id": "new", "value": cookie_of(2)}
    await door.call("POST", "/cookies", 412, json=sent, headers={"If-Match": '"g1"'})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/default-replies/shop/clear-records", None),
        ("PUT", "/cookies/shop/chats/59000001/pause", {"minutes": 5}),
        ("DELETE", "/cookies/shop/chats/59000001/pause", None),
        ("POST", "/cookies/shop/send", {"chat_id": "59000001", "to_user_id": "22", "text": "hello", "take_over": True}),
        ("POST", "/cookies/shop/orders/1/serve", {}),
        ("POST", "/cookies/shop/orders/1/settle", {"action": "confirm", "outcome": "done"}),
    ],
)
async def test_an_etag_guards_what_lies_beside_the_account_too(
    door: Door, method: str, path: str, body: dict[str, Any] | None
) -> None:
    for key in ({}, {"Idempotency-Key": "k1"}, {"Idempotency-Key": "k1"}):  # a refused condition is never final
        answer = await door.client.request(method, path, json=body, headers={"If-Match": '"g9"', **key})
        assert (answer.status_code, answer.json()["code"]) == (412, "stale_generation"), answer.text
        assert (answer.headers["etag"], answer.json()["current"]["generation"]) == ('"g1"', 1)
    assert (await door.call("GET", "/cookies/shop/pauses"))["items"] == []
    answer = await door.client.request(method, path, json=body, headers={"If-Match": '"g1"', "Idempotency-Key": "k1"})
    assert answer.status_code != 412


async def test_of_two_changes_with_the_same_etag_one_wins(door: Door) -> None:
    headers = {"If-Match": '"g1"'}
    answers = await asyncio.gather(
        *(door.client.put("/cookies/shop/remark", json={"remark": text}, headers=headers) for text in "abcde")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_an_unchanged_value_is_success_without_a_generation(door: Door) -> None:
    body = await door.call("PUT", "/cookies/shop/remark", json={"remark": ""})
    assert (body["changed"], body["generation"], body["rev"]) == (False, 1, 1)
    assert (await door.call("GET", f"/ops/{body['op_id']}")) == {"state": "applied", "generation": 1, "rev": 1}


async def test_an_answer_waits_for_the_task_only_as_long_as_told(door: Door) -> None:
    released = door.site.hold_farewells()
    body = await door.call("PUT", "/cookies/shop/status", params={"wait": 0}, json={"enabled": False})
    assert body["state"] in {"running", "stopping"}
    released.set()
    body = await door.call("PUT", "/cookies/shop/status", params={"wait": 60}, json={"enabled": False})
    assert body["state"] == "stopped"
    for wait in ("-1", "61", "nan", "soon"):
        await door.call("PUT", "/cookies/shop/status", 422, params={"wait": wait}, json={"enabled": False})


async def test_the_key_of_a_change_finds_its_outcome_and_is_nobody_elses(door: Door) -> None:
    headers = {"Idempotency-Key": "order-66"}
    body = await door.call("PUT", "/cookies/shop/remark", json={"remark": "x"}, headers=headers)
    assert body["op_id"] == "order-66"
    assert await door.call("GET", "/ops/order-66") == {"state": "applied", "generation": 2, "rev": 2}
    nowhere = {"state": "not_applied", "generation": None, "rev": None}
    assert await door.call("GET", "/ops/never") == nowhere
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        assert await bob.call("GET", "/ops/order-66") == nowhere
        body = await bob.call("PUT", "/cookies/bobs/remark", json={"remark": "y"}, headers=headers)
        assert (body["changed"], body["op_id"]) == (True, "order-66")
        assert (await bob.call("GET", "/ops/order-66"))["rev"] == body["rev"]
    assert (await door.call("GET", "/ops/order-66"))["rev"] == 2


@pytest.mark.parametrize("key", ["", "a b", "a/b", "a:b", "x" * 129])
async def test_keys_have_plain_characters(door: Door, key: str) -> None:
    body = await door.call("PUT", "/cookies/shop/remark", 422, json={"remark": "x"}, headers={"Idempotency-Key": key})
    assert body["code"] == "bad_idempotency_key"
    assert door.account().remark == ""


async def test_adding_the_same_id_twice_at_once_makes_one_account(door: Door) -> None:
    sent = {"id": "two", "value": cookie_of(2)}
    answers = await asyncio.gather(*(door.client.post("/cookies", json=sent) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["changed"] for answer in answers) == 1
    assert door.site.most_at_once["two"] == 1


async def test_settings_are_changed_all_at_once_and_the_others_stay(door: Door) -> None:
    sent = {"debounce_seconds": 2, "default_reply_enabled": True, "default_reply": "稍等", "remark": "r"}
    body = await door.call("PATCH", "/cookies/shop/settings", json=sent)
    assert body["generation"] == 2
    assert body["settings"] == (await door.call("GET", "/cookies/shop"))["desired"]
    assert body["settings"]["debounce_seconds"] == 2.0
    body = await door.call("PATCH", "/cookies/shop/settings", json={"debounce_seconds": None})
    assert body["settings"]["debounce_seconds"] is None
    assert body["settings"]["default_reply"] == "稍等"
    body = await door.call("PATCH", "/cookies/shop/settings", json={})
    assert body["changed"] is False
    for wrong, code in (
        ({"debounce_seconds": 31.0}, "bad_debounce"),
        ({"default_reply": "x" * 4001}, "text_too_long"),
        ({"remark": "ok", "debounce_seconds": -1.0}, "bad_debounce"),
    ):
        refused = await door.call("PATCH", "/cookies/shop/settings", 422, json=wrong)
        assert refused["code"] == code
    assert door.account().remark == "r"


async def test_items(door: Door) -> None:
    path = "/cookies/shop/items"
    assert await door.call("GET", path) == {"items": [], "next": None}
    assert (await door.call("GET", f"{path}/7001", 404))["code"] == "unknown_item"
    body = await door.call("PUT", f"{path}/7001", json={"reply": "有货"})
    assert body["item"] == {
        "item_id": "7001", "reply": "有货", "paid_message": "", "nothing_to_send": False,
        "facts": "", "floor_fen": None,
    }  # fmt: skip
    body = await door.call("PUT", f"{path}/7001", json={"nothing_to_send": True})
    assert body["item"]["reply"] == "有货"
    assert await door.call("GET", f"{path}/7001") == body["item"]
    assert await door.call("GET", path) == {"items": [body["item"]], "next": None}
    etag = await door.etag(path)
    refused = await door.call("PUT", f"{path}/7001", 412, json={"reply": "x"}, headers={"If-Match": '"g1"'})
    assert refused["current"]["desired"]["item_count"] == 1
    assert (await door.call("DELETE", f"{path}/7001", headers={"If-Match": etag}))["changed"] is True
    assert (await door.call("DELETE", f"{path}/7001"))["changed"] is False
    assert (await door.call("PUT", f"{path}/a-b", 422, json={}))["code"] == "bad_item_id"


async def test_f14_only_a_page_of_the_site_over_https_is_a_link(door: Door) -> None:
    page, other = "https://h5api.m.goofish.com:443//h5/x/punish?x5secdata=a", "https://goofish.com.example.org/punish"
    named, messages = "", "https://www.goofish.com/im"

    async def park(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url=named)

    door.site.behave = park
    events = one_by_one(door, await door.principal(), None, beat_seconds=60)
    async with aclosing(events), asyncio.timeout(60):
        await anext(events)  # the snapshot: what comes now is told
        for named in (page, other):
            told = (messages, named)
            assert (await door.call("POST", "/cookies/shop/resume?anyway=true"))["state"] == "parked"
            account = await door.call("GET", "/cookies/shop")
            assert (account["action_url"], account["action_text"]) == told
            async for event in events:
                if event and event.body.get("state") == "parked":
                    assert (event.body["action_url"], event.body["action_text"]) == told
                    break
            checks = (await door.call("GET", "/cookies/shop/diagnosis"))["checks"]
            advice = next(check["do"] for check in checks if check["name"] == "parked")
            assert (messages in advice, named in advice) == (True, False)
