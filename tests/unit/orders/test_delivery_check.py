"""Will it deliver? Planted obstacles are named, and healthy items raise no alarm."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from shoal.accounts.account import Account, AccountState, Observation
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.accounts.item_setting import ItemSetting
from shoal.goods.goods import GoodsKind, Stock
from shoal.orders.delivery_check import ItemOnSale, ShopObstacle, SpecObstacle, check_items
from shoal.orders.explain_order import Obstacle, Purchase, explain_order
from shoal.rules.rule import Part

SHOP = Account(id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s", auto_confirm=True)
RUNNING = Observation(state=AccountState.RUNNING)
CODES = Stock(kind=GoodsKind.STOCK, active=True, free=50, owner_id=1, name="月卡", text="", low_at=5)
LINK = replace(CODES, kind=GoodsKind.FIXED, text="https://example.com/a")
ITEM = ItemOnSale(item_id="1", title="会员 月卡")
MONTH = DeliveryRule(item_id="1", spec="时长:月卡", parts=(Part(text="月"),))
COUNTED = DeliveryRule(item_id="1", goods_id=7, parts=(Part(text="码 {codes}"),))
SAID = DeliveryRule(item_id="1", parts=(Part(text="货"),))

PLANTED: list[tuple[dict[str, Any], dict[int, Stock], Obstacle | ShopObstacle]] = [
    ({"deliveries": ()}, {}, Obstacle.NO_RULE),
    ({"deliveries": (MONTH,)}, {}, Obstacle.UNKNOWN_SPEC),
    ({"deliveries": (DeliveryRule(title_contains="月卡"), DeliveryRule(title_contains="会员"))}, {},
     Obstacle.AMBIGUOUS_RULE),
    ({"deliveries": (COUNTED,)}, {}, Obstacle.UNKNOWN_GOODS),
    ({"deliveries": (COUNTED,)}, {7: replace(CODES, active=False)}, Obstacle.GOODS_OFF),
    ({"deliveries": (COUNTED,)}, {7: replace(CODES, free=0)}, Obstacle.OUT_OF_STOCK),
    ({"deliveries": (COUNTED,)}, {7: replace(CODES, free=5)}, ShopObstacle.STOCK_LOW),
    ({"deliveries": (DeliveryRule(item_id="1", goods_id=7, parts=(Part(text="谢谢"),)),)},
     {7: CODES}, Obstacle.NO_CODES_IN_TEXT),
    ({"paid_message": "卡密：{codes}"}, {}, Obstacle.CODES_WITHOUT_GOODS),
    ({"deliveries": (SAID,), "delivery": False}, {}, Obstacle.DELIVERY_OFF),
    ({"deliveries": (DeliveryRule(item_id="1", parts=(Part(text="货"),), confirm="yes"),), "auto_confirm": False}, {},
     ShopObstacle.AUTO_CONFIRM_OFF),
    ({"deliveries": (SAID,), "enabled": False}, {}, ShopObstacle.SHOP_OFF),
]  # fmt: skip


def healthy_shop() -> tuple[Account, dict[int, Stock], list[ItemOnSale]]:
    """200 items of every kind that is served: by item, spec, title, the shop's own, nothing to send, fixed goods."""
    draw, rules, items = Random(7), [], []
    for number in range(200):
        item_id, kind = str(1_000 + number), draw.randrange(6)
        title, specs = f"第 {number} 件", tuple[str, ...]()
        confirm: Any = draw.choice([None, "yes", "no"])
        if kind == 0:
            rules.append(DeliveryRule(item_id=item_id, parts=(Part(text=f"货 {number}"),), confirm=confirm))
        elif kind == 1:
            specs = ("时长:月卡", "时长:年卡")
            rules += [DeliveryRule(item_id=item_id, spec=spec, parts=(Part(text=spec),)) for spec in specs]
        elif kind == 2:
            title += "<会员>"
        elif kind == 3:
            rules.append(DeliveryRule(item_id=item_id, nothing_to_send=True))
        elif kind == 4:
            rules.append(DeliveryRule(item_id=item_id, goods_id=8, confirm=confirm))
        items.append(ItemOnSale(item_id=item_id, title=title, specs=specs))
    rules += [
        DeliveryRule(title_contains="<会员>", parts=(Part(text="会员"),)), DeliveryRule(parts=(Part(text="店"),)),
    ]  # fmt: skip
    return SHOP.evolve(deliveries=tuple(rules)), {8: LINK}, items


@pytest.mark.parametrize(("values", "stock", "obstacle"), PLANTED, ids=lambda value: str(value)[:24])
def test_each_planted_obstacle_is_named(
    values: dict[str, Any], stock: dict[int, Stock], obstacle: Obstacle | ShopObstacle
) -> None:
    item = replace(ITEM, specs=("时长:周卡",))
    assert obstacle in {line.obstacle for line in check_items(SHOP.evolve(**values), RUNNING, stock, [item])}


def test_a_shop_that_needs_its_owner_delivers_nothing() -> None:
    parked = Observation(state=AccountState.PARKED)
    (line,) = check_items(SHOP.evolve(deliveries=(SAID,)), parked, {}, [ITEM])
    assert line.obstacle is ShopObstacle.SHOP_PARKED


def test_two_hundred_healthy_items_raise_no_alarm() -> None:
    shop, stock, items = healthy_shop()
    lines = check_items(shop, RUNNING, stock, items)
    assert len({line.item.item_id for line in lines}) == 200
    assert [(line.item.item_id, line.spec, line.obstacle) for line in lines if line.obstacle is not None] == []


def test_obstacles_among_healthy_items_are_the_only_alarms() -> None:
    shop, stock, items = healthy_shop()
    rules = (MONTH, DeliveryRule(item_id="2", goods_id=7), DeliveryRule(item_id="3", goods_id=9))
    planted = [replace(ITEM, item_id=item_id) for item_id in ("1", "2", "3")]
    planted[0] = replace(planted[0], specs=("时长:周卡",))
    stock = {**stock, 7: replace(CODES, free=0)}
    lines = check_items(shop.evolve(deliveries=(*shop.deliveries, *rules)), RUNNING, stock, [*items, *planted])
    assert {(line.item.item_id, line.obstacle) for line in lines if line.obstacle is not None} == {
        ("1", Obstacle.UNKNOWN_SPEC), ("1", SpecObstacle.NOT_COMPARED),
        ("2", Obstacle.OUT_OF_STOCK), ("3", Obstacle.UNKNOWN_GOODS),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("is_read", "obstacle"), [(False, SpecObstacle.NOT_COMPARED), (True, SpecObstacle.NO_SUCH_SPEC)]
)
def test_g18_a_spec_that_only_a_rule_names_is_never_green(is_read: bool, obstacle: SpecObstacle) -> None:
    item = ItemOnSale(item_id="1", title="t", specs=("时长:周卡",), is_read=is_read)
    lines = check_items(SHOP.evolve(deliveries=(MONTH,)), RUNNING, {}, [item])
    assert [(line.spec, line.obstacle) for line in lines] == [
        ("时长:周卡", Obstacle.UNKNOWN_SPEC), ("时长:月卡", obstacle),
    ]  # fmt: skip
    (green,) = check_items(SHOP.evolve(deliveries=(MONTH,)), RUNNING, {}, [replace(item, specs=("时长:月卡",))])
    assert (green.spec, green.obstacle) == ("时长:月卡", None), "an order or the page shows it"


def test_g18_a_rule_by_spec_of_an_item_without_specs_is_never_green() -> None:
    lines = check_items(SHOP.evolve(deliveries=(MONTH,)), RUNNING, {}, [replace(ITEM, is_read=True)])
    assert [(line.spec, line.obstacle) for line in lines] == [
        ("", Obstacle.UNKNOWN_SPEC), ("时长:月卡", SpecObstacle.NO_SUCH_SPEC),
    ]  # fmt: skip


@pytest.mark.parametrize("place", [{"title_contains": "月卡"}, {}])
def test_g18_rules_for_several_items_are_compared_with_each_of_them(place: dict[str, Any]) -> None:
    rules = (
        DeliveryRule(**place, spec="时长:月卡", parts=(Part(text="月"),)),
        DeliveryRule(item_id="9", spec="时长:年卡"),
    )

    def checked(item: ItemOnSale) -> list[tuple[str, object]]:
        lines = check_items(SHOP.evolve(deliveries=rules), RUNNING, {}, [item])
        return [(line.spec, line.obstacle) for line in lines]

    assert checked(ITEM) == [("时长:月卡", SpecObstacle.NOT_COMPARED)]
    assert checked(replace(ITEM, is_read=True, specs=("时长:月卡",))) == [("时长:月卡", None)]
    assert checked(replace(ITEM, is_read=True, specs=("时长:周卡",))) == [("时长:周卡", Obstacle.UNKNOWN_SPEC)], (
        "another of their items may have that spec"
    )


def test_g18_a_value_alone_is_taken_for_the_one_property_that_has_it_once_the_item_was_read() -> None:
    alone = DeliveryRule(item_id="1", spec="月卡", parts=(Part(text="月"),))
    shop = SHOP.evolve(deliveries=(alone,))

    def checked(**values: Any) -> list[tuple[str, object]]:
        return [(one.spec, one.obstacle) for one in check_items(shop, RUNNING, {}, [replace(ITEM, **values)])]

    assert checked() == [("月卡", SpecObstacle.NOT_COMPARED)]
    assert checked(specs=("时长:月卡",)) == [
        ("时长:月卡", SpecObstacle.NOT_COMPARED), ("月卡", SpecObstacle.NOT_COMPARED),
    ], "one spec was bought; whether there are more is not known"  # fmt: skip
    assert checked(specs=("时长:月卡", "时长:年卡"), is_read=True) == [
        ("时长:月卡", None), ("时长:年卡", Obstacle.UNKNOWN_SPEC),
    ]  # fmt: skip
    assert checked(specs=("时长:月卡", "版本:月卡"), is_read=True) == [
        ("时长:月卡", Obstacle.UNKNOWN_SPEC), ("版本:月卡", Obstacle.UNKNOWN_SPEC),
        ("月卡", SpecObstacle.NO_SUCH_SPEC),
    ]  # fmt: skip


def test_what_the_check_says_is_what_an_order_gets() -> None:
    shop, stock, items = healthy_shop()
    for line in check_items(shop, RUNNING, stock, items):
        purchase = Purchase(item_id=line.item.item_id, title=line.item.title, spec=line.spec)
        assert line.explained == explain_order(shop, stock, purchase)


def test_settings_of_an_item_show_in_the_check() -> None:
    shop = SHOP.evolve(items=(ItemSetting(item_id="1", paid_message="货"),))
    (line,) = check_items(shop, RUNNING, {}, [ITEM])
    assert (line.obstacle, line.explained.parts) == (None, (Part(text="货"),))
