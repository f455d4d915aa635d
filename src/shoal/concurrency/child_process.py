"""What processes of Shoal have in common: their environment and bounds, no image of their memory, their end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

_KEPT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "TMPDIR", "LANG", "LC_ALL")
"""The environment variables that the processes get; the others may hold the server's key."""
_FIRST_TO_GO: Final = "1000"
"""The OOM score: when the machine runs out of memory, Linux ends this process and not the server."""
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4


def child_environment() -> dict[str, str]:
    """Return the environment for a process: without anything that is secret."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONUTF8": "1"}


def end_with_the_server() -> None:
    """Let Linux end this process with its parent: while it works, the process would not see the end of its input."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def bound_memory(most_bytes: int) -> None:
    """Bound the address space of this process, and let it be the first to go when the machine has no memory left."""
    with contextlib.suppress(ValueError, OSError):  # macOS does not bound the address space
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    with contextlib.suppress(OSError), Path("/proc/self/oom_score_adj").open("w", encoding="ascii") as score:
        score.write(_FIRST_TO_GO)


def bound_time(seconds: int) -> None:
    """Let the system end this process after so many seconds of a processor more: C code cannot be interrupted."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def forbid_core_dumps() -> None:
    """Turn off core dumps, and stop other processes of this user from reading the memory. Without rights it does
    nothing.

    The memory holds the key and every cookie in clear text. The limit stops core files of the kernel. On Linux a
    program that collects crashes ignores the limit, so the process is also made not dumpable. The files in ``/proc``
    that show its memory then belong to root.
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
