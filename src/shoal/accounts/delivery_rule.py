"""One delivery rule: what the buyer of an item, or of one spec of it, gets after paying. A frozen value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from shoal.errors import StoreError
from shoal.language.folding import folded, folded_word
from shoal.language.storable_texts import storable
from shoal.rules.rule import Part

CODES = "{codes}"
"""What the text of a rule of counted goods contains where the codes stand."""

Confirm = Literal["yes", "no"] | int | None
"""Whether a rule confirms the shipment: yes, no, or after so many hours. ``None``: as the shop's switch says."""


class DeliveryRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What buyers get: of one item, of items whose title contains a text, or (both empty) of every item of the shop.

    ``spec`` is in the form of ``folded_spec``; empty means the whole item. Without ``goods_id`` the goods are fixed:
    the ``parts`` are all that is sent. With it each piece that was bought takes ``count`` units, and ``{codes}`` in the
    parts stands for them. A rule with ``nothing_to_send`` sends nothing; one without goods and parts has that value.
    """

    item_id: str = ""
    title_contains: str = ""
    spec: str = ""
    goods_id: int | None = None
    count: int = 1
    parts: tuple[Part, ...] = ()
    nothing_to_send: bool = False
    delay_seconds: int = 0
    confirm: Confirm = None

    def __post_init__(self) -> None:
        for name in ("item_id", "title_contains", "spec"):
            text = getattr(self, name)
            if storable(text) is not text:
                msgspec.structs.force_setattr(self, name, storable(text))
        if self.goods_id is None and not self.parts and not self.nothing_to_send:
            msgspec.structs.force_setattr(self, "nothing_to_send", True)

    @property
    def key(self) -> str:
        """What is unique among the rules of an account."""
        return f"{self.item_id}\n{self.title_contains}\n{self.spec}"

    @property
    def place(self) -> tuple[str, str, str]:
        """What no two rules of an account may have in common, because both would fit the same orders."""
        return (self.item_id, folded_word(self.title_contains), self.spec)

    @property
    def is_simple(self) -> bool:
        """Whether the old settings of shops and items show the rule whole: one text, or nothing to send."""
        return (
            not self.title_contains
            and not self.spec
            and self.goods_id is None
            and self.count == 1
            and self.delay_seconds == 0
            and self.confirm is None
            and len(self.parts) <= 1
            and not any(part.image_url for part in self.parts)
            and bool(self.item_id or not self.nothing_to_send)
        )

    @property
    def text(self) -> str:
        """The text of a simple rule, also while it sends nothing."""
        return self.parts[0].text if self.parts else ""


Deliveries = tuple[DeliveryRule, ...]


def rule_of_row(row: Mapping[str, Any]) -> DeliveryRule:
    """Return the rule of plain values. Raises ``StoreError`` (``unreadable_account``) for invalid ones."""
    try:
        return msgspec.convert(row, DeliveryRule)
    except (msgspec.ValidationError, ValueError) as error:
        raise StoreError(f"a delivery rule cannot be read: {error}", code="unreadable_account") from None


def in_order(rules: Iterable[DeliveryRule]) -> Deliveries:
    """Sort rules: those of items first, then those of titles, then those of the whole shop."""
    return tuple(sorted(rules, key=lambda rule: (not rule.item_id, not rule.title_contains, rule.key)))


def folded_spec(text: str) -> str:
    """Return a spec for comparison: ``name:value`` pairs in order, joined by ``;``.

    Case, width, blanks around names and values, and the order of the pairs do not count. A pair without a name is a
    value alone.
    """
    pairs = (pair.partition(":") for pair in folded(text).split(";"))
    found = (f"{name.strip()}{colon}{value.strip()}" for name, colon, value in pairs)
    return ";".join(sorted({pair for pair in found if pair and pair != ":"}))
