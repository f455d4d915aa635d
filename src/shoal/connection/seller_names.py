"""What the site calls the sellers: asked by a connection whose seller is not known yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from shoal.accounts.account_task import Link
from shoal.errors import InvalidInput, StoreError, TemporaryFailure
from shoal.pictures.pictures import Pictures
from shoal.xianyu.mtop import MtopClient, MtopRefused

log = structlog.get_logger("shoal.live")


async def learn_name(
    account_id: str, link: Link, mtop: MtopClient, fetch: Callable[[str], Awaitable[bytes]], pictures: Pictures
) -> None:
    """Ask for name and picture, and report them. A refusal or a passing failure leaves it to the next connection.

    ``fetch`` returns the file at an address; without the picture the name is reported. Raise ``ActionRequired``.
    """
    try:
        name, address = await mtop.profile()
    except (MtopRefused, TemporaryFailure) as failure:
        log.warning("name not learned", account=account_id, why=failure.code)
        return
    picture = ""
    if address:
        try:
            picture = await pictures.keep(await fetch(address))
        except (TemporaryFailure, InvalidInput, StoreError) as failure:
            log.warning("picture not kept", account=account_id, why=failure.code)
    if name or picture:
        link.named(name, picture)
