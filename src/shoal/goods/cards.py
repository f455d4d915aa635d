"""Cards: goods as the API of the older system names them, with what that system keeps of them beside the goods.

A card has a spec, a delay and a text around its content; here these belong to delivery rules. What a card says of them
is kept, and is what the rules get that are made for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, select

from shoal.accounts.delivery_rule import CODES, folded_spec
from shoal.goods.goods import Goods, GoodsKind
from shoal.storage.database import Database
from shoal.storage.goods_tables import cards, goods
from shoal.storage.upserts import insert_or_renew

CONTENT: Final = "{DELIVERY_CONTENT}"
"""Where the content stands in a card's text."""
_COLUMNS: Final = ("description", "delay_seconds", "spec_name", "spec_value")


class CardType(StrEnum):
    """The kinds of cards."""

    TEXT = "text"
    DATA = "data"
    IMAGE = "image"
    API = "api"


KINDS: Final = {
    CardType.TEXT: GoodsKind.FIXED,
    CardType.IMAGE: GoodsKind.FIXED,
    CardType.DATA: GoodsKind.STOCK,
    CardType.API: GoodsKind.SUPPLIER,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a card says beside its goods."""

    description: str = field(default="", repr=False)
    delay_seconds: int = 0
    spec_name: str = ""
    spec_value: str = ""

    @property
    def spec(self) -> str:
        """The spec as delivery rules have it."""
        return folded_spec(f"{self.spec_name}:{self.spec_value}") if self.spec_value else ""

    def rule(self, one: Goods, *, keyword: str, count: int) -> dict[str, Any]:
        """Return the fields of the delivery rule of a card, for items whose title contains a keyword."""
        counted = one.kind is not GoodsKind.FIXED
        return {
            "title_contains": keyword,
            "spec": self.spec,
            "goods_id": one.id,
            "count": count if counted else 1,
            "delay_seconds": self.delay_seconds,
            "parts": [{"text": text}] if (text := self._text(one)) else [],
        }

    def _text(self, one: Goods) -> str:
        """Return the text around the content; empty when there is none, or when the content is a picture."""
        if not self.description or one.image_url:
            return ""
        around = self.description if CONTENT in self.description else f"{self.description}\n\n{CONTENT}"
        return around.replace(CONTENT, CODES)


def type_of(one: Goods) -> CardType:
    """Return what kind of card goods are."""
    if one.kind is GoodsKind.FIXED:
        return CardType.IMAGE if one.image_url else CardType.TEXT
    return CardType.API if one.kind is GoodsKind.SUPPLIER else CardType.DATA


class Cards:
    """Reads and keeps what cards say beside their goods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_owner(self, owner_id: int) -> dict[int, Card]:
        """Return what is kept, by the ids of the goods."""
        query = select(cards).join(goods, goods.c.id == cards.c.goods_id).where(goods.c.owner_id == owner_id)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return {row["goods_id"]: _card(row) for row in rows}

    async def keep(self, goods_id: int, card: Card) -> None:
        """Store a card's fields in place of those stored before."""
        row = {"goods_id": goods_id, **{name: getattr(card, name) for name in _COLUMNS}}

        def job(connection: Connection) -> None:
            connection.execute(insert_or_renew(connection, cards, _COLUMNS), [row])

        await self._database.write(job)


def _card(row: Mapping[Any, Any]) -> Card:
    return Card(**{name: row[name] for name in _COLUMNS})
