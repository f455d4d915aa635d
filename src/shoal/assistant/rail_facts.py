"""The rails by name, what they compare with, and their verdicts. The checks themselves are in ``rails``.

A server knows the names from its start; it loads the checks, a twentieth of what it loads, with a model's first answer.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from shoal.assistant.prompt import Turn
from shoal.rules.output_filter import OutputFilter
from shoal.xianyu.item_page import SpecPrice


class Rail(StrEnum):
    """The rails, in the order in which their verdicts are given."""

    TURNS = "turns"
    LENGTH = "length"
    LANGUAGE = "language"
    ECHO = "echo"
    FACTS = "facts"
    AMOUNT = "amount"
    OFFER = "offer"
    FILTER = "filter"
    PROMISE = "promise"
    LATER_WORK = "later_work"
    MACHINE = "machine"


class Why(StrEnum):
    """The reason of a verdict that holds an answer back."""

    BELOW_FLOOR = "below_floor"
    BELOW_PRICE = "below_price"
    PRICE_UNKNOWN = "price_unknown"
    UNREADABLE = "unreadable"
    CONCESSION = "concession"
    AGREED = "agreed"
    """It neither names an allowed amount nor refuses while a low price of the buyer's is open."""
    OFFER_NOT_SAID = "offer_not_said"
    OFFER_NOT_NAMED = "offer_not_named"
    NO_SUCH_FACT = "no_such_fact"
    FILTERED = "filtered"
    PROMISED = "promised"
    LATER = "later"
    TOO_LONG = "too_long"
    OTHER_LANGUAGE = "other_language"
    DENIED = "denied"
    ECHOED = "echoed"
    NO_TURN_LEFT = "no_turn_left"


class RailVerdict(msgspec.Struct, frozen=True):
    """The verdict of one rail: ``why`` is empty when it passed; ``words``: what it found, a few of them."""

    rail: Rail
    passed: bool
    why: str = ""
    words: tuple[str, ...] = ()


class RailFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the rails compare with.

    ``floor_fen``: of ``floor_of``. ``specs``: those of an item whose specs have different prices; then ``price_fen`` is
    the highest of them. ``facts``: how many facts the shop has; their ids are 1 to this. ``owner_words``:
    answers of facts, the item's facts and title, never the persona. ``instructions``: of ``prompt.instructions_of``.
    ``last_answer``: the machine's last answer in this chat. ``turns``: the lines before the question, as in the prompt.
    """

    output_filter: OutputFilter
    buyer_text: str
    turns_left: int
    floor_fen: int | None = None
    price_fen: int | None = None
    facts: int = 0
    owner_words: tuple[str, ...] = ()
    instructions: str = ""
    last_answer: str = ""
    turns: tuple[Turn, ...] = ()
    specs: tuple[SpecPrice, ...] = ()

    @property
    def lowest_fen(self) -> int | None:
        """The lowest amount that may be offered: the floor, a floor of 0 too; without one the price."""
        return self.price_fen if self.floor_fen is None else self.floor_fen


def floor_of(item_floor_fen: int | None, shop_floor_fen: int | None) -> int | None:
    """Return the floor that holds for an item: its own, also when that is 0, else the shop's."""
    return shop_floor_fen if item_floor_fen is None else item_floor_fen
