"""``shoal`` that also writes down, every few seconds, what its memory is used for: ``measured_server.py serve``.

Only the process itself can tell it. The file is named by ``MEMORY_FILE``; all but the blocks of Python are in bytes.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import json
import os
import runpy
import sys
import threading
import time
from pathlib import Path

MEMORY_FILE = "SHOAL_BENCHMARK_MEMORY_FILE"
SECONDS = 2.0


class _Mallinfo2(ctypes.Structure):
    """glibc's ``malloc.h``: sums over all its arenas."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def memory() -> dict[str, int]:
    """Return what each allocator holds now. Without glibc, only what Python and SQLite hold."""
    sqlite = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    sqlite.restype = ctypes.c_int64
    found = {"python": sys.getallocatedblocks(), "sqlite": sqlite()}
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is not None:
        mallinfo2.restype = _Mallinfo2
        info = mallinfo2()
        found |= {"glibc": info.uordblks, "glibc_free": info.fordblks, "mapped": info.hblkhd}
    return found


def _write_again_and_again(file: Path) -> None:
    fresh = file.with_suffix(".new")
    while True:
        fresh.write_text(json.dumps(memory()), encoding="ascii")
        fresh.replace(file)
        time.sleep(SECONDS)


if __name__ == "__main__":
    sys.path.pop(0)  # this directory: it has an ``http.py``
    file = Path(os.environ.pop(MEMORY_FILE))
    threading.Thread(target=_write_again_and_again, args=(file,), name="memory", daemon=True).start()
    runpy.run_module("shoal", run_name="__main__", alter_sys=True)
