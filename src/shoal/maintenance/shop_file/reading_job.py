"""A file of shops that is read in a process of its own (a ``Job`` of ``BoundedProcesses``), shop by shop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from shoal.concurrency.bounded_worker import Failure
from shoal.errors import InvalidInput
from shoal.maintenance.shop_file.reading import ReadFile, read_file
from shoal.maintenance.shop_file.shapes import ShopPart
from shoal.maintenance.shop_file.yaml_values import FileFault, Lines, UnusableFile

READ: Final = f"{__name__}:read"
_MOST_FAULTS: Final = 1_000
"""How many faults are passed on. Their author corrects the first ones first."""


class _Fault(msgspec.Struct, array_like=True):
    """A ``FileFault``."""

    line: int
    place: str
    failure: Failure


class _Head(msgspec.Struct, array_like=True):
    """What is about the whole file: its faults, the line of its shops, and of each list that lost rows what is left."""

    is_usable: bool
    faults: list[_Fault]
    line: int
    rows: list[tuple[str, str, list[int]]]


class _Shop(msgspec.Struct, array_like=True):
    """One shop: its name, its values and their lines."""

    name: str
    values: dict[str, Any]
    lines: Lines | int


_encode = msgspec.msgpack.encode
_decode_head = msgspec.msgpack.Decoder(_Head).decode
_decode_shop = msgspec.msgpack.Decoder(_Shop).decode


def read(argument: bytes) -> Iterator[bytes]:
    """Read a text as ``read_file``; a file that cannot be used is an answer too."""
    try:
        file = read_file(argument.decode())
    except UnusableFile as error:
        yield _encode(_Head(False, _sent(error.faults), 1, []))
        return
    shops = file.lines.parts.get("accounts", file.lines)
    yield _encode(
        _Head(
            True,
            _sent(file.faults),
            shops.line if isinstance(shops, Lines) else shops,
            [(shop, section, list(left)) for (shop, section), left in file.rows.items()],
        )
    )
    for name, part in file.shops.items():
        lines = shops.parts.get(name, shops.line) if isinstance(shops, Lines) else shops
        yield _encode(_Shop(name, part.model_dump(exclude_unset=True), lines))


def _sent(faults: Sequence[FileFault]) -> list[_Fault]:
    first = sorted(faults, key=lambda fault: fault.line)[:_MOST_FAULTS]
    return [_Fault(one.line, one.place, Failure.of(one.error)) for one in first]


def file_of(parts: Sequence[bytes]) -> ReadFile:
    """Return the file that was read. Raises like ``read_file``."""
    head, shops = _decode_head(parts[0]), list(map(_decode_shop, parts[1:]))
    faults = [FileFault(one.line, one.place, _invalid(one.failure)) for one in head.faults]
    if not head.is_usable:
        raise UnusableFile(faults)
    lines = Lines(head.line, {one.name: one.lines for one in shops})
    return ReadFile(
        shops={one.name: ShopPart.model_validate(one.values) for one in shops},
        lines=Lines(1, {"accounts": lines}),
        faults=faults,
        rows={(shop, section): left for shop, section, left in head.rows},
    )


def _invalid(failure: Failure) -> InvalidInput:
    return InvalidInput(failure.text, code=failure.code, **failure.params)
