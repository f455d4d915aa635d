"""A crash of the real server leaves no image of its memory, and no other process of its user looks into it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import START_SECONDS, Process, clean_environment
from shoal.concurrency.bounded_worker import CALL, HEAD_BYTES, PART, Call, head_of, message
from shoal.sheets.xlsx_jobs import WRITE, WriteRequest, encode

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells about it in /proc"),
]

_AS_ANY_USER = """
import ctypes, os, sys
if os.geteuid() == 0:
    for right in (19, 21, 38):  # without these (ptrace, administration, measuring) root is a user like others
        ctypes.CDLL(None).prctl(24, right, 0, 0, 0)
"""
_RUN = f"{_AS_ANY_USER}\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
_LOOK = "import sys; open(f'/proc/{sys.argv[1]}/environ', 'rb').read(); open(f'/proc/{sys.argv[1]}/maps').read()"


def look_into(pid: int) -> str:
    """What another process of the same user hears when it looks into that one."""
    looked = subprocess.run(
        [sys.executable, "-c", _RUN, "-c", _LOOK, str(pid)],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return looked.stderr.strip().rpartition("\n")[2]


def limit_of(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    return next(line for line in lines if line.startswith("Max core file size")).split()[4:6]


async def test_f14_a_server_leaves_no_core_and_lets_no_process_look_into_its_memory(tmp_path: Path) -> None:
    open_one, server = Process(tmp_path / "open.log"), Process(tmp_path / "server.log")
    try:
        child = await open_one.spawn(
            "-c", _RUN, "-c", "print('here', flush=True); import time; time.sleep(300)", environment={}
        )
        assert child.stdout is not None
        assert await child.stdout.readline() == b"here\n"
        assert look_into(child.pid) == ""  # else the refusal below proves nothing
        environment = clean_environment(SHOAL_PORT="0", SHOAL_DATA_DIR=str(tmp_path / "data"))
        child = await server.spawn("-c", _RUN, "-m", "shoal", "serve", environment=environment)
        assert child.stdout is not None
        async with asyncio.timeout(120):
            while b"listening at" not in (line := await child.stdout.readline()):
                assert line, server.log_file.read_text()
        assert "Permission" in look_into(child.pid) or "not permitted" in look_into(child.pid)
        assert limit_of(child.pid) == ["0", "0"]
    finally:
        await server.end()
        await open_one.end()


def test_f14_nor_does_the_process_that_reads_files_and_it_goes_first_when_memory_is_short() -> None:
    request = encode(Call(WRITE, encode(WriteRequest("a", [], [], grey=False))))
    command = [sys.executable, "-c", _RUN, "-m", "shoal.concurrency.bounded_worker", str(1 << 30), "9"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(message(CALL, request))
        worker.stdin.flush()
        kind, size = head_of(worker.stdout.read(HEAD_BYTES))
        assert (kind, worker.stdout.read(size)[:2]) == (PART, b"PK")
        heard = look_into(worker.pid)
        assert "Permission" in heard or "not permitted" in heard
        assert limit_of(worker.pid) == ["0", "0"]
        assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text(encoding="ascii") == "1000\n"
