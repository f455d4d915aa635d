"""What of a buyer's words is an offer that is still open."""

from __future__ import annotations

import pytest

from shoal.assistant.open_offers import Bounds, open_offers
from shoal.assistant.spec_prices import SpecPrices

BOUNDS = Bounds(
    price_fen=10_000,
    reduced_fen=10_000,
    lowest_fen=9_000,
    has_floor=True,
    is_owners=lambda _text, _start, _end: False,
    owner_text="",
    specs=SpecPrices((), (), has_floor=True),
)


@pytest.mark.parametrize(("question", "offers"), [("50", ["50"]), ("在吗，50！", ["50"]), ("第50页少了", [])])
def test_a_low_number_that_stands_alone_is_an_offer(question: str, offers: list[str]) -> None:
    assert open_offers((), question, BOUNDS) == offers
