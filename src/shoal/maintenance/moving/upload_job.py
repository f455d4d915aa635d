"""What reads an uploaded file in a process of its own: a ``Job`` of ``BoundedProcesses``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from shoal.maintenance.moving.autoagent import is_autoagent, read_autoagent
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import OldShop
from shoal.maintenance.moving.shop_parts import parts_of_shop
from shoal.maintenance.moving.upload_parts import parts_of


def read(argument: bytes) -> Iterator[bytes]:
    """Yield the pictures of an upload by their names, each with the name of its file here; then what it holds.

    ``argument``: the path of the file, and what opens its secrets.
    """
    path, key = msgspec.msgpack.decode(argument, type=tuple[str, str])
    shop, pictures = read_upload(Path(path), key=key)
    yield msgspec.msgpack.encode({name: path.name for name, path in pictures.items()})
    yield from parts_of_shop(shop)


def read_upload(path: Path, *, key: str = "") -> tuple[OldShop, Mapping[str, Path]]:
    """Return what an uploaded file holds, and its pictures by their names. Raises like ``read_old_file``."""
    if is_autoagent(path):
        return read_autoagent(path), {}
    parts = parts_of(path)
    return read_old_file(parts.main, with_log=parts.with_log, key=key), parts.pictures
