"""The proof of refunds sees by what each ended, and words on cards that do not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sqlalchemy import create_engine, insert

from faults.delivery_count import Bought
from faults.refund_ways import FEW, WAY_OF, ended_by, unheeded
from shoal.storage.order_tables import order_events

PAID, ASKED = ("pending_ship", "card"), ("refunding", "card")


def told(*entries: tuple[str, str]) -> Mapping[str, str]:
    """Return by what the refund of an order with such a timeline ended."""
    engine = create_engine("sqlite://")
    order_events.create(engine)
    with engine.begin() as connection:
        for status, source in entries:
            row = {"account_id": "shop", "order_id": "o1", "status": status, "source": source, "at_ms": 1}
            connection.execute(insert(order_events), [row])
        found = ended_by(connection)
    engine.dispose()
    return found


@pytest.mark.parametrize(
    ("entries", "ended"),
    [
        ([PAID], {}),
        ([PAID, ASKED], {}),
        ([PAID, ASKED, PAID], {"o1": "card"}),
        ([PAID, ASKED, ("pending_ship", "detail"), ("shipped", "auto")], {"o1": "detail"}),
        ([PAID, ASKED, PAID, ASKED], {}),
        ([PAID, ASKED, PAID, ASKED, ("cancelled", "card_update")], {"o1": "card_update"}),
    ],
)
def test_the_timeline_says_by_what_a_refund_ended(entries: Sequence[tuple[str, str]], ended: dict[str, str]) -> None:
    assert told(*entries) == ended


def test_a_word_on_a_card_that_ends_no_refund_is_seen() -> None:
    ids = {"shop": "shop", "unb": "1", "goods": "M", "wanted": 1}
    bought = [Bought(order_id=f"o{n}", buyer_id=f"b{n}", way="refused", **ids) for n in range(FEW)]  # type: ignore[arg-type]
    by_page = {one.order_id: "detail" for one in bought}
    assert unheeded(bought, by_page) == [
        f"{FEW} refunds ended by a card that says {WAY_OF['refused'].word}, and none was ended by its card"
    ]
    assert unheeded(bought, {**by_page, "o0": "card"}) == unheeded(bought[1:], by_page) == []
