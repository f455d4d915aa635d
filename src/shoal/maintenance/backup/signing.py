"""The signature of a backup, by a key of the server that made it: no other file can be taken for one of its own.

Anyone who holds a backup that is sealed to a public key can seal another file to it. The signing key stays in the data
directory and is in no backup, so who can open backups cannot sign any.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from shoal.errors import ConfigError
from shoal.storage.data_directory import SIGNING_FILE

SIGNATURE_BYTES: Final = 64
_PURPOSE: Final = b"shoal backup signature\n"
_SHOWN_BYTES: Final = 16
"""How much of a hash names a key: 128 bits, for which nobody finds a second key."""


def signing_key(data_dir: Path) -> Ed25519PrivateKey:
    """Return the key with which backups of a data directory are signed; it is made when there is none.

    Raises ``ConfigError`` when the file can be neither read nor made.
    """
    path = data_dir / SIGNING_FILE
    try:
        if not path.exists():
            _create(path)
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError("backup.signing_key", why=why, path=path, code="signing_key_unusable") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("backup.signing_key", why=type(key).__name__, path=path, code="signing_key_unusable")
    return key


def own_fingerprint(data_dir: Path) -> str:
    """Return the fingerprint of a data directory's key; empty when it never signed a backup. Raises ``ConfigError``."""
    return fingerprint(public_key(signing_key(data_dir))) if (data_dir / SIGNING_FILE).exists() else ""


def public_key(key: Ed25519PrivateKey) -> bytes:
    """Return the public half of a key."""
    return key.public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """Return what names a key to a person; empty for none."""
    shown = hashlib.sha256(b"shoal backup signer" + public).hexdigest()[: 2 * _SHOWN_BYTES]
    return "-".join(shown[at : at + 4] for at in range(0, len(shown), 4)) if public else ""


def is_same(fingerprint: str, typed: str) -> bool:
    """Return whether somebody typed that fingerprint, with or without its hyphens."""
    return bool(fingerprint) and fingerprint.replace("-", "") == "".join(typed.lower().split()).replace("-", "")


def sign(key: Ed25519PrivateKey, digest: bytes) -> bytes:
    """Return the signature of a file, by the digest of all that comes before it."""
    return key.sign(_PURPOSE + digest)


def is_signed(public: bytes, signature: bytes, digest: bytes) -> bool:
    """Return whether the holder of a public key's other half signed a file with that digest."""
    with suppress(InvalidSignature, ValueError):
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _PURPOSE + digest)
        return True
    return False


def _create(path: Path) -> None:
    """Create the file, whole, or leave the one that another process has just made. Raises ``OSError``."""
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink(missing_ok=True)
