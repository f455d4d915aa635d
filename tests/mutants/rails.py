"""Defects of the rails of a language model's answers: each rail left out, and each promise of prices."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_RAILS = "tests/unit/assistant/test_rails.py::"
_HELD = f"{_RAILS}test_what_a_rail_must_hold_back_is_held_back"
_OUTPUT = "tests/unit/assistant/test_model_output.py::"
_PROMPT = "tests/unit/assistant/test_prompt.py::"

_WITHOUT: tuple[Noticed, ...] = tuple(
    one(
        f"an answer passes without the rail {rail}",
        "assistant/rails.py",
        f"    Rail.{rail.upper()}: _{rail},\n",
        f"    Rail.{rail.upper()}: lambda _: iter(()),\n",
        f"{_HELD}[{rail}]",
    )
    for rail in (
        "turns", "length", "language", "echo", "facts", "amount", "offer", "filter", "promise", "later_work", "machine",
    )
)  # fmt: skip

NOTICED: tuple[Noticed, ...] = (
    *_WITHOUT,
    one(
        "an item's floor of 0 is read as none",
        "assistant/rail_facts.py",
        "return shop_floor_fen if item_floor_fen is None else item_floor_fen",
        "return item_floor_fen or shop_floor_fen",
        f"{_RAILS}test_a_discount_of_0_is_no_discount_and_not_a_default",
    ),
    one(
        "an offer of 0 is read as none",
        "assistant/rails.py",
        "    if offered is None:\n",
        "    if not offered:\n",
        f"{_RAILS}test_a_discount_of_0_is_no_discount_and_not_a_default",
    ),
    one(
        "a part of an owner's clause may be said",
        "assistant/rails.py",
        "clause in self.owner_clauses",
        "clause in self.owner_text",
        f"{_RAILS}test_an_owners_clause_may_be_repeated_whole_and_nothing_of_it",
    ),
    one(
        "each discount is looked at alone",
        "assistant/price_words.py",
        "            left = min(left, one.left_of(left))\n",
        "            left = min(left, one.left_of(price_fen))\n",
        f"{_RAILS}test_discounts_in_one_answer_add_up",
    ),
    one(
        "an amount of the shop's ends offers that an answer points back to",
        "assistant/rails.py",
        "reopened = points_back(reply.plain, reply.asked)",
        "reopened = False",
        f"{_RAILS}test_an_answer_that_points_back_to_a_low_offer_accepts_it",
    ),
    one(
        "the pieces that only the buyer names are not counted",
        "assistant/rails.py",
        "pieces=max(found.pieces, asked_pieces(self.asked, before, self.plain))",
        "pieces=found.pieces",
        f"{_RAILS}test_the_pieces_that_the_buyer_asks_for_count",
    ),
    one(
        "a price of several pieces is read as that of one",
        "assistant/rails.py",
        "(1 if amount.of_one else reply.prices.pieces)",
        "1",
        f"{_HELD}[amount]",
    ),
    one(
        "a number without a sign of money is no amount",
        "assistant/spoken_amounts.py",
        "    rest = text[match.end() :]\n",
        "    return True\n    rest = text[match.end() :]\n",
        f"{_HELD}[amount]",
    ),
    one(
        "signs of other alphabets are no digits",
        "assistant/plain_text.py",
        '"".join(_digit(sign) if not sign.isascii() else sign for sign in text)',
        "text",
        f"{_HELD}[amount]",
    ),
    one(
        "what the answer before said is forgotten",
        "assistant/rails.py",
        "    if tail:  # what",
        "    if False:  # what",
        f"{_HELD}[filter]",
    ),
    one(
        "a yes to the buyer's low price passes",
        "assistant/rails.py",
        "    yield from ((Why.AGREED, words) for words in _left_open(reply))\n",
        "    yield from ()\n",
        f"{_HELD}[amount]",
    ),
    one(
        "only listed words agree to an open offer",
        "assistant/rails.py",
        "    yield from open_offers(facts.turns, facts.buyer_text, bounds, reopened=reopened)\n",
        "    yield from open_offers(facts.turns, facts.buyer_text, bounds) if agrees(reply.plain) else ()\n",
        f"{_HELD}[amount]",
    ),
    one(
        "an offer some lines before the question is forgotten",
        "assistant/rails.py",
        "open_offers(facts.turns, ",
        "open_offers((), ",
        f"{_HELD}[amount]",
    ),
    one(
        "an offer stays open after the shop named an allowed amount",
        "assistant/open_offers.py",
        "            texts.clear()\n",
        "            pass\n",
        f"{_RAILS}test_what_is_good_passes_all_rails",
    ),
    one(
        "an allowed amount that is only told answers an offer",
        "assistant/open_offers.py",
        "any(map(is_deal, named)) or (bool(named) and are_stated(named, [one for one in clauses if one not in named]))",
        "bool(named)",
        f"{_HELD}[amount]",
        f"{_RAILS}test_an_open_offer_is_answered_by_an_amount_or_a_whole_refusal",
    ),
    one(
        "a told amount answers an offer beside any words",
        "assistant/deal_clauses.py",
        "    return all(is_courtesy(one) or refuses(one) or _is_of_item(one) for one in others)\n",
        "    return True\n",
        f"{_HELD}[amount]",
    ),
    one(
        "a told amount never answers an offer",
        "assistant/deal_clauses.py",
        "    return all(is_courtesy(one) or refuses(one) or _is_of_item(one) for one in others)\n",
        "    return False\n",
        f"{_RAILS}test_what_is_good_passes_all_rails",
    ),
    one(
        "a part of a number is read as that of the price",
        "assistant/concessions.py",
        "(price_fen if self.base_fen is None else self.base_fen)",
        "price_fen",
        f"{_RAILS}test_a_part_is_that_of_the_number_beside_it",
    ),
    one(
        "a part of a price is no concession",
        "assistant/concessions.py",
        "    for part in price_parts_in(text):\n",
        "    for part in ():\n",
        f"{_HELD}[amount]",
    ),
    one(
        "what a fraction takes away is read as what it leaves",
        "assistant/price_parts.py",
        "1 - share if is_less and share != _MOST else share",
        "share",
        f"{_RAILS}test_a_part_is_that_of_the_number_beside_it",
    ),
    one(
        "the first digit of a price is no price",
        "assistant/concessions.py",
        "    for head in price_heads_in(text):\n",
        "    for head in ():\n",
        f"{_HELD}[amount]",
    ),
    one(
        "a price that is only said to be below an amount is that amount",
        "assistant/spoken_amounts.py",
        "value is None or _is_bound(text, match)",
        "value is None",
        f"{_HELD}[amount]",
    ),
    one(
        "a gift in other words is no concession",
        "assistant/concessions.py",
        "        (GIFT, Kind.FREE),\n",
        "",
        f"{_HELD}[amount]",
        f"{_RAILS}test_a_gift_in_other_words_is_a_concession",
    ),
    one(
        "of specs told together the cheapest counts",
        "assistant/spec_prices.py",
        "amount.fen >= max(together) * count",
        "amount.fen >= min(together) * count",
        f"{_HELD}[amount]",
        "tests/unit/assistant/test_spec_prices.py::test_of_specs_told_together_the_dearest_counts",
    ),
    one(
        "a bound of a bare number is that number",
        "assistant/spoken_amounts.py",
        " or _ENDS.match(after)",
        "",
        f"{_HELD}[amount]",
        f"{_RAILS}test_a_bound_without_a_word_of_money_is_a_price_too",
    ),
    one(
        "a time that the owner did not tell may be promised",
        "assistant/promises.py",
        "    yield from (match for match in _IN_TIME.finditer(text) if _promise(match) not in times)\n",
        "    yield from ()\n",
        f"{_HELD}[promise]",
    ),
    one(
        "what only an owner may stand for is promised by the model",
        "assistant/promises.py",
        "        if match[0] not in owners and not",
        "        if False and not",
        f"{_HELD}[promise]",
        f"{_RAILS}test_what_a_shop_stands_for_is_said_only_when_its_owner_says_so",
    ),
    one(
        "a refusal may say yes beside",
        "assistant/refusals.py",
        "all(are_refusals)",
        "any(are_refusals)",
        f"{_RAILS}test_an_open_offer_is_answered_by_an_amount_or_a_whole_refusal",
    ),
    one(
        "a concession leaves in halves",
        "assistant/price_words.py",
        "        concessions += _in_halves(tail, text)\n",
        "        pass\n",
        f"{_HELD}[amount]",
    ),
    one(
        "a blank within a word hides it",
        "assistant/plain_text.py",
        'return _SPLIT.sub("", text)',
        "return text",
        f"{_HELD}[machine]",
        f"{_HELD}[later_work]",
    ),
    one(
        "who asks for a machine may be told of a person",
        "assistant/machine_words.py",
        "        found += [match[0] for match in _PERSONAL.finditer(text)]\n",
        "",
        f"{_HELD}[machine]",
        f"{_RAILS}test_who_asks_for_a_machine_is_not_told_of_a_person",
    ),
    one(
        "a bare no is no denial",
        "assistant/machine_words.py",
        "            found.append(bare[0])\n",
        "            pass\n",
        f"{_HELD}[machine]",
    ),
    one(
        "the last of two actions is taken",
        "assistant/model_output.py",
        "object_pairs_hook=_once, ",
        "",
        f"{_OUTPUT}test_anything_else_is_bad_output",
    ),
    one(
        "words of a chat reach the model as they are",
        "assistant/prompt.py",
        "    return _SECRET.sub(HIDDEN, text)\n",
        "    return text\n",
        f"{_PROMPT}test_codes_cookies_numbers_and_names_are_not_in_it",
    ),
)
