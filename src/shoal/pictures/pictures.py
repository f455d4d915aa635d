"""Uploaded pictures for replies, and those of sellers: stored under names that tell nothing, kept while in use.

With SQLite they are files (``picture_files``); on PostgreSQL they are rows, which every server reads
(``database_pictures``).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, ParamSpec, Protocol, TypeVar

from shoal.errors import InvalidInput
from shoal.pictures.picture_formats import FORMATS, Measured, measure
from shoal.xianyu.uploads import is_on_site

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="shoal-pictures")
"""Threads for files of pictures only."""
URL_PREFIX = "/static/uploads/images/"
"""The URL path of stored pictures, as in the system that sellers come from."""
UNUSED_DAYS = 7
"""How long a picture is kept after its last use, so that the change that ended it can be undone."""

_NAME = rf"[0-9a-f]{{32}}\.(?:{'|'.join(kind.extension for kind in FORMATS)})"
URL_PATTERN: Final = f"{URL_PREFIX}({_NAME})"
"""Finds the name of a picture in a text, in Python and on PostgreSQL."""
_URL = re.compile(URL_PATTERN)


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture. ``digest`` is the SHA-256 of its bytes in hex: the same for equal pictures."""

    data: bytes = field(repr=False)
    measured: Measured
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Picture:
        """Return the picture of its bytes. Raise ``InvalidInput`` like ``measure``."""
        return cls(data, measure(data), hashlib.sha256(data).hexdigest())


class Pictures(Protocol):
    """Where pictures are stored."""

    async def keep(self, data: bytes) -> str:
        """Store a picture and return its address, ``/static/uploads/images/…``.

        It is stored completely or not at all. Raise ``InvalidInput`` like ``measure``, and ``StoreError``
        (``picture_not_stored`` for a file).
        """

    async def keep_as(self, name: str, data: bytes) -> None:
        """Store a picture under a name, unless it is there. Raise ``StoreError`` like ``keep``."""

    async def read(self, url: str) -> Picture:
        """Return the picture at an address of this server.

        Raise ``InvalidInput`` (``picture_missing``) when the address is another one, or the picture is missing or
        damaged; ``TemporaryFailure`` (``picture_unreadable``) when the disk or the database fails.
        """

    async def sweep(self, now_seconds: float) -> int:
        """Delete pictures that nothing has named for ``UNUSED_DAYS``. Return how many. Raise ``StoreError``."""


async def beside(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Run a function on the threads of the files of pictures."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *arguments, **named))


def name_in(url: str) -> str | None:
    """Return the name of the picture at an address of this server; ``None`` for another address."""
    found = _URL.fullmatch(url)
    return None if found is None else found[1]


def names_in(content: str) -> list[str]:
    """Return the names of the pictures that a text names."""
    return _URL.findall(content)


def is_kept(url: str) -> bool:
    """Return whether an address is that of a picture stored here, not on another host."""
    return url.startswith(URL_PREFIX)


def require_showable(url: str) -> None:
    """Raise ``InvalidInput`` for a picture that is neither stored here nor on the site."""
    if not is_kept(url) and not is_on_site(url):
        raise InvalidInput("the picture is neither here nor on the site", code="bad_image_url")


def picture_missing(url: str) -> InvalidInput:
    """Return the error for an address at which there is no picture."""
    return InvalidInput("there is no such picture here", code="picture_missing", url=url)
