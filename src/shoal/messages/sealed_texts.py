"""Texts with units of goods in them: recognised by a digest, and opened only when they are handed to the socket."""

from __future__ import annotations

from typing import Final, Protocol

from sqlalchemy import Connection

from shoal.errors import StoreError
from shoal.messages.outbox_rows import OutboxRow

UNITS_LOST: Final = frozenset({"unit_gone", "unreadable_secret"})
"""The codes of a ``StoreError`` for units that can never be opened again."""


class SealedTexts(Protocol):
    """The texts of outbox rows that name units. The rows themselves keep ``{codes}`` in the place of the units."""

    def digest_of_message(self, text: str, /) -> str:
        """Return what only this text has, however blanks and widths are written."""
        ...

    def opened(self, connection: Connection, row: OutboxRow, /) -> str:
        """Return the text of a row with its units, as the buyer gets it. Raises ``StoreError``."""
        ...

    def masked(self, connection: Connection, row: OutboxRow, /) -> str:
        """Return the text of a row with its units masked, also of units that cannot be opened."""
        ...

    def masked_in_history(self, connection: Connection, text: str, sent_at_ms: int, /) -> str:
        """Return what a shop sent, as the site has it, with units masked that the database does not know in it."""
        ...

    async def before_leaving(self) -> None:
        """Note the units that may leave now, so that they are known after an older backup. Raises ``StoreError``."""
        ...


class NoSealedTexts:
    """What stands in where no goods are sold: it recognises nothing, and opens nothing."""

    def digest_of_message(self, _: str, /) -> str:
        """Return what no row has."""
        return ""

    def opened(self, _: Connection, row: OutboxRow, /) -> str:
        """Raise ``StoreError``: the buyer must not get a text without its units."""
        raise StoreError(f"units of goods cannot be opened here: {row.units}")

    def masked(self, _: Connection, row: OutboxRow, /) -> str:
        """Return the text of a row as it stands there."""
        return row.text

    def masked_in_history(self, _: Connection, text: str, sent_at_ms: int, /) -> str:  # noqa: ARG002
        """Return the text: no unit left."""
        return text

    async def before_leaving(self) -> None:
        """Do nothing: no unit leaves."""
