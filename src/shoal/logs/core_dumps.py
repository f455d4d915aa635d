"""No image of this process's memory is left on a disk: it holds the key, and every cookie in clear."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Let a crash leave nothing, and no other process of this user read the memory. Without rights it does nothing.

    The limit stops what the kernel writes into a file; on Linux a program that collects crashes passes the limit over,
    so the process is made not dumpable as well. The files in ``/proc`` that tell of its inside then belong to root.
    """
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
