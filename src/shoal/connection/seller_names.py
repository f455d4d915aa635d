"""What the site calls the sellers: asked by a connection whose account has no name yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from shoal.errors import TemporaryFailure
from shoal.xianyu.mtop import MtopClient, MtopRefused

log = structlog.get_logger("shoal.live")

Keep = Callable[[str, str, str], Awaitable[None]]
"""Keeps the name and the picture's address of an account's seller. Never raises for what passes."""


class SellerNames:
    """Asks the site, once there is somebody who keeps the answers."""

    def __init__(self) -> None:
        self._keep: Keep | None = None

    def keep_with(self, keep: Keep) -> None:
        """Name who keeps the answers."""
        self._keep = keep

    async def learn(self, account_id: str, mtop: MtopClient) -> None:
        """Ask and keep. A refusal or a passing failure leaves it to the next connection. Raise ``ActionRequired``."""
        if self._keep is None:
            return
        try:
            name, picture = await mtop.profile()
        except (MtopRefused, TemporaryFailure) as failure:
            log.warning("name not learned", account=account_id, why=failure.code)
            return
        if name or picture:
            await self._keep(account_id, name, picture)
