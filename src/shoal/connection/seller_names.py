"""What the site calls the sellers: asked by a connection whose account has no name yet."""

from __future__ import annotations

import structlog

from shoal.accounts.account_task import Link
from shoal.errors import TemporaryFailure
from shoal.xianyu.mtop import MtopClient, MtopRefused

log = structlog.get_logger("shoal.live")


async def learn_name(account_id: str, link: Link, mtop: MtopClient) -> None:
    """Ask and report. A refusal or a passing failure leaves it to the next connection. Raise ``ActionRequired``."""
    try:
        name, picture = await mtop.profile()
    except (MtopRefused, TemporaryFailure) as failure:
        log.warning("name not learned", account=account_id, why=failure.code)
        return
    if name or picture:
        link.named(name, picture)
