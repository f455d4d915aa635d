"""Rules over the API: nothing is lost that a form cannot express, and no edit hits the wrong one."""

from __future__ import annotations

import asyncio

from shoal.accounts.change_path import Caller
from shoal.rules.rule import Rule
from support.servers.doors import Door


async def _with_a_picture(door: Door) -> None:
    """A picture rule, as a later version adds it."""
    picture = Rule.simple(id="pic", keyword="图", image_url="/static/a.png", position=0)

    def edit(account: object) -> object:
        return door.account().evolve(keywords=(picture,))

    await door.server.manager._path.change("shop", "test", edit, Caller(actor="test"))  # type: ignore[arg-type]


async def test_a15_replacing_the_general_rules_keeps_item_and_picture_rules(door: Door) -> None:
    await _with_a_picture(door)
    rows = [{"keyword": "尺寸", "reply": "20", "item_id": "7001"}, {"keyword": "在吗", "reply": "在", "item_id": ""}]
    await door.call("POST", "/keywords-with-item-id/shop", json={"keywords": rows})
    await door.call("POST", "/keywords/shop", json={"keywords": {"包邮": "是"}})
    listed = await door.call("GET", "/keywords-with-type/shop")
    assert [(row["keyword"], row["type"], row["item_id"]) for row in listed] == [
        ("图", "image", None),
        ("尺寸", "text", "7001"),
        ("包邮", "text", None),
    ]
    assert listed[0]["image_url"] == "/static/a.png"
    plain = await door.call("GET", "/keywords/shop")
    assert (plain[0]["keyword"], plain[0]["reply"], plain[0]["type"]) == ("图", "", "normal")


async def test_a_text_rule_cannot_take_a_pictures_keyword(door: Door) -> None:
    await _with_a_picture(door)
    rows = [{"keyword": "图", "reply": "x", "item_id": ""}]
    body = await door.call("POST", "/keywords-with-item-id/shop", 400, json={"keywords": rows})
    assert body["code"] == "image_keyword_exists"


async def test_rows_may_be_sent_back_as_they_were_read(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2"}})
    rows = await door.call("GET", "/keywords-with-item-id/shop")
    body = await door.call("POST", "/keywords-with-item-id/shop", json={"keywords": rows})
    assert body["changed"] is False


async def test_d10_an_edit_by_place_is_guarded_by_the_etag_and_by_id_needs_no_guard(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2", "c": "3"}})
    etag = await door.etag("/keywords/shop")
    last = (await door.call("GET", "/keywords/shop"))[2]["id"]
    await door.call("DELETE", "/keywords/shop/0", headers={"If-Match": etag})
    answer = await door.client.delete("/keywords/shop/2", headers={"If-Match": etag})
    assert answer.status_code == 412
    body = answer.json()
    assert [row["keyword"] for row in body["current"]] == ["b", "c"]
    assert body["current"] == await door.call("GET", "/keywords-with-type/shop")
    await door.call("DELETE", f"/keywords/shop/rules/{last}")
    assert [row["keyword"] for row in await door.call("GET", "/keywords/shop")] == ["b"]
    assert (await door.call("DELETE", f"/keywords/shop/rules/{last}", 404))["code"] == "unknown_rule"


async def test_d10_removing_rules_by_id_at_the_same_time_removes_exactly_those(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {f"k{n}": "r" for n in range(10)}})
    rows = await door.call("GET", "/keywords/shop")
    chosen = [row["id"] for row in rows[::2]]
    await asyncio.gather(*(door.call("DELETE", f"/keywords/shop/rules/{rule}") for rule in chosen))
    left = await door.call("GET", "/keywords/shop")
    assert [row["keyword"] for row in left] == [row["keyword"] for row in rows[1::2]]


async def test_the_etag_stands_on_every_list_and_guards_every_replacement(door: Door) -> None:
    for path in ("/keywords/shop", "/keywords-with-item-id/shop", "/keywords-with-type/shop"):
        assert await door.etag(path) == '"g1"'
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1"}}, headers={"If-Match": '"g1"'})
    for path, sent in (("/keywords/shop", {}), ("/keywords-with-item-id/shop", [])):
        body = await door.call("POST", path, 412, json={"keywords": sent}, headers={"If-Match": '"g1"'})
        assert body["current"] == await door.call("GET", path)


async def test_ten_thousand_keywords_are_refused_and_nothing_is_lost(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"hi": "hello"}})
    many = {f"keyword {number}": "reply" for number in range(10_000)}
    body = await door.call("POST", "/keywords/shop", 422, json={"keywords": many})
    assert (body["code"], body["params"]) == ("too_many_keywords", {"limit": 5000})
    assert [row["keyword"] for row in await door.call("GET", "/keywords/shop")] == ["hi"]
    most = dict(list(many.items())[:5000])
    assert (await door.call("POST", "/keywords/shop", json={"keywords": most}))["count"] == 5000
    assert len(await door.call("GET", "/keywords/shop")) == 5000


async def test_a_long_keyword_is_named(door: Door) -> None:
    body = await door.call("POST", "/keywords/shop", 422, json={"keywords": {"k" * 201: "r"}})
    assert body["code"] == "keyword_too_long"
    assert body["params"]["keyword_limit"] == 200
