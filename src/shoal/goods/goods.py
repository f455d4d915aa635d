"""Goods: something that an owner sells by machine, and what is in stock of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from shoal.errors import InvalidInput, NotFound
from shoal.pictures.pictures import require_showable

MAX_NAME: Final = 100
MAX_TEXT: Final = 2_000
MAX_PER_MESSAGE: Final = 200
MAX_LOW_AT: Final = 1_000_000
MAX_USES: Final = 1_000_000
MAX_URL: Final = 2_048


class GoodsKind(StrEnum):
    """How goods are delivered."""

    FIXED = "fixed"
    """One text, link or picture, without limit."""
    STOCK = "stock"
    """Units that go out once."""
    REUSABLE = "reusable"
    """Units that each go out several times."""
    SUPPLIER = "supplier"
    """Units that the seller's own supplier is asked for."""


class UnknownGoods(NotFound):
    """There are no such goods, or they belong to another user (the answer is the same)."""

    code = "unknown_goods"


@dataclass(frozen=True, kw_only=True, slots=True)
class Goods:
    """Goods of one owner.

    ``per_message``: how many units stand in one message. ``low_at``: from how many free units on the stock is low (0:
    never). ``uses_each``: how often a unit of reusable goods may go out (``None``: without limit). ``text`` and
    ``image_url``: what fixed goods send. ``version`` counts changes.
    """

    id: int
    owner_id: int
    name: str
    kind: GoodsKind
    per_message: int = 1
    low_at: int = 0
    active: bool = True
    text: str = ""
    image_url: str = ""
    uses_each: int | None = None
    serve_on_restock: bool = False
    version: int = 1
    created_at_ms: int = 0
    changed_at_ms: int = 0

    @property
    def has_units(self) -> bool:
        """Whether units are imported for these goods."""
        return self.kind in {GoodsKind.STOCK, GoodsKind.REUSABLE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """What is known of goods when it is decided what an order gets. ``free``: how many units an order can get now."""

    kind: GoodsKind
    active: bool
    free: int
    owner_id: int
    name: str
    text: str
    image_url: str = ""
    per_message: int = 1
    low_at: int = 0
    longest: int = 0
    """How many characters the longest of the units has that go out next; 0: it was not looked at."""

    @property
    def is_low(self) -> bool:
        """Whether so few units are free that the owner wants to know."""
        return self.free <= self.low_at and self.low_at > 0


CHANGEABLE: Final = frozenset(
    {"name", "per_message", "low_at", "active", "text", "image_url", "uses_each", "serve_on_restock"}
)
"""The fields that an owner may change. The owner stays, and the kind once there was a unit."""


def edited(goods: Goods, values: Mapping[str, Any]) -> Goods:
    """Return the goods with these fields changed. Raises ``InvalidInput`` for values that cannot be."""
    unknown = set(values) - CHANGEABLE
    if unknown:
        raise InvalidInput("a field that cannot be changed", code="goods_field_fixed", field=min(unknown))
    fresh = replace(goods, **{**values, **({"name": str(values["name"]).strip()} if "name" in values else {})})
    check(fresh)
    return fresh


def check(goods: Goods) -> None:
    """Raise ``InvalidInput`` for goods that cannot be."""
    if not goods.name or len(goods.name) > MAX_NAME or not goods.name.isprintable():
        raise InvalidInput("a name has 1 to 100 characters", code="bad_goods_name", limit=MAX_NAME, field="name")
    _within("per_message", goods.per_message, 1, MAX_PER_MESSAGE)
    _within("low_at", goods.low_at, 0, MAX_LOW_AT)
    if goods.uses_each is not None:
        if goods.kind is not GoodsKind.REUSABLE:
            raise InvalidInput("only reusable units go out several times", code="uses_only_reusable")
        _within("uses_each", goods.uses_each, 1, MAX_USES)
    if (goods.text or goods.image_url) and goods.kind is not GoodsKind.FIXED:
        raise InvalidInput("only fixed goods have a text of their own", code="text_only_fixed")
    if len(goods.text) > MAX_TEXT:
        raise InvalidInput("the text is too long", code="goods_text_too_long", limit=MAX_TEXT, field="text")
    if len(goods.image_url) > MAX_URL:
        raise InvalidInput("the address of the picture is too long", code="bad_image_url")
    if goods.image_url:
        require_showable(goods.image_url)


def _within(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidInput(f"{field} is out of bounds", code="goods_number", field=field, least=least, most=most)


def differences(before: Goods, after: Goods) -> dict[str, tuple[Any, Any]]:
    """Return the changeable fields that differ, with both values."""
    pairs = ((field.name, getattr(before, field.name), getattr(after, field.name)) for field in fields(before))
    return {name: (old, new) for name, old, new in pairs if name in {*CHANGEABLE, "kind"} and old != new}
