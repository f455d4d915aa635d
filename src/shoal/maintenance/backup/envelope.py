"""The encrypted file of a backup: a header that anyone may read, then chunks that only the file's key opens.

Each chunk is sealed with its number and with whether it is the last, and with a digest of the header. So a file that
was cut, extended, reordered or mixed with another one is refused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from shoal.errors import ConfigError
from shoal.maintenance.backup.locks import Lock

MAGIC: Final = b"SHOAL BACKUP 1\n"
"""The first bytes of every file; the number is that of the format."""
SQLITE_MAGIC: Final = b"SQLite format 3\x00"
"""The first bytes of a copy of a database."""
CHUNK_BYTES: Final = 65_536
FILE_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_LENGTH_BYTES: Final = 4
_MOST_HEADER_BYTES: Final = 65_536


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What anyone who holds the file may read: what it is, of when, and how its key is locked."""

    id: str
    made_at_ms: int
    version: str
    schema: str
    database: str
    """``sqlite`` or ``postgresql``."""
    store: str
    """Whose backup it is: a digest of the database's mark, not the mark."""
    site: str
    rev: int
    locks: list[Lock]


class SealedWriter:
    """Writes a header, and what follows in sealed chunks. A file without ``finish`` at its end is refused."""

    def __init__(self, file: BinaryIO, header: Header, file_key: bytes) -> None:
        raw = msgspec.json.encode(header)
        top = MAGIC + len(raw).to_bytes(_LENGTH_BYTES, "big") + raw
        file.write(top)
        self._file = file
        self._cipher = ChaCha20Poly1305(file_key)
        self._bound_to = hashlib.sha256(top).digest()
        self._waiting = bytearray()
        self._number = 0

    def write(self, data: bytes) -> None:
        """Write some bytes. Raises ``OSError``."""
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]

    def finish(self) -> None:
        """Write the last chunk. Raises ``OSError``."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, is_last=is_last), chunk, self._bound_to))
        self._number += 1


def read_header(file: BinaryIO, path: Path) -> tuple[Header, bytes]:
    """Return the header, and the digest that its chunks are bound to. Raises ``ConfigError`` when it is no backup."""
    start = file.read(len(MAGIC) + _LENGTH_BYTES)
    length = int.from_bytes(start[len(MAGIC) :], "big")
    if start.startswith(SQLITE_MAGIC):
        raise ConfigError("backup.is_copy", path=path, code="no_backup")
    if not MAGIC.startswith(start[: len(MAGIC)]) or length > _MOST_HEADER_BYTES:
        raise ConfigError("backup.no_backup", path=path, code="no_backup")
    raw = file.read(length)
    if len(start) < len(MAGIC) + _LENGTH_BYTES or len(raw) < length:  # cut, or empty
        raise ConfigError("backup.damaged", code="backup_damaged")
    try:
        return msgspec.json.decode(raw, type=Header), hashlib.sha256(start + raw).digest()
    except msgspec.MsgspecError:
        raise ConfigError("backup.damaged", code="backup_damaged") from None


def opened_chunks(file: BinaryIO, file_key: bytes, bound_to: bytes) -> Iterator[bytes]:
    """Yield what the chunks hold, one after another. Raises ``ConfigError`` where the file is not as it was written."""
    cipher, number = ChaCha20Poly1305(file_key), 0
    chunk = file.read(CHUNK_BYTES + _TAG_BYTES)
    while True:
        following = file.read(CHUNK_BYTES + _TAG_BYTES)
        try:
            yield cipher.decrypt(_nonce(number, is_last=not following), chunk, bound_to)
        except InvalidTag:
            raise ConfigError("backup.damaged", code="backup_damaged") from None
        if not following:
            return
        chunk, number = following, number + 1


def new_file_key() -> bytes:
    """Return a key for one file. It is used for no other one: the numbers of chunks are the nonces."""
    return os.urandom(FILE_KEY_BYTES)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
