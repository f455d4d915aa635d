"""The site that unit tests of the live socket talk to."""

from collections.abc import AsyncIterator

import pytest

from support.site.small_live_site import Site, standing_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with standing_site() as standing:
        yield standing
