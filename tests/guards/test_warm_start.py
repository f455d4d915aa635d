"""One process forks what the tests of all workers start, and each worker's programs end with it."""

from __future__ import annotations

from pathlib import Path

import psutil

from benchmarks.processes import clean_environment
from support.runs.warm_start import WarmStart


async def test_programs_of_two_callers_have_one_parent_and_end_with_the_caller_that_started_them(
    tmp_path: Path,
) -> None:
    program = tmp_path / "waits.py"
    program.write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    one, other = WarmStart(), WarmStart()
    first, second = [await warm.start((str(program),), clean_environment()) for warm in (one, other)]
    for started in (first, second):
        assert await started.stdout.readline() == b"begun\n"
    assert one.pid != other.pid
    assert len({psutil.Process(warm.pid).ppid() for warm in (one, other)}) == 1
    assert one._orders is not None
    one._orders.close()  # as the kernel does when its process is killed
    assert await first.stdout.read() == b""
    assert second.returncode is None
    other.close()
    assert await second.stdout.read() == b""
