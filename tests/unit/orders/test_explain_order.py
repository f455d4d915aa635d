"""What an order gets: chosen by rules, never by guess, and as before there were rules."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.accounts.account import Account
from shoal.accounts.delivery_edits import MAX_COUNT
from shoal.accounts.delivery_rule import DeliveryRule, folded_spec
from shoal.accounts.item_setting import ItemSetting
from shoal.goods.goods import GoodsKind, Stock
from shoal.orders.explain_order import (
    MAX_UNITS,
    Explained,
    Obstacle,
    Purchase,
    depends_on_item_specs,
    explain_order,
    messages_of,
    purchase_of,
)
from shoal.orders.order_records import Order
from shoal.rules.rule import Part

SHOP = Account(id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s")
CODES = Stock(kind=GoodsKind.STOCK, active=True, free=50, owner_id=1, name="月卡", text="")
STOCK = {7: CODES}


def said(item_id: str = "", text: str = "货", **values: Any) -> DeliveryRule:
    return DeliveryRule(item_id=item_id, parts=(Part(text=text),), **values)


def counted(item_id: str = "1", **values: Any) -> DeliveryRule:
    return DeliveryRule(**{"item_id": item_id, "goods_id": 7, "parts": (Part(text="卡密：{codes}"),), **values})


def explained(*rules: DeliveryRule, stock: Any = None, shop: Account = SHOP, **purchase: Any) -> Explained:
    wanted = Purchase(**{"item_id": "1", "title": "会员 月卡", **purchase})
    return explain_order(shop.evolve(deliveries=rules), STOCK if stock is None else stock, wanted)


# ── as it was ───────────────────────────────────────────────────────────────────────────────────────────────────────


def old_choice(shop: Account, item_id: str | None) -> tuple[str, str]:
    """The choice before there were rules: why not, or the text (empty: nothing needs to be sent)."""
    item = next((one for one in shop.items if one.item_id == item_id), None)
    if item_id is None and any(one.paid_message or one.nothing_to_send for one in shop.items):
        return "unknown_item", ""
    if item is not None and item.nothing_to_send:
        return "", ""
    text = (item.paid_message if item else "") or shop.paid_message
    return ("", text) if text else ("no_rule", "")


texts = st.sampled_from(["", "货 {order_id}", "网盘 {codes}", "x"])
items = st.lists(
    st.builds(
        ItemSetting, item_id=st.sampled_from(["1", "2", "3"]), reply=st.sampled_from(["", "在"]), paid_message=texts,
        nothing_to_send=st.booleans(),
    ),
    unique_by=lambda item: item.item_id,
)  # fmt: skip


@given(texts, items, st.sampled_from([None, "1", "2", "3", "4"]), st.sampled_from([None, "", "时长:月卡"]))
def test_settings_of_before_give_every_order_what_they_gave(
    paid_message: str, items: list[ItemSetting], item_id: str | None, spec: str | None
) -> None:
    shop = SHOP.evolve(paid_message=paid_message, items=tuple(items))
    found = explain_order(shop, {}, Purchase(item_id=item_id, spec=spec, quantity=None, parcel=""))
    text = found.parts[0].text if found.parts else ""
    assert (str(found.obstacle or ""), text) == old_choice(shop, item_id)
    assert found.sends_nothing is (old_choice(shop, item_id) == ("", ""))


# ── which rule ──────────────────────────────────────────────────────────────────────────────────────────────────────

MONTH, YEAR = said("1", "月", spec="时长:月卡"), said("1", "年", spec="时长:年卡")


@pytest.mark.parametrize(
    ("rules", "purchase", "outcome"),
    [
        ((said("1", "item"), said(title_contains="月卡", text="title"), said(text="shop")), {}, "item"),
        ((said("2", "item"), said(title_contains="月卡", text="title"), said(text="shop")), {}, "title"),
        ((said("2", "item"), said(title_contains="年卡", text="title"), said(text="shop")), {}, "shop"),
        ((said(title_contains="ＶＩＰ", text="title"),), {"title": "vip会员"}, "title"),
        ((), {}, Obstacle.NO_RULE),
        ((said("2"),), {}, Obstacle.NO_RULE),
        ((said("2"), said(text="shop")), {"item_id": None}, Obstacle.UNKNOWN_ITEM),
        ((said(text="shop"),), {"item_id": None}, "shop"),
        ((said(title_contains="月卡"), said(text="shop")), {"title": None}, Obstacle.UNKNOWN_TITLE),
        ((said("1", "item"), said(title_contains="月卡")), {"title": None}, "item"),
        ((said(title_contains="月卡"), said(title_contains="会员")), {}, Obstacle.AMBIGUOUS_RULE),
        ((said(title_contains="月卡", spec="a", text="a"), said(title_contains="会员")), {"spec": "a"}, "a"),
        ((MONTH, YEAR), {"spec": folded_spec("时长：年卡")}, "年"),
        ((MONTH, YEAR), {"spec": "时长:周卡"}, Obstacle.UNKNOWN_SPEC),
        ((MONTH, YEAR), {"spec": None}, Obstacle.UNKNOWN_SPEC),
        ((MONTH, YEAR), {"spec": ""}, Obstacle.UNKNOWN_SPEC),
        ((MONTH, said("1", "whole")), {"spec": ""}, "whole"),
        ((MONTH, said("1", "whole")), {"spec": "时长:周卡"}, Obstacle.UNKNOWN_SPEC),
        ((MONTH, said(text="shop")), {"spec": "时长:周卡"}, Obstacle.UNKNOWN_SPEC),
        ((said("1", "whole"),), {"spec": "时长:周卡"}, "whole"),
        ((said("1", "whole"),), {"spec": None}, "whole"),
    ],
)
def test_the_rule_of_an_order_is_chosen_and_never_guessed(
    rules: tuple[DeliveryRule, ...], purchase: dict[str, Any], outcome: str | Obstacle
) -> None:
    found = explained(*rules, **purchase)
    assert (found.obstacle or found.parts[0].text) == outcome


@pytest.mark.parametrize(
    ("of_rule", "of_order", "is_unsure"),
    [
        ("月卡", "时长:月卡", True),
        ("时长:月卡", "月卡", True),
        ("时长:月卡", "周卡", False),
        ("周卡", "时长:月卡", False),
        ("时长:月卡", "时长:月卡", False),
    ],
)
def test_a_value_alone_of_a_rule_or_of_an_order_waits_for_the_specs_of_the_item(
    of_rule: str, of_order: str, is_unsure: bool
) -> None:
    shop = SHOP.evolve(deliveries=(said("1", spec=of_rule),))
    purchase = Purchase(item_id="1", title="会员", spec=of_order)
    assert depends_on_item_specs(shop, purchase) is is_unsure
    assert not depends_on_item_specs(shop, dataclasses.replace(purchase, item_specs=("时长:月卡",))), "they are known"


rule_sets = st.lists(
    st.builds(
        said,
        st.sampled_from(["", "1", "2"]),
        st.sampled_from(["a", "b"]),
        spec=st.sampled_from(["", "时长:月卡", "时长:年卡"]),
    ),
    unique_by=lambda rule: rule.place,
)


@given(rule_sets, st.sampled_from(["1", "2", "3"]), st.sampled_from([None, "", "时长:月卡", "时长:周卡"]))
def test_no_order_gets_what_is_for_another_item_or_spec(
    rules: list[DeliveryRule], item_id: str, spec: str | None
) -> None:
    found = explained(*rules, item_id=item_id, spec=spec)
    if found.rule is None:
        assert found.obstacle in {Obstacle.NO_RULE, Obstacle.UNKNOWN_SPEC}
        return
    assert found.rule.item_id in {"", item_id}
    assert not found.rule.spec or found.rule.spec == spec
    own = [rule for rule in rules if rule.item_id == item_id]
    assert found.rule in own or not own
    again = explain_order(SHOP.evolve(deliveries=tuple(reversed(rules))), STOCK, Purchase(item_id=item_id, spec=spec))
    assert again == found, "the order of the rules does not count"


NAMES, VALUES = ("时长", "版本"), ("月卡", "年卡")
properties = st.builds("{}:{}".format, st.sampled_from(NAMES), st.sampled_from(VALUES))
item_specs = st.lists(
    st.one_of(
        properties,
        st.builds("时长:{};版本:{}".format, st.sampled_from(VALUES), st.sampled_from(VALUES)),
        st.sampled_from(VALUES),
    ).map(folded_spec),
    unique=True,
    max_size=5,
)
named_specs = st.one_of(
    properties, st.sampled_from(VALUES), st.lists(st.sampled_from(VALUES), min_size=1).map(";".join)
)


@given(st.lists(named_specs, unique=True, max_size=4), item_specs, st.one_of(properties, st.sampled_from(VALUES)))
def test_g18_a_value_alone_is_never_taken_for_another_spec(named: list[str], of_item: list[str], bought: str) -> None:
    rules = [said("1", spec, spec=spec) for spec in dict.fromkeys(map(folded_spec, named))]
    found = explained(*rules, spec=bought, item_specs=of_item)
    if found.rule is None or not found.rule.spec or found.rule.spec == bought:
        return
    pairs = {pair for spec in [*of_item, bought] for pair in spec.split(";")}
    for value in {part for spec in (found.rule.spec, bought) for part in spec.split(";") if ":" not in part}:
        assert sum(pair.endswith(f":{value}") for pair in pairs) == 1, "one property has the value"
    assert {part.rpartition(":")[2] for part in found.rule.spec.split(";")} == {bought.rpartition(":")[2]}
    assert explained(*rules, spec=bought, item_specs=None).rule is None, "only what the item has says so"


@pytest.mark.parametrize(
    ("rule", "of_item", "bought", "is_taken"),
    [
        ("月卡", ("时长:月卡", "时长:年卡"), "时长:月卡", True),
        ("月卡", ("时长:月卡", "时长:年卡"), "时长:年卡", False),
        ("时长:月卡", ("时长:月卡", "时长:年卡"), "月卡", True),
        ("月卡", ("时长:月卡", "版本:月卡"), "时长:月卡", False),
        ("月卡", ("时长:年卡",), "时长:月卡", True),  # the order shows it
        ("月卡", ("版本:月卡",), "时长:月卡", False),
        ("月卡", ("时长:月卡;版本:标准",), "时长:月卡;版本:标准", False),  # it says nothing of the other group
        ("标准;月卡", ("时长:月卡;版本:标准",), "时长:月卡;版本:标准", True),
        ("12:00", ("时间:12:00", "时间:13:00"), "时间:12:00", True),
        ("月卡", None, "时长:月卡", False),
        ("月卡", (), "时长:月卡", True),
    ],
)
def test_g18_a_value_alone_is_taken_for_the_one_property_that_has_it(
    rule: str, of_item: tuple[str, ...] | None, bought: str, is_taken: bool
) -> None:
    folded = None if of_item is None else tuple(map(folded_spec, of_item))
    found = explained(said("1", spec=folded_spec(rule)), spec=folded_spec(bought), item_specs=folded)
    assert (found.obstacle is None) is is_taken


def test_g18_two_rules_that_mean_one_spec_are_ambiguous_and_the_exact_one_counts_first() -> None:
    of_item, bought = (folded_spec("时长:月卡;版本:标准"),), folded_spec("时长:月卡;版本:标准")
    alone, half = said("1", "a", spec=folded_spec("月卡;标准")), said("1", "b", spec=folded_spec("时长:月卡;标准"))
    assert explained(alone, half, spec=bought, item_specs=of_item).obstacle is Obstacle.AMBIGUOUS_RULE
    exact = said("1", "c", spec=bought)
    assert explained(alone, half, exact, spec=bought, item_specs=of_item).rule == exact


# ── what stands in the way ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rule", "purchase", "stock", "obstacle"),
    [
        (counted(), {}, {}, Obstacle.UNKNOWN_GOODS),
        (counted(), {}, {"owner_id": 2}, Obstacle.UNKNOWN_GOODS),
        (counted(), {}, {"active": False}, Obstacle.GOODS_OFF),
        (counted(parts=(Part(text="谢谢"),)), {}, {"free": 5}, Obstacle.NO_CODES_IN_TEXT),
        (counted(), {"parcel": "yes"}, {"free": 5}, Obstacle.NEEDS_PARCEL),
        (counted(), {"parcel": ""}, {"free": 5}, Obstacle.NEEDS_PARCEL),
        (counted(), {"quantity": None}, {"free": 5}, Obstacle.QUANTITY_UNKNOWN),
        (counted(count=3), {"quantity": 2}, {"free": 5}, Obstacle.OUT_OF_STOCK),
        (counted(count=MAX_COUNT), {"quantity": 2}, {"free": 1_000}, Obstacle.TOO_MANY_UNITS),
        (counted(), {"quantity": 21}, {"free": 50}, Obstacle.TOO_MANY_MESSAGES),
        (counted(), {"quantity": 3}, {"per_message": 3, "longest": 1_331}, None),
        (counted(), {"quantity": 3}, {"per_message": 3, "longest": 1_332}, Obstacle.MESSAGE_TOO_LONG),
        (counted(), {"quantity": 2}, {"per_message": 3, "longest": 1_332}, None),
        (counted(count=2), {"quantity": 2}, {"free": 4}, None),
        (counted(parts=()), {}, {"free": 1}, None),
        (counted(), {}, {"free": 0, "kind": GoodsKind.REUSABLE}, Obstacle.OUT_OF_STOCK),
        (said("1", "{codes}", spec="a"), {"spec": "a"}, {}, Obstacle.CODES_WITHOUT_GOODS),
        (said("1", delay_seconds=5), {}, {}, None),
        (said("1", confirm=2), {}, {}, None),
        (said("1", confirm="no"), {}, {}, None),
        (counted(parts=()), {}, {"kind": GoodsKind.FIXED, "text": ""}, Obstacle.OUT_OF_STOCK),
        (counted(parts=()), {}, {"kind": GoodsKind.FIXED, "text": "链接"}, None),
        (counted(parts=()), {}, {"kind": GoodsKind.FIXED, "text": "链接", "active": False}, Obstacle.GOODS_OFF),
    ],
)
def test_the_first_thing_in_the_way_is_named(
    rule: DeliveryRule, purchase: dict[str, Any], stock: dict[str, Any], obstacle: Obstacle | None
) -> None:
    goods = {7: changed(**stock)} if stock else {}
    assert explained(rule, stock=goods, **purchase).obstacle == obstacle


def changed(**values: Any) -> Stock:
    """The goods with other values."""
    return dataclasses.replace(CODES, **values)


def test_a_switch_that_is_off_comes_first_unless_the_owner_asks() -> None:
    shop = SHOP.evolve(delivery=False, deliveries=(said("1"),))
    assert explain_order(shop, {}, Purchase(item_id="1")).obstacle is Obstacle.DELIVERY_OFF
    assert explain_order(shop, {}, Purchase(item_id="1"), asked_by_owner=True).obstacle is None


# ── what was bought, and the very messages ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("facts", "spec", "quantity"),
    [
        ({"quantity": "2", "spec_name": "时长", "spec_value": "月卡"}, "时长:月卡", 2),
        ({"quantity": "1", "spec_name": "尺码; 颜色", "spec_value": "XL; 红"}, folded_spec("颜色:红;尺码:xl"), 1),
        ({"quantity": "1", "spec_value": "月卡"}, "月卡", 1),
        ({"quantity": "1"}, "", 1),
        ({}, None, None),
        ({"quantity": "1", "spec_name": "时长", "spec_value": "月卡; 红"}, None, 1),
        ({"quantity": "0", "spec_value": "月卡"}, "月卡", None),
    ],
)
def test_an_order_says_what_was_bought_or_that_it_is_not_known(
    facts: dict[str, Any], spec: str | None, quantity: int | None
) -> None:
    found = purchase_of(Order(account_id="shop", order_id="1", item_id="1", **facts))
    assert (found.spec, found.quantity) == (spec, quantity)


def test_c11_a_title_has_the_text_literally_and_neither_spec_nor_owner_stands_in_for_another() -> None:
    for text in ("会员%", "%", "会员_月卡", "会员 月卡 一年"):
        assert explained(said(title_contains=text)).obstacle is Obstacle.NO_RULE
    assert explained(said(title_contains="月卡")).obstacle is None
    monthly = counted(
        spec=folded_spec("时长:月卡"), parts=(Part(text="{codes}"), Part(image_url="https://x.example/1"))
    )
    assert explained(monthly, spec=folded_spec("时长:年卡"), quantity=1).obstacle is Obstacle.UNKNOWN_SPEC
    assert explained(monthly, spec=folded_spec("时长:月卡"), quantity=1).parts == monthly.parts
    of_another = {7: changed(owner_id=2)}
    assert explained(counted(), stock=of_another, quantity=1).obstacle is Obstacle.UNKNOWN_GOODS


def test_codes_stand_where_the_text_wants_them_and_are_never_filled_in_again() -> None:
    found = explained(
        counted(parts=(Part(text="{order_id}："), Part(text="码 {codes}"), Part(image_url="/a.png"))),
        stock={7: changed(per_message=2)},
        quantity=3,
    )
    messages = messages_of(found, ["{order_id}", "B", "C"], {"order_id": "9"})
    assert [part.text or part.image_url for part in messages] == ["9：", "码 {order_id}\nB", "码 C", "/a.png"]


def test_no_order_is_explained_to_get_more_than_its_limit() -> None:
    found = explained(counted(count=100), stock={7: changed(free=10_000, per_message=100)}, quantity=3)
    assert (found.obstacle, found.wanted > MAX_UNITS) == (Obstacle.TOO_MANY_UNITS, True)


def test_a_rule_keeps_its_text_while_it_sends_nothing() -> None:
    found = explained(replace(said("1", "later"), nothing_to_send=True))
    assert (found.sends_nothing, found.parts) == (True, ())
