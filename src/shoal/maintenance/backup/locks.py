"""How the key of a backup is locked: under a passphrase, or to a public key whose private half only a restore needs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import unicodedata
from contextlib import suppress
from typing import Final

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shoal.errors import ConfigError

LEAST_CHARACTERS: Final = 10
"""The shortest passphrase: anyone who has the file can try as many as they like."""
PUBLIC: Final = "shoal-backup-public-"
PRIVATE: Final = "shoal-backup-private-"
_MEMORY_KIB: Final = 65_536
_PASSES: Final = 3
_MOST_MEMORY_KIB: Final = 1_048_576
_MOST_PASSES: Final = 20
"""A file that asks for more is refused: it would stand still instead of opening."""
_KEY_BYTES: Final = 32
_CHECK_BYTES: Final = 4
_NONCE: Final = bytes(12)
"""Each wrapping key wraps once."""
_PURPOSE: Final = b"shoal backup file key"


class PassphraseLock(msgspec.Struct, frozen=True, kw_only=True, tag="passphrase"):
    """The file key under a passphrase, which Argon2id makes a key of."""

    salt: bytes
    memory_kib: int
    passes: int
    wrapped: bytes
    server_key: str = ""
    """The id of the server's key that is the passphrase; empty when a person chose one."""


class KeyLock(msgspec.Struct, frozen=True, kw_only=True, tag="key"):
    """The file key for the holder of a private key (X25519 with a key made for this file, HKDF-SHA256)."""

    public: bytes
    fresh: bytes
    wrapped: bytes


Lock = PassphraseLock | KeyLock


def lock_with_passphrase(file_key: bytes, passphrase: str) -> PassphraseLock:
    """Lock a file key. Raises ``ConfigError`` for a short passphrase."""
    if len(_plain(passphrase)) < LEAST_CHARACTERS:
        raise ConfigError("backup.short_passphrase", least=LEAST_CHARACTERS, code="short_passphrase")
    salt = os.urandom(16)
    key = _stretched(passphrase, salt, _MEMORY_KIB, _PASSES)
    return PassphraseLock(salt=salt, memory_kib=_MEMORY_KIB, passes=_PASSES, wrapped=_wrap(key, file_key))


def lock_to_key(file_key: bytes, public: bytes) -> KeyLock:
    """Lock a file key to a public key."""
    fresh = X25519PrivateKey.generate()
    fresh_public = fresh.public_key().public_bytes_raw()
    key = _agreed(fresh.exchange(X25519PublicKey.from_public_bytes(public)), fresh_public, public)
    return KeyLock(public=public, fresh=fresh_public, wrapped=_wrap(key, file_key))


def unlock_with_passphrase(lock: PassphraseLock, passphrase: str) -> bytes:
    """Return the file key. Raises ``ConfigError`` when it is the wrong passphrase."""
    if not (8 <= lock.memory_kib <= _MOST_MEMORY_KIB and 1 <= lock.passes <= _MOST_PASSES):
        raise ConfigError("backup.damaged", code="backup_damaged")
    key = _stretched(passphrase, lock.salt, lock.memory_kib, lock.passes)
    with suppress(InvalidTag):
        return _unwrap(key, lock.wrapped)
    raise ConfigError("backup.wrong_passphrase", code="wrong_passphrase")


def unlock_with_key(lock: KeyLock, private: bytes) -> bytes:
    """Return the file key. Raises ``ConfigError`` when the file is for another key."""
    mine = X25519PrivateKey.from_private_bytes(private)
    with suppress(InvalidTag, ValueError):
        if mine.public_key().public_bytes_raw() == lock.public:
            shared = mine.exchange(X25519PublicKey.from_public_bytes(lock.fresh))
            return _unwrap(_agreed(shared, lock.fresh, lock.public), lock.wrapped)
    raise ConfigError("backup.other_key", code="other_backup_key")


def new_key_pair() -> tuple[str, str]:
    """Return a new private and public key, as texts to keep."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return _written(PRIVATE, private.private_bytes_raw()), _written(PUBLIC, public)


def read_key(text: str, kind: str) -> bytes:
    """Return the key that a text names. ``kind`` is ``PUBLIC`` or ``PRIVATE``. Raises ``ConfigError``."""
    with suppress(binascii.Error, ValueError):
        body = text.strip().removeprefix(kind)
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        if text.strip().startswith(kind) and _written(kind, raw[:_KEY_BYTES]) == text.strip():
            return raw[:_KEY_BYTES]
    key = "backup.no_public_key" if kind == PUBLIC else "backup.no_private_key"
    raise ConfigError(key, prefix=kind, code="bad_backup_key")


def public_key_text(raw: bytes) -> str:
    """Return a public key as the setting has it."""
    return _written(PUBLIC, raw)


def _written(kind: str, raw: bytes) -> str:
    check = hashlib.sha256(kind.encode() + raw).digest()[:_CHECK_BYTES]
    return kind + base64.urlsafe_b64encode(raw + check).decode().rstrip("=")


def _plain(passphrase: str) -> str:
    """Return a passphrase as every keyboard writes it."""
    return unicodedata.normalize("NFKC", passphrase).strip()


def _stretched(passphrase: str, salt: bytes, memory_kib: int, passes: int) -> bytes:
    return hash_secret_raw(
        _plain(passphrase).encode(), salt, time_cost=passes, memory_cost=memory_kib, parallelism=1,
        hash_len=_KEY_BYTES, type=Type.ID,
    )  # fmt: skip


def _agreed(shared: bytes, fresh: bytes, public: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=fresh + public, info=_PURPOSE).derive(shared)


def _wrap(key: bytes, file_key: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(_NONCE, file_key, _PURPOSE)


def _unwrap(key: bytes, wrapped: bytes) -> bytes:
    return ChaCha20Poly1305(key).decrypt(_NONCE, wrapped, _PURPOSE)
