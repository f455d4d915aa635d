"""The encrypted file of a backup: a header that anyone may read, then chunks that only the file's key opens.

Each chunk is sealed with its number and with whether it is the last, and with a digest of the header. So a file that
was cut, extended, reordered or mixed with another one is refused. Behind them stands the signature of the server that
made the file, over all that comes before it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from shoal.errors import ConfigError
from shoal.maintenance.backup.locks import Lock
from shoal.maintenance.backup.signing import SIGNATURE_BYTES, is_signed, sign

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
    """Whose backup it is: ``store_of`` the database's mark."""
    site: str
    rev: int
    locks: list[Lock]
    signer: bytes = b""
    """The public key of the server that signed it; empty: nobody did."""


class SealedWriter:
    """Writes a header, and what follows in sealed chunks. A file without ``finish`` at its end is refused."""

    def __init__(
        self, file: BinaryIO, header: Header, file_key: bytes, signing_key: Ed25519PrivateKey | None = None
    ) -> None:
        """``signing_key``: the other half of ``header.signer``."""
        raw = msgspec.json.encode(header)
        top = MAGIC + len(raw).to_bytes(_LENGTH_BYTES, "big") + raw
        file.write(top)
        self._file = file
        self._signing_key = signing_key
        self._digest = hashlib.sha256(top)
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
        """Write the last chunk and the signature. Raises ``OSError``."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()
        if self._signing_key is not None:
            self._file.write(sign(self._signing_key, self._digest.digest()))

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, is_last=is_last), chunk, self._bound_to)
        self._file.write(sealed)
        self._digest.update(sealed)
        self._number += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedFile:
    """A backup whose header was read. What follows it can be read once."""

    header: Header
    top: bytes
    """The bytes of the header."""
    file: BinaryIO

    def chunks(self, file_key: bytes) -> Iterator[bytes]:
        """Yield what the chunks hold, one after another; the last one only when the signature behind it is right.

        Raises ``ConfigError`` where the file is not as it was written.
        """
        cipher, digest = ChaCha20Poly1305(file_key), hashlib.sha256(self.top)
        bound_to = digest.digest()
        left = os.fstat(self.file.fileno()).st_size - len(self.top) - (SIGNATURE_BYTES if self.header.signer else 0)
        number, is_last = 0, False
        while not is_last:
            chunk = self.file.read(max(0, min(CHUNK_BYTES + _TAG_BYTES, left)))
            left -= len(chunk)
            is_last = left <= 0 or not chunk
            try:
                opened = cipher.decrypt(_nonce(number, is_last=is_last), chunk, bound_to)
            except InvalidTag:
                raise ConfigError("backup.damaged", code="backup_damaged") from None
            digest.update(chunk)
            number += 1
            if is_last and self.header.signer:
                self._check_signature(digest.digest())
            yield opened

    def _check_signature(self, digest: bytes) -> None:
        if not is_signed(self.header.signer, self.file.read(SIGNATURE_BYTES), digest):
            raise ConfigError("backup.forged", code="backup_forged")


def read_header(file: BinaryIO, path: Path) -> SealedFile:
    """Read the header of a file. Raises ``ConfigError`` when it is no backup."""
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
        return SealedFile(header=msgspec.json.decode(raw, type=Header), top=start + raw, file=file)
    except msgspec.MsgspecError:
        raise ConfigError("backup.damaged", code="backup_damaged") from None


def store_of(mark: str) -> str:
    """Return the name by which anyone who has a backup knows its database: a digest of the database's mark."""
    return hashlib.sha256(mark.encode()).hexdigest()[:8]


def new_file_key() -> bytes:
    """Return a key for one file. It is used for no other one: the numbers of chunks are the nonces."""
    return os.urandom(FILE_KEY_BYTES)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
