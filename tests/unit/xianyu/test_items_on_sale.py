"""The price on a card of the site's list: in plain yuan, or unknown."""

from __future__ import annotations

import pytest

from shoal.xianyu.items_on_sale import price_fen_of


@pytest.mark.parametrize(
    ("told", "fen"),
    [
        ({"preText": "¥", "price": "19.90"}, 1990),
        ({"preText": "￥", "price": "19.9"}, 1990),
        ({"preText": "", "price": "20"}, 2000),
        ({"price": "0.29"}, 29),
        ({"preText": "¥", "price": "99999999.99"}, 9_999_999_999),
    ],
)
def test_a_price_in_yuan_is_read_to_the_fen(told: object, fen: int) -> None:
    assert price_fen_of(told) == fen


@pytest.mark.parametrize(
    "price",
    ["", "0", "0.00", "-1", "+1", "1.999", "1.", ".5", "1e3", "1,000", "1.2万", "10-20", "10起", "１０", "٣", " 10",
     "10\n", "¥10", "NaN", "免费", "9" * 9, 10, 19.9, True, None, ["10"], {"price": "10"}],
)  # fmt: skip
def test_a_price_of_another_form_is_unknown(price: object) -> None:
    assert price_fen_of({"preText": "¥", "price": price}) is None


@pytest.mark.parametrize("sign", ["低至¥", "券后", "$", "¥¥", None, 1, ["¥"]])
def test_a_price_behind_another_word_than_the_sign_is_unknown(sign: object) -> None:
    assert price_fen_of({"preText": sign, "price": "10.00"}) is None


@pytest.mark.parametrize("told", [None, "10", 10, [], {}, {"preText": "¥"}])
def test_a_card_without_a_price_has_none(told: object) -> None:
    assert price_fen_of(told) is None
