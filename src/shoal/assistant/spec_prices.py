"""The prices of an item's specs: which amounts are fair to say of which spec. Pure.

The specs are the site's words. A name only ever raises what may be offered: it is compared with, and never believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shoal.assistant.plain_text import plain, plain_of_owner
from shoal.xianyu.item_page import SpecPrice

if TYPE_CHECKING:
    from shoal.assistant.price_words import PricedAmount

_CLAUSE: Final = re.compile(r"[。！？；!?;\n，、]|(?<![0-9]),|,(?![0-9])|\.(?![0-9a-z])")
_AMOUNT: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|[零一二三四五六七八九两十百千万]+\s?(?:元|块)")
_FIRST_MARK: Final = 0xF0000
"""Signs of private use stand for names: a model's text that has one is only read as dearer."""
_SAME: Final = re.compile("(?<!不)同价|(?<!不是)一个价|统一价|价格?[都也是]{0,2}一样|same price")
_ALL: Final = re.compile("都|均|全部?|一律|统(?:一|$)|(?<![a-z])(?:both|either|each|all)(?![a-z])")
_RANGE: Final = re.compile(r"\A[^，。]{0,8}?(?:起|[-~—到至]\s?[0-9])")
_NAME: Final = re.compile(r"[a-z0-9+-]+(?: [a-z0-9+-]+)*")


class SpecPrices:
    """The priced specs of an item; what is read several times is made once."""

    def __init__(self, specs: tuple[SpecPrice, ...], asked: Sequence[str], *, has_floor: bool) -> None:
        """``asked``: what the buyer wrote before an answer, the newest text first.

        ``has_floor``: the floor says what is too low, whichever spec is meant.
        """
        self.specs, self.has_floor = specs, has_floor
        self._asked = asked

    @property
    def cheapest_fen(self) -> int | None:
        """The price of the cheapest spec, ``None`` without specs."""
        return min((spec.price_fen for spec in self.specs), default=None)

    @cached_property
    def names(self) -> str:
        """The words of the specs in which Latin letters stand, such as ``128g``: they are no amounts."""
        words = [word for values, _ in self._plain for value in values for word in _NAME.findall(value)]
        return "\n".join(word for word in words if not word.isdigit())

    def is_fair(self, text: str, amount: PricedAmount, pieces: int) -> bool:
        """Return whether an amount of a plain text is the price of a spec that may be meant there, or above it.

        The specs named in its clause are meant, else those that the text names last before it, else those that the
        buyer named last, else any: then it must be the very price of one. Of specs named together the dearest counts.
        With a floor it must be the very price of one too, and not below the floor, which the caller compares.
        """
        if amount.fen is None or not self.specs:
            return False
        count = 1 if amount.of_one else pieces
        if self.has_floor:
            return any(amount.fen == spec.price_fen * count for spec in self.specs)
        meant = self._prices_named_at(text, amount.start) or self._asked_about
        if together := self._priced_together(text, amount.start):
            return amount.fen >= max(together) * count
        if meant:
            return amount.fen >= min(meant) * count
        return any(amount.fen == spec.price_fen * count for spec in self.specs)

    def _prices_named_at(self, text: str, start: int) -> tuple[int, ...]:
        """Return the prices of the specs that the clause there names, else of those in the nearest clause before it."""
        clauses = [_clause_at(text, start), *reversed(_CLAUSE.split(text[:start])[:-1])]
        return next((prices for prices in map(self._named, clauses) if prices), ())

    def _priced_together(self, text: str, start: int) -> tuple[int, ...]:
        """Return the prices of the specs that are said to cost one amount: "年卡月卡同价", "年卡和月卡10元"."""
        begins, _ = _clause_span(text, start)
        before = text[begins:start]
        listed = self._own_names(before, is_after_amounts=True)
        if len(listed) > 1 and not _RANGE.search(text[start:]):
            return listed
        if _SAME.search(text):
            return found if len(found := self._own_names(text)) > 1 else ()
        if not _ALL.search(_AMOUNT.split(before)[-1]):
            return ()
        earlier = self._own_names(text[:begins], is_after_amounts=True)
        return earlier if len(earlier) > 1 else ()

    def _own_names(self, text: str, *, is_after_amounts: bool = False) -> tuple[int, ...]:
        """Return the prices of the specs of one value that a text names, without a name within a longer one.

        ``is_after_amounts``: only those after the last amount of the text; digits of names are none.
        """
        names = {values[0]: price for values, price in self._plain if len(values) == 1}
        marks = {}
        for place, name in enumerate(sorted(names, key=len, reverse=True)):
            marks[chr(_FIRST_MARK + place)] = names[name]
            text = text.replace(name, chr(_FIRST_MARK + place))
        if is_after_amounts:
            text = _AMOUNT.split(text)[-1]
        return tuple(price for mark, price in marks.items() if mark in text)

    @cached_property
    def _plain(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        return tuple((tuple(map(plain_of_owner, spec.values)), spec.price_fen) for spec in self.specs)

    @cached_property
    def _asked_about(self) -> tuple[int, ...]:
        named = (self._named(plain(text)) for text in self._asked)
        return next((prices for prices in named if prices), ())

    def _named(self, text: str) -> tuple[int, ...]:
        """Return the prices of the specs that a plain text names: by all values, else by one that not all have."""
        whole = [price for values, price in self._plain if all(value in text for value in values)]
        if whole:
            return tuple(whole)
        some = [price for values, price in self._plain if any(value in text for value in values)]
        return tuple(some) if len(some) < len(self._plain) else ()


def _clause_at(text: str, start: int) -> str:
    return _clause_span(text, start)[1]


def _clause_span(text: str, start: int) -> tuple[int, str]:
    """Return where the clause there begins, and the clause."""
    begins = max((match.end() for match in _CLAUSE.finditer(text, 0, start)), default=0)
    after = _CLAUSE.search(text, start)
    return begins, text[begins : after.start() if after else len(text)]


def priced(specs: Sequence[SpecPrice]) -> tuple[SpecPrice, ...]:
    """Return the specs if their prices differ: one price of all is the item's."""
    return tuple(specs) if len({spec.price_fen for spec in specs}) > 1 else ()
