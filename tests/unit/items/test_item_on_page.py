"""What of a stored page holds, and how long: words for a day, prices and that an item is gone for an hour."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.accounts.delivery_rule import DeliveryRule
from shoal.items.item_on_page import ItemOnPage, item_on_page
from shoal.items.item_page_rows import StoredPage
from shoal.items.item_pages import PRICES_MS, WORDS_MS
from shoal.xianyu.item_page import ItemPage, ItemStatus, SpecPrice
from support.databases.store_steps import an_account

NOW = 1_795_893_583_484
SPECS = (SpecPrice("时长:月卡", 2_500), SpecPrice("时长:年卡", 20_000))


def known(age_ms: int = 0, *, of_spec: str = "", **page: Any) -> ItemOnPage:
    stored = StoredPage(
        item_id="7001", page=ItemPage(title="会员", description="即时发货", **page), read_at_ms=NOW - age_ms
    )
    rules = (DeliveryRule(item_id="7001", spec=of_spec, nothing_to_send=True),) if of_spec else ()
    return item_on_page(an_account(deliveries=rules), stored, now_ms=NOW)


def test_a_price_holds_for_an_hour_and_the_words_for_a_day() -> None:
    fresh = known(PRICES_MS - 1, price_fen=1_990)
    assert (fresh.item.price_fen, fresh.is_whole, fresh.item.read_at_ms) == (1_990, True, NOW - PRICES_MS + 1)
    aged = known(PRICES_MS, price_fen=1_990)
    assert (aged.item.price_fen, aged.is_whole, aged.item.description) == (None, False, "即时发货")
    assert known(WORDS_MS, price_fen=1_990) == ItemOnPage() == item_on_page(an_account(), None, now_ms=NOW)
    assert known(-5, price_fen=1_990) == ItemOnPage(), "of a clock that was set back nothing is known"


def test_prices_of_specs_hold_for_an_hour_and_the_list_s_price_never_stands_for_them() -> None:
    fresh, aged = (known(age, has_specs=True, specs=SPECS) for age in (0, PRICES_MS))
    assert (fresh.item.specs, fresh.item.price_fen, fresh.is_whole) == (SPECS, None, True)
    assert (aged.item.specs, aged.is_whole, aged.has_specs) == ((), False, True)
    unread = known(has_specs=True)
    assert (unread.item.price_fen, unread.is_whole, unread.has_specs) == (None, False, True)
    one = known(has_specs=True, specs=(SpecPrice("a", 5), SpecPrice("b", 5)), price_fen=5)
    assert (one.item.price_fen, one.item.specs) == (5, ())


def test_a_rule_for_a_spec_makes_the_only_price_of_a_page_unknown() -> None:
    found = known(of_spec="时长:年卡", price_fen=1_990)
    assert (found.item.price_fen, found.is_whole, found.has_specs) == (None, False, True)
    assert known(of_spec="时长:年卡", has_specs=True, specs=SPECS).item.specs == SPECS


@pytest.mark.parametrize(("age", "is_gone"), [(0, True), (PRICES_MS, False)])
def test_that_an_item_is_gone_holds_for_an_hour(age: int, is_gone: bool) -> None:
    found = known(age, status=ItemStatus.GONE)
    assert (found.item.is_gone, found.is_whole) == (is_gone, is_gone)
