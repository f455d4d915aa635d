"""Large blocks are mapped by themselves, also after one was freed; what is loaded is not looked through again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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
        "import gc, shoal.__main__, shoal.cli.app; "
        "shoal.cli.app.main = lambda: print(len(gc.get_objects()), gc.isenabled()); shoal.__main__.main()"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    objects, enabled = told.stdout.split()
    assert int(objects) < 200
    assert enabled == "True"


def test_what_is_loaded_is_out_of_the_collectors_sight() -> None:
    program = (
        "import gc; from shoal.server.malloc_tuning import set_apart_what_is_loaded; "
        "set_apart_what_is_loaded(); print(len(gc.get_objects()))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert int(told.stdout) < 200
