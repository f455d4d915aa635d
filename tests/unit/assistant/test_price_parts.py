"""The parts of a price that a model's text names without an amount."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shoal.assistant.price_parts import price_parts_in


@pytest.mark.parametrize(
    ("text", "share"), [("给您打七", "0.7"), ("打八五吧", "0.85"), ("打6.5，可以吗", "0.65"), ("打个5给你", "0.5")]
)
def test_a_discount_that_is_said_without_its_last_word_is_a_share_of_the_price(text: str, share: str) -> None:
    assert [part.share for part in price_parts_in(text)] == [Decimal(share)]
