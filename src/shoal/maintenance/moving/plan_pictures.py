"""Plans pictures: those of the old system that came with its file, and those that are on the site."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from shoal.errors import InvalidInput
from shoal.maintenance.moving.plan import NewPicture
from shoal.pictures.picture_formats import measure
from shoal.pictures.pictures import URL_PREFIX
from shoal.rules.rule import Part
from shoal.xianyu.uploads import is_on_site

MOST_BYTES: Final = 64 * 1024**2
"""How large the pictures of a plan may be together: they are in memory until it is carried out. The others count as not
here; they come with the same file once more."""


class Pictures:
    """The pictures that came, by the last part of their path; and which of them are used.

    A picture that is taken has the address that it will have here: its name is a digest of its bytes, so that the same
    file again is the same picture.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._taken: dict[str, NewPicture] = {}
        self._seen: dict[Path, tuple[str, int, int] | None] = {}
        self._room = MOST_BYTES

    @property
    def taken(self) -> tuple[NewPicture, ...]:
        """The pictures that rules and goods name."""
        return tuple(self._taken.values())

    def part(self, address: str) -> Part | None:
        """Return a message with the picture; ``None`` when it neither came nor is on the site."""
        if is_on_site(address):
            return Part(image_url=address)
        found = self._kept(address)
        return None if found is None else Part(image_url=found[0], width=found[1], height=found[2])

    def address(self, address: str) -> str:
        """Return the picture's address here, or on the site; empty when there is none."""
        part = self.part(address)
        return "" if part is None else part.image_url

    @staticmethod
    def is_local(address: str) -> bool:
        """Return whether an address is a path in the old system's own folder."""
        return not urlsplit(address).scheme

    def _kept(self, address: str) -> tuple[str, int, int] | None:
        path = self._files.get(PurePosixPath(address).name) if self.is_local(address) else None
        if path is None:
            return None
        if path not in self._seen:
            self._seen[path] = self._read(path)
        return self._seen[path]

    def _read(self, path: Path) -> tuple[str, int, int] | None:
        try:
            if path.stat().st_size > self._room:
                return None
            data = path.read_bytes()
            size = measure(data)
        except (OSError, InvalidInput):
            return None
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.{size.format.extension}"
        if name not in self._taken:
            self._taken[name] = NewPicture(name=name, data=data)
            self._room -= len(data)
        return URL_PREFIX + name, size.width, size.height
