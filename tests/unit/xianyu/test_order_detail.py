"""What the page of one order says, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.xianyu.order_detail import OrderDetail, read_order_detail
from shoal.xianyu.trade_texts import comparable, status_named

ITEM: dict[str, Any] = {
    "itemId": "800000000001", "buyAmount": 2, "skuInfo": "尺码：大", "price": "12.50", "title": "手机壳",
    "itemMainPictCdnUrl": " http://img.example.com/1.jpg",
}  # fmt: skip
INFO: dict[str, Any] = {"itemInfo": ITEM, "priceInfo": {"amount": {"value": "25.00"}}}
PAGE: dict[str, Any] = {
    "peerUserId": "2201000000001",
    "components": [
        {"render": "orderStatusVO", "data": {"orderStatusInfo": {"title": "等待卖家发货"}}},
        {"render": "orderInfoVO", "data": INFO},
        {"render": "orderInfoVO", "data": {}},
    ],
}


def test_a_page_says_what_was_bought_by_whom_and_how_it_stands() -> None:
    assert read_order_detail(PAGE) == OrderDetail(
        item_id="800000000001", buyer_id="2201000000001", amount="25.00", quantity="2", spec_name="尺码",
        spec_value="大", status_words="等待卖家发货", item_title="手机壳", item_picture="http://img.example.com/1.jpg",
    )  # fmt: skip


def test_an_empty_page_says_nothing() -> None:
    assert read_order_detail({}) == OrderDetail()


def test_a_spec_without_a_name_is_a_value() -> None:
    item = ITEM | {"skuInfo": "红色"}
    seen = read_order_detail({"components": [{"render": "orderInfoVO", "data": INFO | {"itemInfo": item}}]})
    assert (seen.spec_name, seen.spec_value) == ("", "红色")


def test_several_groups_of_specs_are_joined() -> None:
    item = ITEM | {"skuInfo": "颜色:红;尺码：大；现货"}
    seen = read_order_detail({"components": [{"render": "orderInfoVO", "data": INFO | {"itemInfo": item}}]})
    assert (seen.spec_name, seen.spec_value) == ("颜色; 尺码", "红; 大; 现货")


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*sorted(PAGE), "data"]) | st.text(), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["components", "itemId", "peerUserId"]), anything))
def test_no_page_breaks_the_reader(page: dict[str, Any]) -> None:
    assert isinstance(read_order_detail(page).item_id, str)


@given(st.lists(st.fixed_dictionaries({"render": st.sampled_from(["orderInfoVO", "orderStatusVO"]), "data": anything})))
def test_no_component_breaks_the_reader(components: list[Any]) -> None:
    seen = read_order_detail({"components": components})
    assert all(len(value) <= 200 for value in (seen.amount, seen.spec_name, seen.spec_value, seen.status_words))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("[我已拍下，待付款]", "processing"),
        ("[我已付款，等待你发货]", "pending_ship"),
        ("[已付款，待发货]", "pending_ship"),
        ("[记得及时发货]", "pending_ship"),
        ("我已小刀，待刀成", "group_pending"),
        ("[你已发货，请等待买家确认收货]", "shipped"),
        ("[买家确认收货，交易成功]", "completed"),
        ("[你关闭了订单，钱款已原路退返]", "cancelled"),
        ("[退款成功，钱款已原路退返]", "cancelled"),
        ("交易关闭", "cancelled"),
        ("[我发起了退款申请]", "refunding"),
        ("[我撤销了退款申请]", "refund_cancelled"),
        ("等待买家付款", "processing"),
        ("等待卖家发货", "pending_ship"),
        ("快给ta一个评价吧~", ""),
        ("", ""),
    ],
)
def test_the_sites_words_tell_a_status(words: str, status: str) -> None:
    assert status_named(words) == status


def test_a_phrase_is_the_same_in_either_punctuation() -> None:
    assert comparable("[已付款,待发货 ~]") == comparable("【已付款，待发货～】") == "已付款，待发货～"
