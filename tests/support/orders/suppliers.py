"""The supplier of the sandbox for tests: served on a socket, with goods that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.supplier_calls import SupplierCalls
from shoal.goods.supplier_settings import SupplierSettings
from shoal.goods.supplier_units import SupplierUnits, Waits
from shoal.goods.unit_texts import UnitTexts
from shoal.network.outbound import Outbound
from shoal.sandbox.server import build_sandbox, serve_sandbox
from shoal.sandbox.supplier import Counter
from shoal.storage.database import Database
from shoal.storage.vault import Vault
from support.orders.goods_steps import by

SHORT = Waits(calls=(0.01, 0.01), queries=(0.01,), store=(0.01, 0.01))
CANARY = "canary-of-the-supplier"


@asynccontextmanager
async def served_supplier() -> AsyncIterator[tuple[str, Counter]]:
    """Yield the address of a supplier, and its counter."""
    app = build_sandbox(seed=5)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_sandbox(app=app, ready=ready))
    try:
        yield await asyncio.wait_for(ready, 60), app.state.site.supplier
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def settings_for(base: str, *, query: bool = False, **values: Any) -> dict[str, Any]:
    """Settings of a supplier at that address."""
    return {
        "url": f"{base}/supplier/orders",
        "headers": {"Authorization": CANARY},
        "body": '{"order": "{order_id}", "token": "' + CANARY + '"}',
        "code_path": "data.cards.0.code",
        **({"query_url": f"{base}/supplier/orders/{{key}}", "wait_seconds": 1} if query else {}),
        **values,
    }


async def supplied_goods(database: Database, vault: Vault, owner_id: int, values: dict[str, Any]) -> Goods:
    """Add goods of a supplier."""
    sealed, _ = SupplierSettings(vault).sealed(None, values, owner_id)
    fields = {"name": "月卡", "kind": GoodsKind.SUPPLIER}
    return await GoodsStore(database).create(owner_id, fields, by(), supplier=sealed)


async def supplier_units(database: Database, vault: Vault, *, allowed: str = "all", **more: Any) -> SupplierUnits:
    """What fetches units; the caller closes it."""
    texts = await UnitTexts.load(database, vault)
    calls = SupplierCalls(Outbound.of(allowed))
    return SupplierUnits(database, texts, SupplierSettings(vault), calls, **{"waits": SHORT, **more})
