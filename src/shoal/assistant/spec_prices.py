"""The prices of an item's specs: which amounts are fair to say of which spec. Pure.

The specs are the site's words. A name only ever raises what may be said: it is compared with, and never believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from shoal.assistant.plain_text import plain, plain_of_owner
from shoal.assistant.price_words import PricedAmount
from shoal.xianyu.item_page import SpecPrice

_CLAUSE: Final = re.compile(r"[。！？；!?;\n，、]|(?<![0-9]),|,(?![0-9])|\.(?![0-9a-z])")
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
        buyer named last, else any: then it must be the very price of one. With a floor it must be that too, and not
        below the floor, which the caller compares.
        """
        if amount.fen is None or not self.specs:
            return False
        count = 1 if amount.of_one else pieces
        if self.has_floor:
            return any(amount.fen == spec.price_fen * count for spec in self.specs)
        meant = self._said_of(text, amount.start) or self._asked_about
        if meant:
            return amount.fen >= min(meant) * count
        return any(amount.fen == spec.price_fen * count for spec in self.specs)

    def _said_of(self, text: str, start: int) -> tuple[int, ...]:
        """Return the prices of the specs that the clause there names, else of those in the nearest clause before it."""
        clauses = [_clause_at(text, start), *reversed(_CLAUSE.split(text[:start])[:-1])]
        return next((prices for prices in map(self._named, clauses) if prices), ())

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
    begins = max((match.end() for match in _CLAUSE.finditer(text, 0, start)), default=0)
    after = _CLAUSE.search(text, start)
    return text[begins : after.start() if after else len(text)]


def priced(specs: Sequence[SpecPrice]) -> tuple[SpecPrice, ...]:
    """Return the specs if their prices differ: one price of all is the item's."""
    return tuple(specs) if len({spec.price_fen for spec in specs}) > 1 else ()
