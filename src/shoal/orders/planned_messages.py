"""The messages of an order, planned before its units are known, and the very texts that its buyer gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from shoal.accounts.delivery_rule import CODES
from shoal.goods.unit_messages import with_codes
from shoal.messages.replies import fill
from shoal.rules.rule import MAX_REPLY_CHARACTERS, Part

MAX_CHARACTERS: Final = MAX_REPLY_CHARACTERS
"""How long a message with units in it may be: as long as any other one."""


def length_with_units(text: str, units: int, longest: int) -> int:
    """Return how many characters a text has at most, with so many units of that length for each ``{codes}``."""
    places = text.count(CODES)
    return len(text) - places * len(CODES) + places * (units * longest + units - 1)


class PlannedMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One message: a picture, or a text in which ``{codes}`` stands for ``count`` units of the order, from ``first`` on
    (0: the first). A text without units is sent as it stands.
    """

    text: str = ""
    image_url: str = ""
    width: int = 0
    height: int = 0
    first: int = 0
    count: int = 0

    def units_of(self, units: Sequence[int]) -> str:
        """Return the ids of its units, as the outbox names them."""
        return ",".join(map(str, units[self.first : self.first + self.count]))

    def with_codes(self, codes: Sequence[str]) -> Part:
        """Return the message as the buyer gets it, when the order has these units."""
        if self.image_url:
            return Part(image_url=self.image_url, width=self.width, height=self.height)
        given = codes[self.first : self.first + self.count]
        return Part(text=with_codes(self.text, given) if given else self.text)


def planned(
    parts: Iterable[Part], values: Mapping[str, str], *, wanted: int = 0, per_message: int = 1
) -> tuple[PlannedMessage, ...]:
    """Return the messages of these templates, with the values of all variables but ``{codes}``.

    A text with ``{codes}`` comes once for every ``per_message`` of the ``wanted`` units. Empty texts are left out.
    """
    found: list[PlannedMessage] = []
    for part in parts:
        if part.image_url:
            found.append(PlannedMessage(image_url=part.image_url, width=part.width, height=part.height))
        elif not (text := fill(part.text, values)):
            continue
        elif wanted and CODES in part.text:
            found += [
                PlannedMessage(text=text, first=first, count=min(per_message, wanted - first))
                for first in range(0, wanted, per_message)
            ]
        else:
            found.append(PlannedMessage(text=text))
    return tuple(found)
