"""``Shoal-After``: a request that must see a change which another server of the same database may have answered.

The header has the ``rev`` of an answer, or several separated by commas. A single server shows every change that was
answered, and the header means nothing.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from shoal.accounts.follower import Follower
from shoal.errors import InvalidInput, StoreError

HEADER: Final = "shoal-after"
AFTER_SECONDS: Final = 1.0
_MOST: Final = 20
"""How many revs a request may name: each may cost a look into the database."""
_FORM: Final = re.compile(rf"\s*\d{{1,18}}(\s*,\s*\d{{1,18}}){{0,{_MOST - 1}}}\s*", re.ASCII)


async def await_changes(follower: Follower, named: str) -> None:
    """Wait at most a second until the named changes are published here.

    Raises ``InvalidInput`` for another form, and ``StoreError`` (``node_behind``) when they are not in time.
    """
    if not _FORM.fullmatch(named):
        raise InvalidInput("Shoal-After holds revs, separated by commas", code="bad_after")
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + AFTER_SECONDS
    for rev in named.split(","):
        if not await follower.passed(int(rev), within_seconds=max(0.0, ends_at - loop.time())):
            raise StoreError("this server does not show that change yet", code="node_behind")
