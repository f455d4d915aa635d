"""Delivery rules by keyword that are switched off: on no shop, and kept as they were on each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from shoal.errors import InvalidInput
from shoal.goods.card_rules import CardRule, rule_id
from shoal.storage.database import Database
from shoal.storage.goods_tables import cards, goods
from shoal.storage.upserts import insert_or_renew

MOST_OFF: Final = 200
"""How many rules of one card may be off."""

Values = dict[str, Any]


class OffRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is off. ``shops``: the values of its delivery rules on each shop that had it."""

    keyword: str
    count: int
    shops: dict[str, list[Values]] = {}

    def of(self, goods_id: int) -> CardRule:
        """Return the rule of these goods as it is listed."""
        number = rule_id(self.keyword, goods_id)
        return CardRule(id=number, keyword=self.keyword, goods_id=goods_id, count=self.count, enabled=False)


_decode = msgspec.json.Decoder(list[OffRule]).decode
_Edit = Callable[[list[OffRule]], list[OffRule]]


class OffRules:
    """Reads and keeps the rules that are off, beside the cards that they would send."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_owner(self, owner_id: int) -> dict[int, tuple[CardRule, OffRule]]:
        """Return the rules that are off, by their ids."""
        query = select(cards.c.goods_id, cards.c.off_rules).join(goods, goods.c.id == cards.c.goods_id)
        mine = query.where(goods.c.owner_id == owner_id, cards.c.off_rules != "")
        rows = await self._database.read(lambda connection: connection.execute(mine).all())
        found = [(one.of(goods_id), one) for goods_id, text in rows for one in _decode(text)]
        return {listed.id: (listed, one) for listed, one in found}

    async def keep(self, goods_id: int, rule: OffRule) -> None:
        """Keep a rule that is off in place of the one with the same id. Raises ``InvalidInput``."""
        number = rule.of(goods_id).id

        def edit(before: list[OffRule]) -> list[OffRule]:
            after = [*(one for one in before if one.of(goods_id).id != number), rule]
            if len(after) > MOST_OFF:
                raise InvalidInput("too many rules are off", code="too_many_deliveries", limit=MOST_OFF)
            return after

        await self._edit(goods_id, edit)

    async def forget(self, rule: CardRule) -> None:
        """Forget a rule that was off."""
        await self._edit(rule.goods_id, lambda before: [one for one in before if one.of(rule.goods_id).id != rule.id])

    async def _edit(self, goods_id: int, edit: _Edit) -> None:
        of_card = select(cards.c.off_rules).where(cards.c.goods_id == goods_id)

        def job(connection: Connection) -> None:
            # The goods are locked: two edits of a card follow one another, also when it has no row yet.
            if connection.scalar(select(goods.c.id).where(goods.c.id == goods_id).with_for_update()) is None:
                return
            text = connection.scalar(of_card)
            before = _decode(text) if text else []
            after = edit(before)
            if after != before:
                row = {"goods_id": goods_id, "off_rules": msgspec.json.encode(after).decode() if after else ""}
                connection.execute(insert_or_renew(connection, cards, ("off_rules",)), [row])

        await self._database.write(job)
