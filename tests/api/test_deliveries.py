"""Delivery rules over the API, beside the settings that show the simple ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shoal.orders.order_store import OrderUpdate
from support.servers.doors import Door
from support.site.standins import cookie_of

MONTH: dict[str, Any] = {
    "item_id": "1", "title_contains": "", "spec": "时长:月卡", "goods_id": None, "count": 1,
    "parts": [{"text": "月卡的货"}], "nothing_to_send": False, "delay_seconds": 0, "confirm": {"after_hours": 2},
}  # fmt: skip
ROUTE = "/cookies/shop/deliveries"


async def test_rules_are_replaced_and_listed_as_they_were_sent(door: Door) -> None:
    facts = await door.call("PUT", ROUTE, json={"rules": [MONTH]})
    assert (facts["changed"], facts["added"], facts["rules"]) == (True, 1, [MONTH])
    listed = await door.call("GET", ROUTE)
    assert listed == {"rules": [MONTH], "generation": facts["generation"]}
    facts = await door.call("PUT", ROUTE, json={"rules": listed["rules"]})
    assert (facts["changed"], facts["unchanged"], facts["generation"]) == (False, 1, listed["generation"])


async def test_the_same_spec_in_another_form_is_the_same_rule(door: Door) -> None:
    await door.call("PUT", ROUTE, json={"rules": [MONTH]})
    facts = await door.call("PUT", ROUTE, params={"mode": "merge"}, json={"rules": [{**MONTH, "spec": " 时长：月卡 "}]})
    assert (facts["changed"], facts["unchanged"]) == (False, 1)


async def test_rules_of_one_shop_can_be_copied_to_another_beside_its_own(door: Door) -> None:
    await door.add("other", 2)
    await door.call("PUT", "/cookies/other/deliveries", json={"rules": [{"parts": [{"text": "店"}]}]})
    await door.call("PUT", ROUTE, json={"rules": [MONTH]})
    rules = (await door.call("GET", ROUTE))["rules"]
    tried = await door.call("PUT", "/cookies/other/deliveries?mode=merge&dry_run=true", json={"rules": rules})
    assert (tried["dry_run"], tried["changed"], tried["added"], tried["unchanged"]) == (True, False, 1, 1)
    assert len((await door.call("GET", "/cookies/other/deliveries"))["rules"]) == 1
    await door.call("PUT", "/cookies/other/deliveries?mode=merge", json={"rules": rules})
    assert [rule["parts"][0]["text"] for rule in (await door.call("GET", "/cookies/other/deliveries"))["rules"]] == [
        "月卡的货", "店",
    ]  # fmt: skip


async def test_a_change_with_an_old_etag_is_refused_with_the_rules_as_they_are(door: Door) -> None:
    etag = await door.etag(ROUTE)
    await door.call("PUT", ROUTE, json={"rules": [MONTH]})
    refused = await door.call("PUT", ROUTE, 412, json={"rules": []}, headers={"If-Match": etag})
    assert refused["current"]["rules"] == [MONTH]


async def test_a_simple_rule_and_the_old_setting_are_the_same_thing(door: Door) -> None:
    await door.call("PATCH", "/cookies/shop/settings", json={"paid_message": "店"})
    await door.call("PUT", "/cookies/shop/items/2", json={"paid_message": "货"})
    await door.call("PUT", "/cookies/shop/items/3", json={"nothing_to_send": True})
    rules = (await door.call("GET", ROUTE))["rules"]
    assert [(rule["item_id"], rule["parts"], rule["nothing_to_send"], rule["confirm"]) for rule in rules] == [
        ("2", [{"text": "货"}], False, None), ("3", [], True, None), ("", [{"text": "店"}], False, None),
    ]  # fmt: skip
    await door.call("PUT", ROUTE, json={"rules": [{"item_id": "2", "parts": [{"text": "新"}]}]})
    shown = (await door.call("GET", "/cookies/shop/items"))["items"]
    assert shown == [
        {"item_id": "2", "reply": "", "paid_message": "新", "nothing_to_send": False, "facts": "", "floor_fen": None}
    ]
    assert (await door.call("GET", "/cookies/shop"))["desired"]["paid_message"] == ""


async def test_a_change_of_rules_is_undone(door: Door) -> None:
    await door.call("PATCH", "/cookies/shop/settings", json={"paid_message": "店"})
    before = (await door.call("GET", ROUTE))["rules"]
    facts = await door.call("PUT", ROUTE, json={"rules": [MONTH]})
    entry = (await door.call("GET", "/cookies/shop/history"))["items"][0]
    assert entry["changes"]["deliveries"]["added"][0]["spec"] == "时长:月卡"
    assert entry["changes"]["paid_message"] == ["店", ""]
    await door.call("POST", f"/history/{facts['rev']}/undo")
    assert (await door.call("GET", ROUTE))["rules"] == before


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ({"count": 2}, 422, "delivery_count_without_goods"),
        ({"parts": [{"text": "{codes}"}]}, 422, "delivery_codes_without_goods"),
        ({"confirm": {"after_hours": 0}}, 422, "bad_delivery_confirm"),
        ({"confirm": "maybe"}, 422, "invalid_body"),
        ({"parts": [{"image_url": "https://elsewhere.example/a.png"}]}, 422, "bad_image_url"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_with_a_sentence(
    door: Door, rule: dict[str, Any], status: int, code: str
) -> None:
    refused = await door.call("PUT", ROUTE, status, json={"rules": [rule]})
    assert refused["code"] == code


async def test_a_new_shop_has_its_switches_as_ever(door: Door) -> None:
    await door.call("POST", "/cookies", json={"id": "new", "value": cookie_of(5)})
    wanted = (await door.call("GET", "/cookies/new"))["desired"]
    assert [wanted[name] for name in ("enabled", "replies", "delivery", "auto_confirm")] == [True, True, True, False]
    facts = await door.call("PATCH", "/cookies/new/settings", json={"replies": False, "auto_confirm": True})
    assert (facts["settings"]["replies"], facts["settings"]["auto_confirm"]) == (False, True)
    assert (await door.call("GET", "/cookies/new/auto-confirm"))["auto_confirm"] is True


async def test_the_check_of_a_shop_without_a_connection_tells_of_the_items_that_are_known(door: Door) -> None:
    await door.call(
        "PUT",
        ROUTE,
        json={"rules": [{**MONTH, "spec": "", "confirm": "yes"}, {"item_id": "2", "parts": [{"text": "货"}]}]},
    )
    found = await door.call("GET", f"{ROUTE}/check")
    assert found["listed"] is False
    assert [(line["item_id"], line["spec"], line["obstacle"], line["gets"]) for line in found["items"]] == [
        ("1", "", "auto_confirm_off", ["月卡的货"]), ("2", "", None, ["货"]),
    ]  # fmt: skip
    assert "自动确认发货" in found["items"][0]["do"]
    told = await door.call("GET", f"{ROUTE}/check", headers={"Accept-Language": "en"})
    assert "auto-confirm" in told["items"][0]["do"]


async def test_g18_until_an_item_was_read_its_rules_by_spec_are_not_compared(door: Door) -> None:
    await door.call("PUT", ROUTE, json={"rules": [{**MONTH, "confirm": None}]})
    found = await door.call("GET", f"{ROUTE}/check")
    assert [(line["spec"], line["ok"], line["obstacle"], line["rule_spec"]) for line in found["items"]] == [
        ("时长:月卡", False, "not_compared", "时长:月卡")
    ]
    assert found["reading"] == 0, "nothing reads the pages of a shop that is not connected"
    tried = await door.call("POST", f"{ROUTE}/try", json={"item_id": "1", "spec": "时长:月卡"})
    assert (tried["messages"], tried["obstacle"]) == (["月卡的货"], "not_compared")
    bought = OrderUpdate(order_id="1", source="detail", item_id="1", quantity="1", spec_name="时长", spec_value="月卡")
    await door.server.order_store.receive("shop", bought)
    found = await door.call("GET", f"{ROUTE}/check")
    assert [(line["spec"], line["obstacle"]) for line in found["items"]] == [("时长:月卡", None)], "an order shows it"


async def test_a_rehearsed_purchase_shows_the_messages_and_what_stands_in_the_way(door: Door) -> None:
    await door.call("PUT", ROUTE, json={"rules": [{**MONTH, "confirm": None, "parts": [{"text": "货 {order_id}"}]}]})
    bought = OrderUpdate(order_id="1", source="detail", item_id="1", quantity="1", spec_name="时长", spec_value="月卡")
    await door.server.order_store.receive("shop", bought)
    tried = await door.call("POST", f"{ROUTE}/try", json={"item_id": "1", "spec": "时长：月卡", "order_id": "77"})
    assert (tried["messages"], tried["obstacle"], tried["confirms"]) == (["货 77"], None, False)
    tried = await door.call("POST", f"{ROUTE}/try", json={"item_id": "1", "spec": "时长:年卡"})
    assert (tried["messages"], tried["obstacle"]) == ([], "unknown_spec")
    assert tried["do"]
    await door.call("PATCH", "/cookies/shop/settings", json={"delivery": False})
    tried = await door.call("POST", f"{ROUTE}/try", json={"item_id": "1", "spec": "时长:月卡"})
    assert (tried["messages"], tried["obstacle"]) == (["货 1000000000000000001"], "delivery_off")
    assert (await door.call("POST", f"{ROUTE}/try", 422, json={"item_id": "1", "quantity": 0}))[
        "code"
    ] == "invalid_body"


async def test_g21_the_example_of_the_page_is_a_list_that_is_taken(door: Door) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    examples = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    (example,) = [one for one in examples if "rules" in one and any("item_id" in rule for rule in one["rules"])]
    await door.call("POST", "/goods", json={"name": "月卡", "kind": "stock"})
    facts = await door.call("PUT", ROUTE, json=example)
    assert (facts["added"], facts["changed"]) == (len(example["rules"]), True)
    for sent, stored in zip(example["rules"], facts["rules"], strict=True):
        assert {name: stored[name] for name in sent if name != "parts"} == {
            name: value for name, value in sent.items() if name != "parts"
        }
