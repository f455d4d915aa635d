"""Fixtures of a shop over the real wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quick_start import blank_database
from sandboxed import Sandbox, Shoal, standing_sandbox


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """A strict sandbox in this process, on a socket of its own, without what the test's mark ``lenient`` names.

    What another rule saw fails the test at its end: we never send what no browser sends.
    """
    mark = request.node.get_closest_marker("lenient")
    async with standing_sandbox(*(mark.args if mark else ()), **(mark.kwargs if mark else {})) as standing:
        yield standing


@pytest.fixture
async def shoal(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Shoal]:
    """An open Shoal over that sandbox, with what the test's mark ``settings`` names."""
    await blank_database(tmp_path / "data")
    instance = Shoal(sandbox, tmp_path / "data")
    mark = request.node.get_closest_marker("settings")
    await instance.open(**(mark.kwargs if mark else {}))
    yield instance
    await instance.close()
