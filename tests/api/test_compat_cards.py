"""Cards and delivery rules by keyword, as scripts for the older system send and read them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shoal.accounts.delivery_rule import DeliveryRule
from support.files.picture_files import a_png
from support.orders.suppliers import CANARY, served_supplier
from support.servers.doors import Door, another_person

DATA = {
    "name": "月卡", "type": "data", "data_content": "CANARY-0001\n\nCANARY-0002\n",
    "description": "卡密：{DELIVERY_CONTENT}",
    "is_multi_spec": True, "spec_name": "时长", "spec_value": "月卡", "delay_seconds": 5, "user_id": 1,
}  # fmt: skip


async def a_card(door: Door, **body: Any) -> int:
    made = await door.call("POST", "/cards", json=body)
    assert made["message"] == "卡券创建成功"
    return int(made["id"])


async def test_cards_of_each_type_are_goods_and_come_back_without_secrets(door: Door) -> None:
    text = await a_card(door, name="网盘", type="text", text_content="https://pan.example/1", description="请查收")
    data = await a_card(door, **DATA)
    rows = {row["id"]: row for row in await door.call("GET", "/cards")}
    assert (rows[text]["text_content"], rows[text]["description"], rows[text]["is_multi_spec"]) == (
        "https://pan.example/1", "请查收", False,
    )  # fmt: skip
    shown = rows[data]
    assert (shown["type"], shown["data_content"], shown["free"], shown["delay_seconds"]) == ("data", "", 2, 5)
    assert (shown["spec_name"], shown["spec_value"], len(shown["created_at"])) == ("时长", "月卡", 19)
    assert "CANARY" not in json.dumps(rows)
    goods = await door.call("GET", f"/goods/{data}")
    assert (goods["kind"], goods["units"]["free"]) == ("stock", 2)
    more = {"data_content": "CANARY-0002\nCANARY-0003", "enabled": False}
    assert (await door.call("PUT", f"/cards/{data}", json=more)) == {"message": "卡券更新成功"}
    after = await door.call("GET", f"/cards/{data}")
    assert (after["free"], after["enabled"], after["description"]) == (3, False, DATA["description"])
    for body, status, code in (
        ({"name": "x"}, 422, "bad_card_type"), ({"name": "", "type": "text"}, 422, "bad_goods_name"),
        ({**DATA, "spec_value": ""}, 400, "card_spec_missing"), ({"name": "x", "type": "api"}, 422, "supplier_missing"),
        ({"name": "x", "type": "api", "api_config": "{"}, 422, "bad_api_config"),
        ({"name": "x", "type": "other"}, 422, "invalid_body"),
    ):  # fmt: skip
        assert (await door.call("POST", "/cards", status, json=body))["code"] == code
    assert (await door.call("GET", "/cards/999", 404))["detail"] == "卡券不存在"
    async with another_person(door) as bob:
        assert await bob.call("GET", "/cards") == []
        assert (await bob.call("PUT", f"/cards/{data}", 404, json={"name": "x"}))["code"] == "unknown_card"


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "-1e999"])
async def test_g16_numbers_that_json_does_not_have_are_refused_in_a_card(door: Door, number: str) -> None:
    headers = {"Content-Type": "application/json"}
    inner = f'{{"url": "https://x.example", "timeout": {number}}}'
    for sent in (f'"type": "api", "api_config": {inner}', f'"type": "text", "delay_seconds": {number}'):
        for path in ("/cards", "/cards?x=1"):  # without the layers, and through them
            refused = await door.call("POST", path, 422, content=f'{{"name": "x", {sent}}}', headers=headers)
            assert (refused["code"], refused["params"]["places"][0]["type"]) == ("invalid_body", "json_invalid")
    refused = await door.call("POST", "/cards", 422, json={"name": "x", "type": "api", "api_config": inner})
    assert refused["code"] == "bad_api_config"
    assert await door.call("GET", "/cards") == []


async def test_a_card_of_an_api_is_a_supplier(door: Door) -> None:
    async with served_supplier() as (url, counter):
        config = {
            "url": f"{url}/supplier/orders", "method": "POST", "timeout": 9, "headers": json.dumps({"X-Key": CANARY}),
            "params": {"order": "{order_id}", "用途": "充值", "token": CANARY}, "code_path": "data.cards.0.code",
        }  # fmt: skip
        card = await a_card(door, name="代充", type="api", api_config=json.dumps(config))
        shown = await door.call("GET", f"/cards/{card}")
        assert shown["api_config"] == {
            "url": config["url"], "method": "POST", "headers": {"X-Key": "***"},
            "params": '{"order": "{order_id}", "用途": "***", "token": "***"}', "timeout": 9,
            "code_path": "data.cards.0.code",
        }  # fmt: skip
        await door.call("PUT", f"/cards/{card}", json={**shown, "name": "充值"})
        bought = await door.call("POST", f"/goods/{card}/supplier/try", json={"call": True})
        assert bought["answer"]["outcome"] == "unit"
        get = {"url": "https://x.example/?a=1", "params": {"名": "b c", "order": "{order_id}"}}
        read = await a_card(door, name="代充", type="api", api_config=get)
        shown = (await door.call("GET", f"/cards/{read}"))["api_config"]
        assert (shown["url"], shown["method"]) == ("https://x.example/?a=***&%E5%90%8D=***&order={order_id}", "GET")
        (call,) = counter.view()["calls"]
        assert (call["headers"]["x-key"], CANARY in call["body"], "充值" in call["body"]) == (CANARY, True, True)


async def test_a_picture_is_put_into_a_card(door: Door) -> None:
    card = await a_card(door, name="图", type="text", text_content="旧")
    form = {"name": "图", "type": "image", "enabled": "true"}
    answer = await door.client.put(f"/cards/{card}/image", data=form, files={"image": ("a.png", a_png(3, 2))})
    assert answer.json()["message"] == "卡券更新成功", answer.text
    shown = await door.call("GET", f"/cards/{card}")
    assert (shown["type"], shown["image_url"], shown["text_content"]) == ("image", answer.json()["image_url"], None)
    bad = await door.client.put(f"/cards/{card}/image", data=form, files={"image": ("a.png", b"<svg/>")})
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_picture")


async def test_a_rule_by_keyword_is_a_delivery_rule_of_every_shop(door: Door) -> None:
    await door.add("second", 2)
    card = await a_card(door, **DATA)
    sent = {"keyword": "会员", "card_id": card, "delivery_count": 2, "enabled": True, "description": ""}
    made = await door.call("POST", "/delivery-rules", json=sent)
    assert made["message"] == "发货规则创建成功"
    for shop in ("shop", "second"):
        (rule,) = (await door.call("GET", f"/cookies/{shop}/deliveries"))["rules"]
        assert (rule["title_contains"], rule["spec"], rule["goods_id"], rule["count"], rule["delay_seconds"]) == (
            "会员", "时长:月卡", card, 2, 5,
        )  # fmt: skip
        assert rule["parts"] == [{"text": "卡密：{codes}"}]
    (row,) = await door.call("GET", "/delivery-rules")
    assert (row["id"], row["keyword"], row["card_id"], row["delivery_count"], row["enabled"], row["card_name"]) == (
        made["id"], "会员", card, 2, True, "月卡",
    )  # fmt: skip
    assert (row["card_type"], row["spec_name"], row["spec_value"]) == ("data", "时长", "月卡")
    assert (await door.call("GET", f"/delivery-rules/{made['id']}")) == row

    await door.call("PUT", f"/cards/{card}", json={"delay_seconds": 0, "description": "码：{DELIVERY_CONTENT}"})
    (rule,) = (await door.call("GET", "/cookies/second/deliveries"))["rules"]
    assert (rule["delay_seconds"], rule["parts"], rule["count"]) == (0, [{"text": "码：{codes}"}], 2)
    other = await a_card(door, **{**DATA, "name": "另一个", "data_content": ""})
    clash = await door.call("POST", "/delivery-rules", 409, json={**sent, "card_id": other})
    assert clash["code"] == "card_rule_exists"
    assert (await door.call("DELETE", f"/cards/{card}", 409))["code"] == "card_in_rules"
    changed = {**sent, "keyword": "vip", "card_id": other, "delivery_count": 1}
    assert (await door.call("PUT", f"/delivery-rules/{made['id']}", json=changed))["message"] == "发货规则更新成功"
    (row,) = await door.call("GET", "/delivery-rules")
    assert (row["keyword"], row["card_id"]) == ("vip", other)
    assert (await door.call("DELETE", f"/cards/{card}", 409))["code"] == "goods_in_use"
    assert (await door.call("DELETE", f"/delivery-rules/{row['id']}"))["message"] == "发货规则删除成功"
    assert await door.call("GET", "/delivery-rules") == []
    assert (await door.call("DELETE", f"/cards/{other}"))["message"] == "卡券删除成功"
    assert (await door.call("GET", f"/delivery-rules/{row['id']}", 404))["detail"] == "发货规则不存在"
    for body, status, code in (
        ({**sent, "keyword": " "}, 422, "card_keyword_missing"),
        ({**sent, "card_id": 999}, 404, "unknown_card"), ({"keyword": "x"}, 422, "invalid_body"),
    ):  # fmt: skip
        assert (await door.call("POST", "/delivery-rules", status, json=body))["code"] == code
    async with another_person(door) as bob:
        theirs = await a_card(bob, name="t", type="text", text_content="t")
        refused = await bob.call("POST", "/delivery-rules", 409, json={"keyword": "k", "card_id": theirs})
        assert refused["code"] == "no_shop_for_rule"


async def test_a_rule_by_keyword_leaves_other_delivery_rules_alone_and_is_made_once(door: Door) -> None:
    rule = {"item_id": "700000000001", "parts": [{"text": "x"}]}
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": [rule]})
    card = await a_card(door, name="网盘", type="text", text_content="link", description="请查收")
    keyed: dict[str, Any] = {"json": {"keyword": "资料", "card_id": card}, "headers": {"Idempotency-Key": "k"}}
    answers = [(await door.client.post("/delivery-rules", **keyed)).json() for _ in range(2)]
    assert answers[0] == answers[1]
    first, second = door.account().deliveries
    assert isinstance(first, DeliveryRule)
    assert (first.item_id, second.title_contains, second.parts[0].text) == ("700000000001", "资料", "请查收\n\n{codes}")


async def test_each_piece_is_always_served(door: Door) -> None:
    path = "/items/shop/700000000001/multi-quantity-delivery"
    assert (await door.call("PUT", path, json={"multi_quantity_delivery": True}))[
        "message"
    ] == "商品多数量发货状态已开启"
    assert (await door.call("PUT", path, 422, json={"multi_quantity_delivery": False}))[
        "code"
    ] == "each_piece_is_served"
    answer = await door.client.put(path.replace("shop", "nobody"), json={"multi_quantity_delivery": True})
    assert (answer.status_code, answer.json()["detail"]) == (403, "无权限操作该Cookie")


async def test_the_old_routes_change_only_what_they_name(door: Door) -> None:
    await door.add("second", 2)
    card = await a_card(door, **DATA)
    rule = {"keyword": "会员", "card_id": card, "delivery_count": 2}
    made = await door.call("POST", "/delivery-rules", json=rule)
    (mine,) = (await door.call("GET", "/cookies/shop/deliveries"))["rules"]
    edited = {**mine, "parts": [{"text": "您好"}, {"text": "{codes}"}], "confirm": "no", "delay_seconds": 60}
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": [edited]})

    async def shop() -> dict[str, Any]:
        (found,) = (await door.call("GET", "/cookies/shop/deliveries"))["rules"]
        return dict(found)

    await door.call("PUT", f"/cards/{card}", json={"name": "季卡", "enabled": True, "delay_seconds": 5})
    assert await shop() == edited, "the card's delay stayed as it was"
    await door.call("PUT", f"/cards/{card}", json={"delay_seconds": 7})
    assert await shop() == {**edited, "delay_seconds": 7}
    await door.call("PUT", f"/cards/{card}", json={"description": "码：{DELIVERY_CONTENT}"})
    described = {**edited, "delay_seconds": 7, "parts": [{"text": "码：{codes}"}]}
    assert await shop() == described
    await door.call("PUT", f"/delivery-rules/{made['id']}", json={**rule, "keyword": "VIP", "delivery_count": 3})
    assert await shop() == {**described, "title_contains": "VIP", "count": 3}
    await door.call("POST", "/delivery-rules", json={**rule, "keyword": "VIP", "delivery_count": 1})
    assert await shop() == {**described, "title_contains": "VIP", "count": 1}
    other = await a_card(door, name="网盘", type="text", text_content="link", description="请查收")
    (row,) = await door.call("GET", "/delivery-rules")
    await door.call("PUT", f"/delivery-rules/{row['id']}", json={"keyword": "VIP", "card_id": other})
    found = await shop()
    assert (found["goods_id"], found["confirm"], found["delay_seconds"], found["spec"]) == (other, "no", 0, "")
    assert found["parts"] == [{"text": "请查收\n\n{codes}"}]


async def test_a_rule_by_keyword_changes_all_shops_or_none(door: Door) -> None:
    await door.add("second", 2)
    card, other = await a_card(door, **DATA), await a_card(door, **{**DATA, "name": "另一个", "data_content": ""})
    taken = {"title_contains": "会员", "spec": "时长:月卡", "goods_id": other, "parts": [{"text": "{codes}"}]}
    await door.call("PUT", "/cookies/second/deliveries", json={"rules": [taken]})
    before = door.account().generation
    refused = await door.call("POST", "/delivery-rules", 409, json={"keyword": "会员", "card_id": card})
    assert (refused["code"], door.account().generation) == ("card_rule_exists", before)
    full = [{"item_id": str(number), "parts": [{"text": "x"}]} for number in range(1_000)]
    await door.call("PUT", "/cookies/second/deliveries", json={"rules": full})
    refused = await door.call("POST", "/delivery-rules", 422, json={"keyword": "会员", "card_id": card})
    assert (refused["code"], door.account().generation) == ("too_many_deliveries", before)
    await door.call("PUT", "/cookies/second/deliveries", json={"rules": []})
    await door.call("POST", "/delivery-rules", json={"keyword": "会员", "card_id": card})
    made = (await door.server.store.journal())[-2:]
    assert {row.account_id for row in made} == {"shop", "second"}
    assert len({row.op_id.rpartition(":")[0] for row in made}) == 1
