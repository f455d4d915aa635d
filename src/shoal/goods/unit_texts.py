"""The texts of units: sealed, recognised again without being opened, and shown masked."""

from __future__ import annotations

import base64
import hmac
import re
import unicodedata
from typing import Final, Self

from shoal.errors import InvalidInput, StoreError
from shoal.language.folding import seen
from shoal.messages.sealed_texts import UNITS_LOST
from shoal.storage.database import Database
from shoal.storage.db_manager import UNITS_SECRET, own_secret
from shoal.storage.goods_tables import units
from shoal.storage.sealed_values import SealedColumn
from shoal.storage.vault import Vault

MAX_CHARACTERS: Final = 2_000
UNIT_COLUMN: Final = SealedColumn(units, "sealed").label
_DIGEST_BYTES: Final = 16
_SHOWN_FROM: Final = 8
"""A shorter unit is masked completely: two characters at each end would be most of it."""
_BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BLANKS = re.compile(r"\s+")


class UnitTexts:
    """Seals, opens and recognises the texts of units. Each value is bound to its owner and its column."""

    def __init__(self, vault: Vault, secret: bytes) -> None:
        """``secret`` keys the digests. It is no key of the vault: a key rotation leaves the digests as they are."""
        self._vault = vault
        self._secret = secret

    @classmethod
    async def load(cls, database: Database, vault: Vault) -> Self:
        """Return those of a database, with its own secret for digests."""
        return cls(vault, await own_secret(database, vault, UNITS_SECRET))

    def seal(self, text: str, owner_id: int) -> bytes:
        """Encrypt the text of a unit."""
        return self._vault.seal(text, column=UNIT_COLUMN, user_id=owner_id)

    def open(self, sealed: bytes, owner_id: int) -> str:
        """Decrypt the text of a unit. Raises ``StoreError`` like ``Vault.open``."""
        return self._vault.open(sealed, column=UNIT_COLUMN, user_id=owner_id)

    def length(self, sealed: bytes | None, owner_id: int) -> int:
        """Return how many characters a unit has; 0 for one that is not there, or can never be opened."""
        try:
            return 0 if sealed is None else len(self.open(sealed, owner_id))
        except StoreError as error:
            if error.code not in UNITS_LOST:
                raise
            return 0

    def masked(self, sealed: bytes | None, owner_id: int) -> str:
        """Return the text masked; that of a unit which is not there yet, or can never be opened, completely."""
        try:
            return masked("" if sealed is None else self.open(sealed, owner_id))
        except StoreError as error:
            if error.code not in UNITS_LOST:
                raise
            return masked("")

    def digest(self, text: str, goods_id: int) -> str:
        """Return what the same text has in the same goods, and no other text."""
        return self._keyed(f"{goods_id}:{folded_unit(text)}".encode())

    def digest_of_message(self, text: str) -> str:
        """Return what only a message with this text has."""
        return self._keyed(b"message:" + folded_unit(text).encode())

    def digest_of_file(self, data: bytes) -> str:
        """Return what only the same file has. It is keyed: the file may hold a single short unit."""
        return self._keyed(b"file:" + data)

    def call_key(self, unb: str, order_id: str, unit_no: int) -> str:
        """Return by what a supplier recognises a repeated call for the same unit of an order."""
        return self._keyed(f"call:{unb}:{order_id}:{unit_no}".encode())

    def _keyed(self, message: bytes) -> str:
        found = hmac.digest(self._secret, message, "sha256")[:_DIGEST_BYTES]
        return base64.urlsafe_b64encode(found).rstrip(b"=").decode()


def folded_unit(text: str) -> str:
    """Return the text by which doubles are recognised: width, blanks and invisible characters do not count.

    Letters keep their case, because codes and links of one seller differ by it.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", seen(text))
    return _BLANKS.sub(" ", text).strip()


def clean_unit(text: str) -> str:
    """Return the text as it is stored: without blanks around it. Empty when nothing can be seen.

    Raises ``InvalidInput``: ``unit_too_long``, ``unit_unreadable`` (control characters, halves of characters).
    """
    text = text.replace("\r\n", "\n").strip().strip("\ufeff\u200b").strip()
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput("a unit is too long", code="unit_too_long", limit=MAX_CHARACTERS)
    if _BAD.search(text):
        raise InvalidInput("a unit holds control characters", code="unit_unreadable")
    return text if folded_unit(text) else ""


def masked(text: str) -> str:
    """Return the text with only its first and last two characters."""
    return f"{text[:2]}…{text[-2:]}" if len(text) >= _SHOWN_FROM else "…"
