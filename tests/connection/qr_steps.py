"""Steps of QR logins: begin one, scan its code, wait for its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.connection.qr_logins import QrLogins, QrLoginView
from shoal.network.outbound import Outbound
from shoal.xianyu.site_session import open_site_session
from support.site.sandboxed import Shoal
from support.site.standins import until

OWNER = 1

LOOPBACK = Outbound.of("127.0.0.1")


@asynccontextmanager
async def qr_logins(shoal: Shoal, **values: Any) -> AsyncIterator[QrLogins]:
    """The logins of a server over the sandbox."""
    async with open_site_session() as session:
        logins = QrLogins(shoal.manager, session, shoal.settings, outbound=LOOPBACK, **{"poll_seconds": 0.05, **values})
        try:
            yield logins
        finally:
            await logins.close()


async def begin(logins: QrLogins, account_id: str = "", **values: Any) -> QrLoginView:
    return await logins.begin(OWNER, actor="user:ann", op_id=f"op-{account_id}", account_id=account_id, **values)


async def ended(logins: QrLogins, login: QrLoginView) -> QrLoginView:
    """The login once it is over."""
    await until(lambda: logins.get(OWNER, login.id).state.is_over)
    return logins.get(OWNER, login.id)


def code_key(login: QrLoginView) -> str:
    return login.content.partition("lgToken=")[2].partition("&")[0]


async def scan(shoal: Shoal, login: QrLoginView, status: str, number: int = 0) -> str:
    """The seller does something with the app."""
    seller = list(shoal.sandbox.world.sellers.values())[number]
    await shoal.sandbox.do("qr", ck=code_key(login), status=status, account=seller.unb)
    return seller.unb
