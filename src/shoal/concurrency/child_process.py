"""What every process that the server starts has in common: its environment, and its end with the server."""

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
