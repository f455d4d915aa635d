"""Opens what moves the data of other systems in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shoal.assistant.provider_store import ProviderStore
from shoal.cluster.turns import Turn
from shoal.config import Settings
from shoal.goods.goods_components import GoodsComponents
from shoal.maintenance.moving.carry_out import Tools
from shoal.maintenance.moving.moving import Moving
from shoal.maintenance.moving.run_store import RunStore
from shoal.notices.channels import ChannelStore
from shoal.server.open_accounts import Accounts
from shoal.server.open_connections import Connections
from shoal.server.open_storage import Storage
from shoal.server.open_users import UserParts


@asynccontextmanager
async def open_moving(
    storage: Storage,
    users: UserParts,
    connections: Connections,
    accounts: Accounts,
    goods: GoodsComponents,
    settings: Settings,
) -> AsyncIterator[Moving]:
    """Open imports; a run in progress ends between two steps when the server closes."""
    tools = Tools(
        database=storage.database,
        manager=accounts.manager,
        users=users.users,
        goods=goods,
        channels=ChannelStore(storage.database, storage.vault),
        providers=ProviderStore(storage.database, storage.vault),
        pictures=connections.deps.pictures,
        audit_log=storage.audit_log,
        runs=RunStore(storage.database, storage.vault),
    )
    turn = None if storage.node is None else Turn(storage.database, storage.node, "import")
    moving = Moving(tools, shops_per_owner=settings.shops_per_owner, turn=turn)
    await moving.open()
    try:
        yield moving
    finally:
        await moving.close()
