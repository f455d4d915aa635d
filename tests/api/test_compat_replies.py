"""Pictures for keywords, default replies and item replies, as scripts for the other system send and read them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.files.picture_files import a_png
from support.servers.doors import Door, another_person

ITEM = "700000000001"


async def upload(door: Door, status: int = 200, *, data: bytes | None = None, **fields: str) -> Any:
    files = {"image": ("photo.txt", a_png(3, 2) if data is None else data, "text/plain")}
    return await door.compat("POST", "/keywords/shop/image", status, data=fields, files=files)


async def test_a_keyword_is_answered_with_a_picture(door: Door) -> None:
    answer = await upload(door, keyword=" 尺寸 ", item_id=ITEM)
    url = answer["image_url"]
    assert answer == {"msg": "图片关键词添加成功", "keyword": "尺寸", "image_url": url, "item_id": ITEM}
    assert (await door.client.get(url)).content == a_png(3, 2)
    (row,) = await door.call("GET", "/keywords-with-type/shop")
    assert (row["keyword"], row["reply"], row["item_id"], row["type"], row["image_url"]) == (
        "尺寸", "", ITEM, "image", url,
    )  # fmt: skip
    (part,) = door.account().keywords[0].parts
    assert (part.width, part.height) == (3, 2)


async def test_a_picture_that_cannot_be_used_adds_nothing(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"有": "字"}})
    for status, code, fields, data in (
        (400, "empty_keyword", {"keyword": " "}, None),
        (400, "keyword_exists", {"keyword": "有"}, None),
        (422, "bad_picture", {"keyword": "图"}, b"<svg/>"),
        (422, "keyword_too_long", {"keyword": "k" * 201}, None),
        (422, "invalid_body", {}, None),
    ):
        assert (await upload(door, status, data=data, **fields))["code"] == code
    assert [row["keyword"] for row in await door.call("GET", "/keywords/shop")] == ["有"]
    answer = await door.client.post("/keywords/nobody/image", data={"keyword": "a"}, files={"image": a_png(1, 1)})
    assert (answer.status_code, answer.json()["detail"]) == (404, "账号不存在或无权限")


async def test_a_picture_is_added_once_however_often_its_request_comes(door: Door) -> None:
    body, kind = httpx.Request("POST", "http://x", data={"keyword": "图"}, files={"image": a_png(1, 1)}), "content-type"
    headers = {"Idempotency-Key": "once", kind: body.headers[kind]}
    sent: dict[str, Any] = {"content": body.read(), "headers": headers}
    first = await door.call("POST", "/keywords/shop/image", **sent)
    assert await door.call("POST", "/keywords/shop/image", **sent) == first
    assert len(door.account().keywords) == 1


FULL: dict[str, Any] = {
    "words": ["在吗", "您好"], "match_mode": "exact", "parts": [{"text": "在的"}, {"text": "请说"}], "priority": 1,
}  # fmt: skip


@pytest.mark.parametrize("form", ["general", "rows", "rows as read"])
async def test_what_the_old_forms_cannot_express_stays_whatever_they_replace(door: Door, form: str) -> None:
    rule = (await door.call("POST", "/cookies/shop/rules", json=FULL))["rule"]
    off = (await door.call("POST", "/cookies/shop/rules", json={"words": ["停"], "active": False}))["rule"]
    await door.call("POST", "/keywords/shop", json={"keywords": {"旧": "1"}})
    if form == "general":
        await door.call("POST", "/keywords/shop", json={"keywords": {"新": "2"}})
    elif form == "rows":
        await door.call(
            "POST", "/keywords-with-item-id/shop", json={"keywords": [{"keyword": "新", "reply": "2", "item_id": ""}]}
        )
    else:
        rows = await door.call("GET", "/keywords-with-item-id/shop")
        assert (await door.call("POST", "/keywords-with-item-id/shop", json={"keywords": rows}))["changed"] is False
    kept = (await door.call("GET", "/cookies/shop/rules"))["items"]
    assert [one for one in kept if one["id"] in {rule["id"], off["id"]}] == [rule, off]


async def test_a_row_that_names_a_fuller_rule_changes_its_text_and_nothing_else(door: Door) -> None:
    rule = (await door.call("POST", "/cookies/shop/rules", json=FULL))["rule"]
    await door.call("POST", "/keywords/shop", json={"keywords": {"在吗": "在", "新": "2"}})
    first, second = (await door.call("GET", "/cookies/shop/rules"))["items"]
    assert [part["text"] for part in first.pop("parts")] == ["在", "请说"]
    assert first == {name: value for name, value in rule.items() if name != "parts"}
    assert second["words"] == ["新"]


async def test_default_replies_are_set_and_read_as_before(door: Door) -> None:
    await door.add("other", 2)
    path = "/default-replies/shop"
    empty = {"enabled": False, "reply_content": "", "reply_once": False}
    assert await door.call("GET", path) == empty
    sent: dict[str, Any] = {"enabled": True, "reply_content": "在的", "reply_once": True}
    assert await door.compat("PUT", path, json=sent) == {
        "msg": "default reply updated", "enabled": True, "reply_once": True,
    }  # fmt: skip
    assert await door.call("GET", path) == sent
    assert await door.call("GET", "/default-replies") == {"shop": sent, "other": empty}
    await door.call("PUT", path, json={"enabled": False})
    assert await door.call("GET", path) == {"enabled": False, "reply_content": "在的", "reply_once": False}
    await door.call("PUT", path, json={"enabled": True, "reply_content": None})
    assert await door.call("GET", path) == {"enabled": True, "reply_content": "", "reply_once": False}
    assert await door.compat("DELETE", path) == {"msg": "default reply deleted"}
    assert await door.call("GET", path) == empty
    assert await door.compat("POST", f"{path}/clear-records") == {"msg": "default reply records cleared"}


async def test_item_replies_are_set_read_and_removed_as_before(door: Door) -> None:
    await door.add("other", 2)
    path = f"/item-reply/shop/{ITEM}"
    assert (await door.call("GET", path, 404))["detail"] == "商品回复不存在"
    assert (await door.call("PUT", path, 400, json={"reply_content": " "}))["detail"] == "回复内容不能为空"
    assert await door.compat("PUT", path, json={"reply_content": "今天发货"}) == {"message": "商品回复更新成功"}
    await door.call("PUT", "/item-reply/other/9", json={"reply_content": "x"})
    reply = await door.call("GET", path)
    assert (reply["item_id"], reply["cookie_id"], reply["reply_content"]) == (ITEM, "shop", "今天发货")
    assert set(reply) == {
        "item_id", "cookie_id", "reply_content", "created_at", "updated_at", "item_title", "item_detail",
    }  # fmt: skip
    assert await door.call("GET", "/itemReplays/cookie/shop") == {"items": [reply]}
    assert [row["cookie_id"] for row in (await door.call("GET", "/itemReplays"))["items"]] == ["shop", "other"]
    assert await door.compat("DELETE", path) == {"message": "商品回复删除成功"}
    assert (await door.call("DELETE", path, 404))["detail"] == "商品回复不存在"
    assert door.account().items == ()


async def test_removing_an_item_reply_leaves_what_else_is_set_for_the_item(door: Door) -> None:
    await door.call("PUT", f"/cookies/shop/items/{ITEM}", json={"reply": "a", "paid_message": "b"})
    await door.call("DELETE", f"/item-reply/shop/{ITEM}")
    assert (await door.call("GET", f"/cookies/shop/items/{ITEM}"))["paid_message"] == "b"
    assert await door.call("GET", "/itemReplays") == {"items": []}


async def test_many_item_replies_are_removed_at_once_and_counted(door: Door) -> None:
    await door.add("other", 2)
    for account, item in (("shop", "1"), ("shop", "2"), ("other", "3")):
        await door.call("PUT", f"/item-reply/{account}/{item}", json={"reply_content": "x"})
    rows = [{"cookie_id": account, "item_id": item} for account, item in (("shop", "1"), ("other", "3"), ("shop", "9"))]
    body = {"items": rows}
    assert await door.call("DELETE", "/item-reply/batch", json=body) == {"success_count": 2, "failed_count": 1}
    assert [row["item_id"] for row in (await door.call("GET", "/itemReplays"))["items"]] == ["2"]
    async with another_person(door) as stranger:
        answer = await stranger.client.request("DELETE", "/item-reply/batch", json={"items": rows[:1]})
        assert (answer.status_code, answer.json()["detail"]) == (403, "无权限操作该Cookie")


async def test_the_replies_of_another_are_neither_shown_nor_changed(door: Door) -> None:
    async with another_person(door) as stranger:
        assert await stranger.call("GET", "/default-replies") == {}
        assert await stranger.call("GET", "/itemReplays") == {"items": []}
        for method, path, body in (
            ("GET", "/default-replies/shop", None), ("PUT", "/default-replies/shop", {"enabled": True}),
            ("DELETE", "/default-replies/shop", None), ("POST", "/default-replies/shop/clear-records", None),
            ("GET", "/itemReplays/cookie/shop", None), ("GET", f"/item-reply/shop/{ITEM}", None),
            ("PUT", f"/item-reply/shop/{ITEM}", {"reply_content": "x"}), ("DELETE", f"/item-reply/shop/{ITEM}", None),
        ):  # fmt: skip
            answer = await stranger.client.request(method, path, json=body)
            assert answer.status_code == 403, path
            word = "访问" if method == "GET" else "操作"
            assert answer.json()["detail"] == f"无权限{word}该Cookie"
