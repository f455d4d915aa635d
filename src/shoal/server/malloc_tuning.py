"""Memory of the process: large blocks are mapped separately, and permanent objects are hidden from the collector."""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
"""glibc's ``malloc.h``."""

LARGE_BYTES = 128 * 1024


def keep_large_blocks_apart() -> bool:
    """Map every block of 128 KiB or more separately. Return whether this system's C library can.

    Each TLS connection owns a read buffer of 256 KiB (uvloop) of which it uses a few pages. Mapped separately it costs
    those pages. But glibc raises its threshold as soon as one such block is freed, and then takes them from the heap,
    among used pages: 10 to 20 KiB more for each connection.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) == 1


def set_apart_what_is_loaded() -> None:
    """Call ``gc.freeze()`` after the imports, then let the collector run: modules and models are some 160,000 permanent
    objects.

    The collector stops the interpreter while it runs, and it runs whenever a quarter of the objects are new: while
    thousands of rules were compiled on another thread, the event loop stood still for 0.1 s and more. What the imports
    left behind is not collected before: to look for it takes 0.13 s, and it is some 2,000 small objects.
    """
    gc.freeze()
    gc.enable()
