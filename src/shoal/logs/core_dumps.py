"""Keeps images of the process's memory off the disk: the memory holds the key and every cookie in clear text."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Turn off core dumps, and stop other processes of this user from reading the memory. Without rights it does
    nothing.

    The limit stops core files of the kernel. On Linux a program that collects crashes ignores the limit, so the process
    is also made not dumpable. The files in ``/proc`` that show its memory then belong to root.
    """
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
