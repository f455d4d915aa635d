"""The messages that carry units: their texts with the units in the place of ``{codes}``, opened or masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from shoal.accounts.delivery_rule import CODES
from shoal.errors import StoreError
from shoal.goods.sent_units import SentUnits
from shoal.goods.unit_texts import UnitTexts, masked
from shoal.goods.units_in_history import UnitsInHistory
from shoal.messages.outbox_rows import OutboxRow
from shoal.messages.sealed_texts import UNITS_LOST
from shoal.storage.goods_tables import units


def with_codes(text: str, codes: Sequence[str]) -> str:
    """Return a text with these units in it, one a line."""
    return text.replace(CODES, "\n".join(codes))


class UnitMessages:
    """Opens and recognises the messages that carry units (``messages.sealed_texts.SealedTexts``)."""

    def __init__(self, texts: UnitTexts, sent_units: SentUnits | None = None, *, restored_at_ms: int = 0) -> None:
        """``restored_at_ms``: when a backup was restored; what a shop sent before may hold units in clear."""
        self._texts = texts
        self._sent_units = sent_units
        self._in_history = UnitsInHistory(texts, restored_at_ms)

    def digest_of_message(self, text: str, /) -> str:
        """Return what only this text has, however blanks and widths are written."""
        return self._texts.digest_of_message(text)

    def opened(self, connection: Connection, row: OutboxRow, /) -> str:
        """Return the text of a row with its units, as the buyer gets it. Raises ``StoreError``."""
        return self._filled(connection, row, lambda text: text)

    def masked(self, connection: Connection, row: OutboxRow, /) -> str:
        """Return the text of a row with its units masked, also of units that cannot be opened."""
        try:
            return self._filled(connection, row, masked)
        except StoreError as error:
            if error.code not in UNITS_LOST:
                raise
            return with_codes(row.text, [masked("")] * len(row.units.split(",")))

    def masked_in_history(self, connection: Connection, text: str, sent_at_ms: int, /) -> str:
        """Return what a shop sent, as the site has it, with units masked that left since a restored backup."""
        return self._in_history.masked(connection, text, sent_at_ms)

    async def before_leaving(self) -> None:
        """Note the units that may leave now (``SentUnits.note``). Raises ``StoreError``."""
        if self._sent_units is not None:
            await self._sent_units.note()

    def _filled(self, connection: Connection, row: OutboxRow, shown: Callable[[str], str]) -> str:
        if not row.units:
            return row.text
        ids = [int(unit_id) for unit_id in row.units.split(",")]
        query = select(units.c.id, units.c.sealed, units.c.owner_id).where(units.c.id.in_(ids))
        found = {unit_id: (sealed, owner_id) for unit_id, sealed, owner_id in connection.execute(query)}
        if any(found.get(unit_id, (None, 0))[0] is None for unit_id in ids):
            raise StoreError("a unit of a message is gone", code="unit_gone")
        return with_codes(row.text, [shown(self._texts.open(*found[unit_id])) for unit_id in ids])
