"""Opens the values that Ydisks-Xianyu-Helper sealed in its database, with the key of its settings."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX: Final = "enc:v1:"
_NONCE_BYTES: Final = 12


class StillSealed(ValueError):
    """The value is sealed, and the key does not open it."""


class OldSecrets:
    """Opens values with one key; without a key only those that are not sealed."""

    def __init__(self, key: str = "") -> None:
        """``key``: the setting XIANYU_DATA_KEY of that system."""
        self._cipher = AESGCM(hashlib.sha256(key.strip().encode()).digest()) if key.strip() else None

    def opened(self, scope: str, owner: str, value: str) -> str:
        """Return the value in clear. Raises ``StillSealed``."""
        if not value.startswith(PREFIX):
            return value
        if self._cipher is None:
            raise StillSealed
        body = value.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
            clear = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], f"{scope}\0{owner}".encode())
            return clear.decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise StillSealed from None
