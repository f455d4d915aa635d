"""Open offers: low prices of the buyer's that the shop has not answered with an allowed amount. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from shoal.assistant.concessions import Kind
from shoal.assistant.deal_clauses import are_stated, is_deal
from shoal.assistant.plain_text import plain
from shoal.assistant.price_words import Owners, PriceWords, price_words
from shoal.assistant.prompt import LONGEST_QUESTION, LONGEST_TURN, MOST_TURNS, Turn
from shoal.assistant.refusals import refuses
from shoal.assistant.spec_prices import SpecPrices
from shoal.assistant.spoken_amounts import MONEY

_MONEY: Final = re.compile(rf"{MONEY}|[¥$€£]")
_OFFERS: Final = re.compile(
    r"卖|出|行(?!李)|可以|包邮|拿|收|带走|最多|成交|成不|给|价|便宜|刀|怎么?样|咋样|如何|得了|就要|接受|能不能|能[少低]|"
    r"吧(?=$|[，。！？?!,.\s])|"
    r"(?<![a-z])(?:(?:you|can) do|how about|ok|okay|take|deal|accept|offer|sell|price|pay|give|budget)(?![a-z])"
)
_ALONE: Final = re.compile(r"[\s，。！？?!,.~…]*")
_CARRIAGE: Final = "(?:运费|邮费|快递费)(?:是|要|收)?[^\\S\\n]?"
_OTHER_PRICE: Final = re.compile(
    r"原价|平时|平常|本来|原来|之前|以前|下次|以后|市场|官网|专柜|买来|入手|别家|别人|新品|虽然|尽管|运费|邮费|快递费|配件|押金|定金|"
    r"不(?:用|要|是|必|到|需)|无需|(?<!不)低于|没到|"
    r"(?<![a-z])(?:was|although|retail|usually|normally|originally|next time|shipping|postage|not|instead of)(?![a-z])"
)
_CLAUSE: Final = re.compile(r"[。！？；!?;\n，]|(?<![0-9]),|,(?![0-9])|\.(?![0-9a-z])")
_YOURS: Final = re.compile(
    "(?:按|依|照|听|归|随)[你您]|[你您](?:说|出|给|讲)的|[你您]说了算|就?(?:这样|这么)(?:吧|定)|"
    "as you (?:say|said|like)|your (?:price|offer)"
)
_EARLIER: Final = "(?:最?开始|一开始|最初|起初|刚才|刚刚|之前|先前|前面|上面|原先)"
_BACK: Final = re.compile(
    f"(?:按|依|照|就|以|随|听)[着照]?[您你我]?{_EARLIER}|[您你]{_EARLIER}[^，。！？,!?]{{0,3}}(?:说|出|报|给|提|讲)|那个?价|"
    r"(?:your|the|that) (?:first|earlier|original|previous) (?:price|offer|number|one)|what you (?:said|offered|asked)"
)
_ASKED_BACK: Final = re.compile(
    f"{_EARLIER}[^，。！？,!?]{{0,6}}(?:价|数|元|块|钱)|那个价|"
    r"my (?:first|earlier|original|previous) (?:price|offer|number|one)|what i (?:said|offered)"
)
_ASKED: Final = frozenset({Kind.VAGUE, Kind.POSTAGE, Kind.ROUNDED})


class Bounds(msgspec.Struct, frozen=True):
    """What an amount is compared with; ``is_owners``, ``owner_text``: the owner's own words, as in ``price_words``.

    ``price_fen`` is that of the dearest spec, ``reduced_fen`` what a concession is taken from. A fair price of a spec
    is not below anything.
    """

    price_fen: int | None
    reduced_fen: int | None
    lowest_fen: int | None
    has_floor: bool
    is_owners: Owners
    owner_text: str
    specs: SpecPrices

    def words_in(self, text: str) -> PriceWords:
        """Return what a plain text says about prices, beside the owner's words and fair prices of specs."""
        return self.without_fair(text, price_words(text, "", self.is_owners, self.owner_text))

    def without_fair(self, text: str, prices: PriceWords) -> PriceWords:
        """Return it without the fair prices of specs."""
        if not self.specs.specs or self.has_floor:
            return prices
        kept = (amount for amount in prices.amounts if not self.specs.is_fair(text, amount, prices.pieces))
        return replace(prices, amounts=tuple(kept))


def points_back(answer: str, question: str) -> bool:
    """Return whether a plain answer, or the plain question for it, speaks of a price that the buyer named earlier."""
    return _BACK.search(answer) is not None or _ASKED_BACK.search(question) is not None


def open_offers(turns: Sequence[Turn], question: str, bounds: Bounds, *, reopened: bool = False) -> list[str]:
    """Return the words of the buyer's last open offer: in the question, or since the shop named an allowed amount.

    ``reopened``: offers before that amount count too, for an answer that may speak of one.
    """
    texts: list[str] = []
    for turn in turns[-MOST_TURNS:]:
        text = plain(turn.text[:LONGEST_TURN])
        if turn.is_buyer:
            texts.append(text)
        elif not reopened and names_allowed_amount(text, bounds):
            texts.clear()
    for text in (plain(question[:LONGEST_QUESTION]), *reversed(texts)):
        below = bounds.words_in(text).below(bounds.reduced_fen, bounds.lowest_fen)
        if offers := [words for words in below if _is_offer(text, words)]:
            return offers  # reading on would take long, and change nothing
    return []


def loose_offers(question: str, bounds: Bounds) -> Iterator[str]:
    """Return what may be an offer in a question: any low number, and a wish for a concession without an amount."""
    prices = bounds.words_in(plain(question[:LONGEST_QUESTION]))
    yield from prices.below(bounds.reduced_fen, bounds.lowest_fen)
    for one in prices.concessions:
        if one.found.kind in _ASKED and (
            bounds.lowest_fen is None
            or not one.is_kept(bounds.reduced_fen, bounds.lowest_fen, has_floor=bounds.has_floor)
        ):
            yield one.words


def names_allowed_amount(text: str, bounds: Bounds) -> bool:
    """Return whether a plain text of the shop's answers with an amount of money, from the lowest to the price.

    An amount that is only stated, such as "标价15元", answers nothing when the rest may agree: "可以，标价15元".
    """
    clauses = [clause for clause in _CLAUSE.split(text) if clause.strip()]
    if bounds.lowest_fen is None or any(_YOURS.search(clause) and not refuses(clause) for clause in clauses):
        return False
    named = [clause for clause in clauses if _names_allowed(clause, bounds)]
    return any(map(is_deal, named)) or (bool(named) and are_stated(named, [one for one in clauses if one not in named]))


def _names_allowed(clause: str, bounds: Bounds) -> bool:
    """Return whether a clause names an allowed amount that is not said of another time, thing or shop."""
    if bounds.lowest_fen is None or _OTHER_PRICE.search(clause):
        return False
    prices = price_words(clause, "", _of_nobody, bounds.owner_text)
    if len(bounds.without_fair(clause, prices).amounts) < len(prices.amounts):
        return True
    for amount in prices.amounts:
        pieces = 1 if amount.of_one else prices.pieces
        most = amount.fen if bounds.price_fen is None else bounds.price_fen * pieces
        if amount.fen is not None and most is not None and bounds.lowest_fen * pieces <= amount.fen <= most:
            return True
    return False


def _of_nobody(_text: str, _start: int, _end: int) -> bool:
    return False


def _is_offer(text: str, words: str) -> bool:
    """Return whether low words are an offer: money, a number alone or among words of trade, and not the carriage."""
    if re.search(_CARRIAGE + re.escape(words), text):
        return False
    if _MONEY.search(words) or _OFFERS.search(text):
        return True
    clauses = (clause.strip() for clause in re.split(r"[，。！？?!\n]|(?<![0-9]),|,(?![0-9])", text))
    return any(words in clause and _ALONE.fullmatch(clause.replace(words, "").strip("吗呢嘛")) for clause in clauses)
