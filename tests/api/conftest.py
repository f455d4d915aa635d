"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.servers.doors import Door, started_door


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A server with one account, ``shop``."""
    async with started_door(tmp_path / "data") as opened:
        await opened.add()
        yield opened
