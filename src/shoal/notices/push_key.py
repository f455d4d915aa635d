"""The key by which push services know this server (VAPID). Browsers get its public half and take no other server's."""

from __future__ import annotations

import asyncio
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from shoal.notices.push_subscription import packed
from shoal.storage.database import Database
from shoal.storage.db_manager import PUSH_SECRET, own_secret
from shoal.storage.vault import Vault

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The number of points of the curve P-256: a private key is smaller."""


class PushKey:
    """Makes the key of the server's own secret when it is first needed. It stays as long as the database."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._turn = asyncio.Lock()
        self._private: ec.EllipticCurvePrivateKey | None = None

    async def private(self) -> ec.EllipticCurvePrivateKey:
        """Return the private key. Raises ``StoreError`` when it can be neither read nor stored."""
        async with self._turn:
            if self._private is None:
                secret = await own_secret(self._database, self._vault, PUSH_SECRET)
                self._private = private_key_of(secret)
            return self._private

    async def public(self) -> str:
        """Return the public key as browsers take it: the point in base64url. Raises as ``private``."""
        return packed(point_of(await self.private()))


def private_key_of(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key that 32 random bytes make."""
    return ec.derive_private_key(int.from_bytes(secret) % (_ORDER - 1) + 1, ec.SECP256R1())


def point_of(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public point of a key: 65 bytes."""
    # It loads the code for keys of SSH.
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
