"""What a backup holds, as a stream of compressed records: keys, tables row by row, files, and the count of it all."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from shoal.errors import ConfigError

_LEVEL: Final = 3
_LENGTH_BYTES: Final = 4
_MOST_RECORD_BYTES: Final = 256 * 2**20
_SUM: Final = 2**256

Row = Sequence[Any]
Replacement = tuple[Row, Row]
"""A row, and the one that stands for it."""


class Keys(msgspec.Struct, frozen=True, tag="keys", array_like=True):
    """The keys of the database's secrets, the newest first."""

    keys: list[bytes]


class Heads(msgspec.Struct, frozen=True, tag="heads", array_like=True):
    """The largest number that each table has ever given to a row."""

    heads: dict[str, int]


class TableBegins(msgspec.Struct, frozen=True, tag="table", array_like=True):
    """The rows that follow are of this table."""

    name: str
    columns: list[str]


class Rows(msgspec.Struct, frozen=True, tag="rows", array_like=True):
    """Rows of the table that was named last."""

    rows: list[list[Any]]


class FileBegins(msgspec.Struct, frozen=True, tag="file", array_like=True):
    """The bytes that follow are of this file, a path within the data directory."""

    path: str


class FileBytes(msgspec.Struct, frozen=True, tag="bytes", array_like=True):
    """The next bytes of the file that was named last."""

    data: bytes


class End(msgspec.Struct, frozen=True, tag="end", array_like=True):
    """What came before in numbers: rows and digest of each table, and how many files."""

    tables: dict[str, tuple[int, str]]
    files: int


Record = Keys | Heads | TableBegins | Rows | FileBegins | FileBytes | End


@dataclass(slots=True)
class Tally:
    """How many rows a table has, and a digest of them in any order: databases sort texts differently."""

    rows: int = 0
    _sum: int = 0

    def add(self, rows: Sequence[bytes]) -> None:
        """Count encoded rows in."""
        self.rows += len(rows)
        self._sum += sum(int.from_bytes(hashlib.sha256(row).digest(), "big") for row in rows)

    @property
    def result(self) -> tuple[int, str]:
        """The count and the digest."""
        return self.rows, f"{self._sum % _SUM:064x}"


def replaced(result: tuple[int, str], replacements: Iterable[Replacement]) -> tuple[int, str]:
    """Return the count and the digest of a table in which other rows stand for some."""
    encode, gone, come = msgspec.msgpack.Encoder().encode, Tally(), Tally()
    for old, new in replacements:
        gone.add([encode(old)])
        come.add([encode(new)])
    rows, digest = result
    return rows, f"{(int(digest, 16) - int(gone.result[1], 16) + int(come.result[1], 16)) % _SUM:064x}"


def rows_of(encoded: Sequence[bytes]) -> Rows:
    """Return the record of rows that are encoded already: that costs more than all else that is done with them."""
    raw: list[Any] = [msgspec.Raw(row) for row in encoded]
    return Rows(raw)


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes) -> object:
        """Take some bytes."""

    def finish(self) -> None:
        """Take nothing more."""


class RecordWriter:
    """Writes records, compressed."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._packer = zlib.compressobj(_LEVEL)
        self._encoder = msgspec.msgpack.Encoder()

    def write(self, record: Record) -> None:
        """Write one record."""
        raw = self._encoder.encode(record)
        if packed := self._packer.compress(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw):
            self._sink.write(packed)

    def finish(self) -> None:
        """Write what is left."""
        self._sink.write(self._packer.flush())
        self._sink.finish()


def read_records(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of a stream. Raises ``ConfigError`` when it is not whole: then it has no end."""
    decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
    unpacker, waiting, record = zlib.decompressobj(), bytearray(), None
    try:
        for chunk in chunks:
            waiting += unpacker.decompress(chunk)
            while len(waiting) >= _LENGTH_BYTES:
                length = int.from_bytes(waiting[:_LENGTH_BYTES], "big")
                if length > _MOST_RECORD_BYTES:
                    raise _damaged()
                if len(waiting) < _LENGTH_BYTES + length:
                    break
                record = decoder.decode(memoryview(waiting)[_LENGTH_BYTES : _LENGTH_BYTES + length].tobytes())
                del waiting[: _LENGTH_BYTES + length]
                yield record
    except (zlib.error, msgspec.MsgspecError):
        raise _damaged() from None
    if waiting or not unpacker.eof or not isinstance(record, End):
        raise _damaged()


def _damaged() -> ConfigError:
    return ConfigError("backup.damaged", code="backup_damaged")
