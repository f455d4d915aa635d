"""What unit tests share: a shop that needs no sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.site.without_sockets import OneShop, one_shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[OneShop]:
    """An open shop; ``add`` its account."""
    async with one_shop(tmp_path) as opened:
        yield opened
