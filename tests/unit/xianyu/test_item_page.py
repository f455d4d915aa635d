"""An item's page: what is read of it, and that what has another form is left out and never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.xianyu.item_page import LONGEST_DESCRIPTION, MOST_SPECS, ItemPage, ItemStatus, SpecPrice, read_item_page

ID = "800000000001"


def sku(price: Any, *groups: tuple[Any, Any], left: Any = 3) -> dict[str, Any]:
    named = [{"propertyText": name, "valueText": value} for name, value in groups]
    return {"price": price, "quantity": left, "propertyList": named}


def read(seller: Any = None, **item: Any) -> ItemPage:
    page = read_item_page({"itemDO": {"itemId": ID, "soldPrice": "19.90", **item}, "sellerDO": seller}, ID)
    assert page is not None
    return page


MONTH, YEAR = sku(2500, ("时长", "月卡")), sku(20000, ("时长", "年卡"), left=0)


def test_a_page_is_read_with_its_specs() -> None:
    page = read(
        {"sellerId": 2200000000002}, title=" 会员 ", desc="即时发货", quantity=7, itemStatus=0, skuList=[MONTH, YEAR]
    )
    assert page == ItemPage(
        title="会员",
        description="即时发货",
        has_specs=True,
        specs=(SpecPrice("时长:月卡", 2500, 3), SpecPrice("时长:年卡", 20000, 0)),
        quantity=7,
        status=ItemStatus.ON_SALE,
        seller_id="2200000000002",
    )
    assert [spec.values for spec in page.specs] == [("月卡",), ("年卡",)]
    assert SpecPrice("颜色:红;尺码:大", 1).values == ("红", "大")


def test_the_price_of_an_item_without_specs_is_the_one_that_is_shown() -> None:
    assert read().price_fen == 1990
    assert read(skuList=[sku(700)]).price_fen == 1990
    assert not read(skuList=[sku(700)]).has_specs
    assert read(skuList=[MONTH, sku(2500, ("时长", "周卡"))]).price_fen == 2500, "one price of all specs is the item's"


@pytest.mark.parametrize("price", [None, 19.9, 1990, "¥19.90", "19.9起", "0", "0.00", "1,990", "1e3", True, "19.999"])
def test_a_price_of_another_form_is_unknown(price: Any) -> None:
    assert read(soldPrice=price).price_fen is None


@pytest.mark.parametrize(
    "odd",
    [
        sku("2500", ("时长", "周卡")),
        sku(25.0, ("时长", "周卡")),
        sku(0, ("时长", "周卡")),
        sku(True, ("时长", "周卡")),
        sku(2500, ("时长", "")),
        sku(2500, ("时长", 5)),
        sku(2500, ("时长", "a;b")),
        sku(2500, ("时长", "月卡")),
        sku(2500),
        {"price": 2500},
        "周卡",
    ],
)
def test_with_one_spec_that_cannot_be_read_no_price_is_known(odd: Any) -> None:
    page = read(skuList=[MONTH, odd])
    assert (page.has_specs, page.specs, page.price_fen) == (True, (), None)


def test_of_too_many_specs_none_is_known() -> None:
    rows = [sku(100 + place, ("号", f"第{place}")) for place in range(MOST_SPECS + 1)]
    assert len(read(skuList=rows[:-1]).specs) == MOST_SPECS
    assert read(skuList=rows).specs == ()


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"itemStatusStr": "卖掉了", "itemStatus": 0}, ItemStatus.GONE),
        ({"itemStatusStr": "已下架"}, ItemStatus.GONE),
        ({"itemStatusStr": "在线", "itemStatus": 0}, ItemStatus.ON_SALE),
        ({"itemStatusStr": "审核中", "itemStatus": 0}, ItemStatus.UNKNOWN),
        ({"itemStatus": 1}, ItemStatus.UNKNOWN),
        ({"itemStatus": False}, ItemStatus.UNKNOWN),
        ({}, ItemStatus.UNKNOWN),
    ],
)
def test_only_known_words_say_that_an_item_is_gone(told: dict[str, Any], status: ItemStatus) -> None:
    assert read(**told).status is status


@pytest.mark.parametrize("data", [{}, {"itemDO": None}, {"itemDO": []}, {"itemDO": {"itemId": "800000000002"}}])
def test_what_is_no_page_of_the_item_is_none(data: dict[str, Any]) -> None:
    assert read_item_page(data, ID) is None


def test_texts_are_cut_and_a_strange_seller_is_nobody_s() -> None:
    assert len(read(desc="长" * 9_000).description) == LONGEST_DESCRIPTION
    assert read(desc={"text": "x"}, title=5).description == ""
    assert read({"sellerId": "abc"}).seller_id == "?"
    assert read({"sellerId": None}).seller_id == ""


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
NAMES = ("title", "desc", "soldPrice", "quantity", "skuList", "itemStatus", "itemStatusStr")


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), VALUES)
def test_a_page_of_any_form_is_read_and_says_no_price_that_is_not_there(item: dict[str, Any], seller: Any) -> None:
    page = read_item_page({"itemDO": item, "sellerDO": seller}, ID)
    assert page is not None
    assert page.price_fen is None or page.price_fen > 0
    assert all(spec.price_fen > 0 and spec.name for spec in page.specs)
