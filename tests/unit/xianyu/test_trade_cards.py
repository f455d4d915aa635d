"""Trade cards and their updates: the order, its group price, whether it is paid."""

from typing import cast

import pytest

from shoal.xianyu import push_events
from shoal.xianyu.packets import read_event
from shoal.xianyu.wire_bytes import decode_entry
from support.site.packed_pushes import encode_entry
from support.site.push_samples import AT, BUYER, CHAT, ME, ORDER, PAID, card, card_payload, chat_payload, update_payload


def trade_card(payload: dict[str, object]) -> push_events.TradeCard:
    event = read_event(decode_entry(encode_entry(payload)), ME)
    assert isinstance(event, push_events.TradeCard)
    return event


def test_a_paid_card_carries_its_order() -> None:
    paid = trade_card(card_payload("[我已付款，等待你发货]", PAID))
    assert paid.paid
    assert not paid.group_price
    assert (paid.order_id, paid.buyer_id, paid.item_id) == (ORDER, BUYER, "800000000001")
    assert (paid.title, paid.content_type, paid.created_at_ms) == ("我已付款，等待你发货", 26, AT)


def test_an_unpaid_card_is_not_paid() -> None:
    content = card("我已拍下，待付款", target=f"fleamarket://order_detail?id={ORDER}&role=seller")
    assert not trade_card(card_payload("[我已拍下，待付款]", content)).paid


def test_a_paid_card_without_order_counts_for_nothing() -> None:
    found = trade_card(card_payload("[我已付款，等待你发货]", card("我已付款，等待你发货")))
    assert (found.order_id, found.paid) == (None, False)


def test_our_own_purchase_is_nothing_to_deliver() -> None:
    as_buyer = card("我已付款，等待你发货", target=f"fleamarket://order_detail?id={ORDER}&role=buyer")
    assert not trade_card(card_payload("[我已付款，等待你发货]", as_buyer)).paid
    no_role = card("我已付款，等待你发货", target=f"fleamarket://order_detail?id={ORDER}")
    assert not trade_card(card_payload("[我已付款，等待你发货]", no_role, sender=ME)).paid
    assert trade_card(card_payload("[记得及时发货]", PAID, sender=ME)).buyer_id == BUYER


def test_a_group_price_card_is_recognised_by_its_title() -> None:
    content = card("我已小刀，待刀成", target=f"fleamarket://order_detail?id={ORDER}&role=seller")
    found = trade_card(card_payload("[卡片消息]", content))
    assert (found.group_price, found.paid) == (True, False)


CHANGED = {
    "changeContent": {
        "dxCard": {"item": {"main": {"exContent": {"button": {"targetUrl": "x://y?orderId=3333333333"}}}}}
    }
}


@pytest.mark.parametrize(
    ("content", "order_id"),
    [
        (card("t", button="x://y?orderId=1111111111", target="x://order_detail?id=2222222222"), "1111111111"),
        (card("t", target="x://order_detail?id=2222222222", dynamicOperation=CHANGED), "2222222222"),
        (card("t", dynamicOperation=CHANGED, note="x?orderId=4444444444"), "3333333333"),
        (card("t", note='orderId:4444444444 "id":"5555555555"'), "4444444444"),
        (card("t", id="5555555555", note="bizOrderId=6666666666"), "6666666666"),
        (card("t", id="5555555555"), None),
        (card("t", note="bizOrderId=6666666666"), "6666666666"),
        (card("t", note="orderId=123"), None),
        (card("t", button="x://y?orderId=" + "1" * 33, target="x://order_detail?id=" + "2" * 400), None),
    ],
)
def test_the_order_id_is_looked_for_in_order(content: dict[str, object], order_id: str | None) -> None:
    assert trade_card(card_payload("[卡片消息]", content)).order_id == order_id


def test_a_card_update_says_that_an_order_is_paid_now() -> None:
    event = read_event(update_payload(contentType="26", updateKey=f"{CHAT}:{ORDER}:2_pay"), ME)
    assert isinstance(event, push_events.CardUpdate)
    assert (event.chat_id, event.message_id, event.order_id, event.paid) == (CHAT, "3500000000001.PNM", ORDER, True)
    assert (event.buyer_id, event.item_id, event.created_at_ms) == (BUYER, "800000000001", AT)


@pytest.mark.parametrize(
    "ext_json", [{}, {"contentType": "26"}, {"contentType": "1", "updateKey": f"{CHAT}:{ORDER}:x"}]
)
def test_a_card_update_without_proof_is_not_paid(ext_json: dict[str, object]) -> None:
    event = read_event(update_payload(**ext_json), ME)
    assert isinstance(event, push_events.CardUpdate)
    assert not event.paid


def updated(**extension: object) -> push_events.CardUpdate:
    payload = update_payload(contentType="26", updateKey=f"{CHAT}:{ORDER}:2_pay")
    payload["4"] = {**cast("dict[str, object]", payload["4"]), **extension}
    event = read_event(payload, ME)
    assert isinstance(event, push_events.CardUpdate)
    return event


def test_f4_a_card_that_an_act_of_our_own_caused_is_no_sale() -> None:
    """Whose act caused a card is all that tells, where it links to no role."""
    assert updated().is_sale
    assert [updated(senderUserId=ME).is_sale, updated(senderUserId=ME).paid] == [False, False]
    no_role = card("你已发货", target=f"fleamarket://order_detail?id={ORDER}")
    assert trade_card(card_payload("[你已发货]", no_role)).is_sale
    assert not trade_card(card_payload("[你已发货]", no_role, sender=ME)).is_sale


def test_f4_an_update_tells_a_group_price_by_its_words_and_not_by_a_name() -> None:
    """``reminderTitle`` is a headline or the buyer's name, which he chooses."""
    texts = {"reminderTitle": "我已小刀，待刀成", "reminderContent": "[卡片消息]"}
    assert not updated(**texts).group_price
    assert updated(**texts).is_sale
    assert updated(reminderContent="[我已小刀，待刀成]").group_price


@pytest.mark.parametrize("order_id", ["abc", "", "1" * 33, "12 34"])
def test_a_context_whose_order_is_no_number_is_not_read(order_id: str) -> None:
    told = {"orderId": order_id, "itemSellerId": ME, "extUserId": BUYER}
    event = read_event(decode_entry(encode_entry({"1": f"{CHAT}@goofish", "2": 1, "3": told, "4": AT})), ME)
    assert isinstance(event, push_events.UnknownEvent)


def test_a_role_in_the_words_of_a_text_card_tells_whose_order_it_is() -> None:
    content = {"contentType": 6, "textCard": {"content": f"order_detail?id={ORDER}&role=Buyer x?orderId={ORDER}"}}
    event = read_event(decode_entry(encode_entry(chat_payload("x", content_type=6, content=content))), ME)
    assert isinstance(event, push_events.TradeCard)
    assert (event.order_id, event.we_sell) == (ORDER, False)
