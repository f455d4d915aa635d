"""Defects of the prices that a language model's words are compared with."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_READ = "tests/unit/xianyu/test_items_on_sale.py::"
_KEPT = "tests/connection/test_item_prices.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a price of zero on the site lets any amount pass",
        "xianyu/items_on_sale.py",
        "return int(Decimal(price) * 100) or None",
        "return int(Decimal(price) * 100)",
        f"{_READ}test_a_price_of_another_form_is_unknown[0]",
    ),
    one(
        "a price from somewhere up counts as the price",
        "xianyu/items_on_sale.py",
        "if sign not in _SIGNS or not",
        "if not",
        f"{_READ}test_a_price_behind_another_word_than_the_sign_is_unknown[$]",
    ),
    one(
        "the price of the cheapest spec counts for all specs",
        "server/open_connections.py",
        "has_price = not page.has_specs and not may_have_specs(account, item_id, title)",
        "has_price = not page.has_specs",
        f"{_KEPT}test_without_a_floor_a_model_says_the_price_of_the_site_and_nothing_below",
    ),
    one(
        "a price counts however old it is",
        "orders/item_lists.py",
        "known = self._list(account, younger_than_ms=PRICES_MS)\n        return known.prices",
        "known = self._list(account, younger_than_ms=SHOWN_MS)\n        return known.prices",
        f"{_KEPT}test_a_price_is_forgotten_after_an_hour_and_the_title_is_not",
    ),
    one(
        "an aged price is used for ever",
        "orders/item_lists.py",
        "if known is None or known.age_ms >= AGED_MS:",
        "if known is None:",
        f"{_KEPT}test_without_a_floor_a_model_says_the_price_of_the_site_and_nothing_below",
    ),
    one(
        "a site that does not tell is asked at each question",
        "orders/item_lists.py",
        "            self._failed_at_ms[account_id] = steady_ms()\n",
        "            pass\n",
        f"{_KEPT}test_a_price_that_the_site_does_not_tell_is_unknown_and_hinders_nobody",
    ),
    one(
        "a question that grew while its item's price was looked up is asked all the same",
        "assistant/assistant.py",
        "        if moved_on.is_set():  # while the site was asked for the item\n            return turn\n",
        "",
        f"{_KEPT}test_a_buyer_who_writes_on_while_the_list_is_read_is_asked_about_once",
    ),
)
