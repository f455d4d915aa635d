"""The count at the buyers' side sees each thing that can go wrong with a delivery."""

from __future__ import annotations

from typing import Any

import pytest

from faults.delivery_count import THANKS, Bought, count, texts_by_buyer, unit_text

A1, A2, A3, B1 = unit_text("A", 1), unit_text("A", 2), unit_text("A", 3), unit_text("B", 1)
UNB = "2200000000001"


def bought(number: int, undone: str = "") -> Bought:
    ids = {"order_id": f"o{number}", "unb": UNB, "buyer_id": f"b{number}"}
    return Bought(shop="shop", goods="A", wanted=2, undone=undone, **ids)


def site(status: str = "shipped", *rets: str) -> dict[str, Any]:
    return {"status": status, "attempts": [{"ret": ret} for ret in (rets or ("SUCCESS::调用成功",))]}


@pytest.mark.parametrize(
    ("texts", "order", "wrong"),
    [
        ([f"码：\n{A1}\n{A2}", THANKS], site(), {}),
        ([A1, A2, THANKS], site("pending_ship", "FAIL"), {}),
        ([A1, A2, A2, THANKS], site(), {"doubled": 1}),
        ([A1, THANKS], site("pending_ship", "FAIL"), {"lost": 1}),
        ([A1, THANKS], site(), {"lost": 1, "confirmed_incomplete": 1}),
        ([A1, A2], site(), {"without_thanks": 1, "confirmed_incomplete": 1}),
        ([A1, B1, THANKS], site(), {"of_another_spec": 1}),
        ([A1, A2, A3, THANKS], site(), {"too_many": 1}),
        ([A1, A2, THANKS, THANKS], site(), {"without_thanks": 1}),
        ([], site(), {"lost": 2, "without_thanks": 1, "confirmed_incomplete": 1}),
        ([A1, A2, THANKS], site("shipped", "SUCCESS::", "SUCCESS::"), {"confirmed_twice": 1}),
        ([], site("pending_ship", "FAIL"), {"not_served": 1}),
    ],
)
def test_what_is_wrong_with_an_order_is_counted(texts: list[str], order: dict[str, Any], wrong: dict[str, int]) -> None:
    counted = count([bought(1)], {(UNB, "b1"): texts}, {"o1": order})
    fields = vars(counted).items()
    facts = ("orders", "units_ordered", "units_received", "complete")
    assert {name: value for name, value in fields if value and name not in (*facts, "unexplained")} == wrong
    assert (counted.orders, counted.units_ordered, counted.complete) == (1, 2, int(not wrong))
    assert len(counted.unexplained) == int(bool(counted.breaches))


def test_a_unit_that_two_buyers_hold_is_counted() -> None:
    held = {(UNB, "b1"): [A1, A2, THANKS], (UNB, "b2"): [A2, A3, THANKS]}
    counted = count([bought(1), bought(2)], held, {"o1": site(), "o2": site()})
    assert (counted.in_two_orders, counted.doubled, counted.units_received) == (1, 0, 4)
    assert counted.breaches == 1


@pytest.mark.parametrize(
    ("texts", "order", "breaches"),
    [
        ([], site("cancelled", "FAIL"), 0),
        ([A1], site("refunding", "FAIL"), 0),
        ([A1, A2, THANKS], site(), 0),
        ([A1], site(), 1),
        ([A1, A1], site("refunding", "FAIL"), 1),
        ([B1], site("refunding", "FAIL"), 1),
    ],
)
def test_an_order_that_was_undone_may_have_a_part_but_nothing_wrong(
    texts: list[str], order: dict[str, Any], breaches: int
) -> None:
    counted = count([bought(1, "refund_asked")], {(UNB, "b1"): texts}, {"o1": order})
    assert (counted.undone, counted.complete, counted.not_served, counted.breaches) == (1, 0, 0, breaches)


def test_the_texts_are_those_of_the_sandboxs_receipts() -> None:
    received = [{"kind": "text", "text": A1}, {"kind": "picture", "text": "", "image_url": "x"}]
    receipts = {"items": [{"account": UNB, "buyer_id": "b1", "received": received}]}
    assert texts_by_buyer(receipts) == {(UNB, "b1"): [A1]}
