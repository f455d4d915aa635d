"""Large blocks are mapped by themselves, also after one was freed; what is loaded is not looked through again."""

from __future__ import annotations

import asyncio
import gc
import platform
import subprocess
import sys

import pytest

from shoal.server import malloc_tuning
from support.site.standins import until

PROGRAM = """
import ctypes
from shoal.server.malloc_tuning import keep_large_blocks_apart
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
libc.mallinfo2.restype = Info
if {apart}:
    assert keep_large_blocks_apart()
libc.free(libc.malloc(4 << 20))
before = libc.mallinfo2().hblks
libc.malloc(256 << 10)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
@pytest.mark.parametrize(("apart", "mapped"), [(True, "1"), (False, "0")])
def test_a_buffer_of_a_connection_is_mapped_by_itself(*, apart: bool, mapped: str) -> None:
    program = PROGRAM.format(apart=apart)
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.strip() == mapped


def test_what_the_command_line_loads_is_out_of_the_collectors_sight() -> None:
    program = (
        "import gc, sys, shoal.__main__, shoal.cli.session as session; "
        "session.run = lambda work: print(work.close() or len(gc.get_objects()), gc.isenabled()); "
        "sys.argv[:] = ['shoal', 'accounts', 'list']; shoal.__main__.main()"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    objects, enabled = told.stdout.split()
    assert int(objects) < 200
    assert enabled == "True"


async def test_what_comes_while_the_accounts_are_started_is_out_of_the_collectors_sight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(malloc_tuning, "_APART_SECONDS", 0.001)
    objects: list[list[object]] = []
    go_on = asyncio.Event()

    async def start() -> None:
        objects.extend([] for _ in range(1_000))
        await go_on.wait()
        objects.extend([] for _ in range(1_000))

    gc.disable()
    starting = asyncio.create_task(start())
    try:
        async with malloc_tuning.apart_while_starting([starting]):
            assert gc.isenabled()
            await until(lambda: bool(objects) and not _tracked(objects))
            go_on.set()
            await starting
            await until(lambda: not _tracked(objects))
            later: list[list[object]] = [[]]
            await asyncio.sleep(0.05)
            assert _tracked(later), "what comes afterwards is looked at"
    finally:
        gc.enable()  # what is frozen stays so: later tests would look through all of it again


def _tracked(objects: list[list[object]]) -> int:
    """How many of the objects the collector still looks at."""
    ids = {id(one) for one in objects}
    return sum(id(one) in ids for one in gc.get_objects())
