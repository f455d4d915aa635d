"""How the process keeps its memory: large blocks apart, and out of the collector's sight what lives as long as it."""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
"""glibc's ``malloc.h``."""

LARGE_BYTES = 128 * 1024


def keep_large_blocks_apart() -> bool:
    """Let every block of 128 KiB or more be mapped by itself; returns whether this system's C library can.

    Each TLS connection owns a read buffer of 256 KiB (uvloop) of which it ever touches a few pages. Mapped by itself it
    costs those pages. But glibc raises its threshold as soon as one such block was freed, and from then on takes them
    from the heap, among pages that are in use already: 10 to 20 KiB more for each connection.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) == 1


def set_apart_what_is_loaded() -> None:
    """Let the collector never again look through what is there now: modules, routes, models, some 300,000 objects.

    It holds the interpreter while it looks, and it looks whenever a quarter was added: while thousands of rules are
    made on another thread, the event loop stood still for 0.1 s and more.
    """
    gc.collect()
    gc.freeze()
