"""Encryption of secrets: AES-256-GCM, each value bound to its owner and its column."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shoal.errors import ConfigError, StoreError

KEY_BYTES = 32
_VERSION = b"\x01"
KEY_ID_AT = 1
"""The offset of the key id in an encrypted value."""
KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + KEY_ID_BYTES + _NONCE_BYTES
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Vault:
    """Encrypts and decrypts secrets. The first key encrypts; every key decrypts the values that name it.

    An encrypted value is version (1 byte), key id (8), nonce (12), then ciphertext and tag.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._loaded = _loaded(keys)

    def __repr__(self) -> str:
        return f"<Vault with {len(self._loaded.ciphers)} key(s)>"

    @classmethod
    def load(cls, path: Path, secret_key: str | None = None, *, create: bool) -> Self:
        """Read the keys: ``secret_key`` (the setting) first, then the key file, newest first, if there is one.

        With ``create`` (the database has no encrypted values) a missing file is created, mode 0600. Raises
        ``ConfigError`` when there is no key at all, when a key cannot be read, or when other users may read the file.
        """
        keys = parse_keys(secret_key, origin="SHOAL_SECRET_KEY") if secret_key else []
        if not keys and create:
            _create_key_file(path)
        keys += read_key_file(path, required=not keys)
        return cls(list(dict.fromkeys(keys)))

    def seal(self, plaintext: str, *, column: str, account_id: str | None = None, user_id: int | None = None) -> bytes:
        """Encrypt for one column of one account, of one user, or (when neither is named) of the server."""
        loaded = self._loaded  # read once: another thread may replace the keys at any time
        header = _VERSION + loaded.newest + os.urandom(_NONCE_BYTES)
        bound = _bound_to(header, _whose(account_id, user_id), column)
        return header + loaded.ciphers[loaded.newest].encrypt(header[-_NONCE_BYTES:], plaintext.encode(), bound)

    def open(self, sealed: bytes, *, column: str, account_id: str | None = None, user_id: int | None = None) -> str:
        """Decrypt. Raises ``StoreError`` when the value is damaged, moved, or has a missing key."""
        header, body = bytes(sealed[:_HEADER_BYTES]), bytes(sealed[_HEADER_BYTES:])
        if len(header) != _HEADER_BYTES or header[:1] != _VERSION:
            named = _named(column, account_id, user_id)
            raise StoreError(f"{named} is not a sealed value", code="unreadable_secret")
        cipher = self._loaded.ciphers.get(header[KEY_ID_AT : KEY_ID_AT + KEY_ID_BYTES])
        if cipher is None:
            raise StoreError(
                f"{_named(column, account_id, user_id)} was sealed with a key that is not loaded; put the old key back "
                "into the key file",
                code="missing_key",
            )
        bound = _bound_to(header, _whose(account_id, user_id), column)
        try:
            return cipher.decrypt(header[-_NONCE_BYTES:], body, bound).decode()
        except (InvalidTag, UnicodeDecodeError):
            named = _named(column, account_id, user_id)
            raise StoreError(f"{named} is damaged or belongs to another row", code="unreadable_secret") from None

    def is_current(self, sealed: bytes) -> bool:
        """Return whether the value has the newest key (otherwise encrypting it again would renew it)."""
        return key_id_of(sealed) == self._loaded.newest

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The ids of the keys, the newest first. An id identifies a key and reveals nothing about it."""
        return tuple(self._loaded.ciphers)

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """Return a key for something else made of each key, the newest first. It reveals nothing of the key itself."""
        return tuple(hmac.new(key, f"shoal: {purpose}".encode(), hashlib.sha256).digest() for key in self._loaded.keys)

    def take_up(self, keys: Sequence[bytes]) -> None:
        """Use these keys from now on; the first one encrypts. A value that is being encrypted now has the old or the
        new key."""
        self._loaded = _loaded(keys)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Return the ciphers by key id, in the order of the keys; and the id of the one that encrypts."""

    ciphers: dict[bytes, AESGCM]
    newest: bytes
    keys: tuple[bytes, ...] = field(repr=False)


def _loaded(keys: Sequence[bytes]) -> _Loaded:
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ConfigError("startup.no_key", origin="SHOAL_SECRET_KEY", code="bad_secret_key")
    return _Loaded({key_id(key): AESGCM(key) for key in keys}, key_id(keys[0]), tuple(keys))


def parse_keys(text: str, *, origin: str) -> list[bytes]:
    """Return the keys in a text, one per word (hex or base64 of 32 bytes; ``#`` starts a comment), newest first."""
    return [key for _, key in written_keys(text, origin=origin)]


def written_keys(text: str, *, origin: str) -> list[tuple[str, bytes]]:
    """Return the keys in a text, newest first, each with the word that writes it. Raises ``ConfigError``."""
    keys = []
    for line in text.splitlines():
        for word in line.partition("#")[0].replace(",", " ").split():
            key = _parse_key(word)
            if key is None:
                raise ConfigError("startup.bad_key", origin=origin, bytes=KEY_BYTES, code="bad_secret_key")
            keys.append((word, key))
    if not keys:
        raise ConfigError("startup.no_key", origin=origin, code="bad_secret_key")
    return keys


def _parse_key(word: str) -> bytes | None:
    if re.fullmatch(r"[0-9a-fA-F]{64}", word):
        return bytes.fromhex(word)
    with contextlib.suppress(binascii.Error, ValueError):
        key = base64.b64decode(word.translate(str.maketrans("-_", "+/")) + "=" * (-len(word) % 4), validate=True)
        if len(key) == KEY_BYTES:
            return key
    return None


def key_id(key: bytes) -> bytes:
    """Return the id of a key: 8 bytes of a hash, which does not reveal the key."""
    return hashlib.sha256(b"shoal key id" + key).digest()[:KEY_ID_BYTES]


def key_id_of(sealed: bytes) -> bytes:
    """Return the id of the key of an encrypted value."""
    return bytes(sealed[KEY_ID_AT : KEY_ID_AT + KEY_ID_BYTES])


def _whose(account_id: str | None, user_id: int | None) -> str:
    """Return a unique name of a value's owner: an account's begins with a digit, the others with a letter."""
    if account_id is not None and user_id is not None:
        raise ValueError("a secret is of an account or of a user")
    if account_id is not None:
        return f"{len(account_id)}:{account_id}"
    return "server" if user_id is None else f"user:{user_id}"


def _named(column: str, account_id: str | None, user_id: int | None) -> str:
    if account_id is not None:
        return f"the {column} of account {account_id}"
    return f"the {column} of the server" if user_id is None else f"the {column} of user {user_id}"


def _bound_to(header: bytes, whose: str, column: str) -> bytes:
    return header[: 1 + KEY_ID_BYTES] + f"{whose}:{column}".encode()


def read_key_file(path: Path, *, required: bool) -> list[bytes]:
    """Return the keys of the file, newest first; none when it is missing and not ``required``.

    Raises ``ConfigError`` when it is missing, cannot be read, holds no key, or may be read by others.
    """
    try:
        mode = path.stat().st_mode
        if mode & _READABLE_BY_OTHERS:
            raise ConfigError(
                "startup.key_file_open", path=path, mode=f"{stat.S_IMODE(mode):04o}", code="key_file_open_to_others"
            )
        return parse_keys(path.read_text(encoding="ascii"), origin=str(path))
    except FileNotFoundError:
        if not required:
            return []
        raise ConfigError("startup.key_file_missing", path=path, code="key_file_missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "startup.key_file_unreadable", path=path, why=type(error).__name__, code="key_file_unreadable"
        ) from None


def write_key_file(path: Path, keys: Sequence[bytes]) -> None:
    """Write these keys to the file, newest first: all or nothing, and durable when this returns.

    Raises ``StoreError`` (``key_file_unwritable``); the file is unchanged then.
    """
    try:
        with _written_aside(path, keys) as aside:
            aside.replace(path)
        _make_durable(path.parent)
    except OSError as error:
        raise StoreError(
            f"the key file {path} cannot be written ({error.strerror})", code="key_file_unwritable"
        ) from None


def _create_key_file(path: Path) -> None:
    """Create the file, all or nothing: it is written under another name, then linked, which fails when the name is
    taken."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _written_aside(path, [os.urandom(KEY_BYTES)]) as aside, contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        _make_durable(path.parent)
    except OSError as error:
        raise ConfigError(
            "startup.key_file_unwritable", path=path, why=error.strerror, code="key_file_unwritable"
        ) from None


@contextlib.contextmanager
def _written_aside(path: Path, keys: Sequence[bytes]) -> Iterator[Path]:
    """Create the file under another name in the same directory, mode 0600, durable; deleted at the end unless it was
    renamed."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("# The key of this Shoal's secrets. Keep a copy apart from the database.\n")
            if len(keys) > 1:
                file.write("# The first one seals; the others open what was sealed before.\n")
            file.writelines(base64.b64encode(key).decode() + "\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def _make_durable(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
