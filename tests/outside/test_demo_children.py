"""The children of the demo never outlive it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from shoal.cli.demo import child_process
from shoal.cli.demo.child_process import ChildDied, ChildProcess

READY = r'^SANDBOX \{"url": "([^"]+)"'


async def test_a_child_says_when_it_is_ready_and_ends_when_it_is_told(tmp_path: Path) -> None:
    child = ChildProcess("sandbox", tmp_path / "sandbox.log")
    url = await child.start("shoal.sandbox", "--quiet", env=os.environ, cwd=tmp_path, ready=READY, ready_seconds=180)
    assert url.startswith("http://127.0.0.1:")
    assert child.pid is not None
    await child.stop()
    assert not psutil.pid_exists(child.pid)
    assert child.last_lines() == [f'SANDBOX {{"url": "{url}"}}']


async def test_a_child_that_dies_at_once_is_told_with_its_last_lines(tmp_path: Path) -> None:
    child = ChildProcess("sandbox", tmp_path / "sandbox.log")
    with pytest.raises(ChildDied, match="exit code 2"):
        await child.start("shoal.sandbox", "--nope", env=os.environ, cwd=tmp_path, ready=READY, ready_seconds=180)
    await child.stop()
    assert "--nope" in child.last_lines()[-1]


async def test_a_child_that_does_not_end_when_it_is_told_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "STOP_SECONDS", 0.1)
    lines = "import signal", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "print('READY x', flush=True)"
    (tmp_path / "deaf.py").write_text("\n".join([*lines, "signal.pause()"]), encoding="utf-8")
    child = ChildProcess("deaf", tmp_path / "deaf.log")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    await child.start("deaf", env=environment, cwd=tmp_path, ready="^READY (x)", ready_seconds=180)
    assert child.pid is not None
    await child.stop()
    assert not psutil.pid_exists(child.pid), "it was waited for"


async def test_a_child_ends_with_its_starter_however_that_ends(tmp_path: Path) -> None:
    """The starter here holds the lifeline and is killed."""
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _STARTER), stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    assert starter.stdout is not None
    child = psutil.Process(int(await starter.stdout.readline()))
    starter.kill()
    await starter.communicate()
    async with asyncio.timeout(60):
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.05)


_STARTER = f"""
import asyncio, os, pathlib
from shoal.cli.demo.child_process import ChildProcess

async def main():
    child = ChildProcess("sandbox", pathlib.Path("sandbox.log"))
    here = pathlib.Path.cwd()
    await child.start("shoal.sandbox", "--quiet", env=os.environ, cwd=here, ready={READY!r}, ready_seconds=180)
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""
