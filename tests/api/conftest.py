"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doors import Door, open_door


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a database that answers is not said to be out of reach."""
    monkeypatch.setattr("shoal.api.routes.health.PROBE_SECONDS", 60.0)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A server with one account, ``shop``."""
    async with open_door(tmp_path / "data") as opened:
        await opened.add()
        yield opened
