"""Defects of the prices that a language model's words are compared with."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_READ = "tests/unit/xianyu/test_items_on_sale.py::"
_KEPT = "tests/connection/test_item_prices.py::"
_PAGES = "tests/connection/test_item_pages.py::"
_SPECS = "tests/unit/assistant/test_spec_prices.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a page is read for a question that the limits hold back",
        "assistant/assistant.py",
        "item_id=question.item_id if with_item else None",
        "item_id=question.item_id",
        f"{_PAGES}test_a_question_that_the_limits_hold_back_asks_for_no_page",
    ),
    one(
        "pages of strange items are read without end",
        "items/item_pages.py",
        "if len(times) >= MOST_STRANGE:",
        "if False:",
        f"{_PAGES}test_a_buyer_who_names_ever_new_items_makes_the_shop_read_few_pages",
    ),
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
        "items/item_lists.py",
        "known = self._list(account, younger_than_ms=PRICES_MS)\n        return known.prices",
        "known = self._list(account, younger_than_ms=SHOWN_MS)\n        return known.prices",
        f"{_KEPT}test_a_price_is_forgotten_after_an_hour_and_the_title_is_not",
    ),
    one(
        "an aged price is used for ever",
        "items/item_lists.py",
        "if known is None or known.age_ms >= AGED_MS:",
        "if known is None:",
        f"{_KEPT}test_without_a_floor_a_model_says_the_price_of_the_site_and_nothing_below",
    ),
    one(
        "a site that does not tell is asked at each question",
        "items/item_lists.py",
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
    one(
        "a price of a page counts however old it is",
        "items/item_on_page.py",
        "price = page.price_fen if is_fresh and has_specs",
        "price = page.price_fen if has_specs",
        "tests/unit/items/test_item_on_page.py::test_a_price_holds_for_an_hour_and_the_words_for_a_day",
    ),
    one(
        "an item that was sold once stays sold",
        "items/item_on_page.py",
        "is_gone = is_fresh and page",
        "is_gone = page",
        "tests/unit/items/test_item_on_page.py::test_that_an_item_is_gone_holds_for_an_hour[3600000-False]",
    ),
    one(
        "one price of a page counts for specs that delivery rules name",
        "items/item_on_page.py",
        "if is_fresh and has_specs == page.has_specs else None",
        "if is_fresh else None",
        "tests/unit/items/test_item_on_page.py::test_a_rule_for_a_spec_makes_the_only_price_of_a_page_unknown",
    ),
    one(
        "a spec may be offered for another's price",
        "assistant/spec_prices.py",
        "meant = self._prices_named_at(text, amount.start) or self._asked_about",
        "meant = ()",
        f"{_SPECS}test_the_prices_of_two_specs_are_not_exchanged",
    ),
    one(
        "the spec that the buyer named is forgotten",
        "assistant/spec_prices.py",
        "self._prices_named_at(text, amount.start) or self._asked_about",
        "self._prices_named_at(text, amount.start)",
        f"{_SPECS}test_the_spec_that_the_buyer_named_before_is_meant",
    ),
    one(
        "with a floor a spec's price below it may be offered",
        "assistant/rails.py",
        "elif offered < lowest and (offered not in fair or facts.floor_fen is not None):",
        "elif offered < lowest and offered not in fair:",
        f"{_SPECS}test_with_a_floor_the_floor_says_what_is_too_low_for_every_spec",
    ),
    one(
        "the site's description counts as the owner's words",
        "assistant/contexts.py",
        "context.item_facts, context.item_title)",
        "context.item_facts, context.item_title, context.item_description)",
        f"{_SPECS}test_a_page_s_words_are_data_beside_the_chat_and_not_what_the_rails_believe",
    ),
    one(
        "with one spec that cannot be read the others' prices count",
        "xianyu/item_page.py",
        "    return specs if is_whole else ()",
        "    return specs",
        "tests/unit/xianyu/test_item_page.py::test_with_one_spec_that_cannot_be_read_no_price_is_known[odd0]",
    ),
    one(
        "another seller's page counts",
        "items/item_pages.py",
        "        return ItemPage(), OTHER_SELLER\n",
        "        return page, OTHER_SELLER\n",
        f"{_PAGES}test_pages_are_read_one_after_another_and_another_seller_s_is_no_fact",
    ),
    one(
        "a page is asked for at each question while nothing can be stored",
        "items/item_pages.py",
        "        _remember(self._asked_at_ms, key)\n",
        "",
        f"{_PAGES}test_a_page_that_fails_is_asked_for_once_in_its_age_limit_also_when_nothing_can_be_stored",
    ),
)
