"""Memory of the process: large blocks are mapped separately, and permanent objects are hidden from the collector."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

_M_MMAP_THRESHOLD = -3
"""glibc's ``malloc.h``."""

_APART_SECONDS = 0.1
LARGE_BYTES = 128 * 1024


def keep_large_blocks_apart() -> bool:
    """Map every block of 128 KiB or more separately. Return whether this system's C library can.

    Each TLS connection owns a read buffer of 256 KiB (uvloop) of which it uses a few pages. Mapped separately it costs
    those pages. But glibc raises its threshold as soon as one such block is freed, and then takes them from the heap,
    among used pages: 10 to 20 KiB more for each connection.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) == 1


@asynccontextmanager
async def apart_while_starting(starting: Collection[asyncio.Task[None]]) -> AsyncIterator[None]:
    """Set apart what is there, at once and again and again until all of ``starting`` are done. Let the collector run.

    The collector stops the interpreter while it looks through all objects, and it does so whenever a quarter of them
    are new. After the imports that is 0.06 s, while 10,000 accounts are started up to 0.16 s, ten times. Modules,
    models, accounts and their tasks stay anyway. What lies there uncollected stays too, some thousand small objects;
    what is freed without the collector is freed as before. But what the steps of a migration leave, and the words by
    which the first password was judged, is 18 MB: it goes.
    """
    if "alembic" in sys.modules:
        gc.collect()
    set_apart()
    following = asyncio.create_task(_follow(starting), name="set-apart") if starting else None
    try:
        yield
    finally:
        if following:
            following.cancel()


async def _follow(starting: Collection[asyncio.Task[None]]) -> None:
    left = set(starting)
    while left:
        _, left = await asyncio.wait(left, timeout=_APART_SECONDS)
        set_apart()


def set_apart() -> None:
    """Hide what is there from the collector, and let it run."""
    gc.freeze()
    gc.enable()
