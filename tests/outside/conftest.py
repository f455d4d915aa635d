"""Fixtures of the real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess
from support.databases.postgres_fixture import postgres  # noqa: F401  (a fixture)
from support.runs.warm_start import _forked  # noqa: F401  (a fixture)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcess]:
    """A sandbox process."""
    process = await SandboxProcess(tmp_path / "sandbox.log").start()
    yield process
    await process.end()


@pytest.fixture
async def server(sandbox: SandboxProcess, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server process on a fresh data directory."""
    process = await ServerProcess(tmp_path / "data", sandbox.url).start()
    yield process
    await process.close()
