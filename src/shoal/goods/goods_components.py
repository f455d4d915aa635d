"""What a server has for goods: the store, the units, the imports, the suppliers."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from shoal.errors import StoreError
from shoal.goods.cards import Cards
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Imports
from shoal.goods.off_rules import OffRules
from shoal.goods.order_units import OrderUnits
from shoal.goods.stock_units import StockUnits
from shoal.goods.supplier_calls import SupplierCalls
from shoal.goods.supplier_settings import SupplierSettings
from shoal.goods.supplier_units import SupplierUnits
from shoal.goods.unit_texts import UnitTexts
from shoal.network.outbound import Outbound
from shoal.storage.database import Database
from shoal.storage.vault import Vault


class GoodsComponents(msgspec.Struct, frozen=True, kw_only=True):
    """The components for goods."""

    store: GoodsStore
    units: StockUnits
    imports: Imports
    cards: Cards
    off_rules: OffRules
    suppliers: SupplierSettings
    supplier_units: SupplierUnits
    orders: OrderUnits


async def open_supplier_units(database: Database, vault: Vault, outbound: Outbound) -> SupplierUnits:
    """Open what fetches units from suppliers; the caller closes it. Raises ``StoreError``."""
    texts = await UnitTexts.load(database, vault)
    supplier_units = SupplierUnits(database, texts, SupplierSettings(vault), SupplierCalls(outbound))
    with suppress(StoreError):  # as above: then their orders find them
        await supplier_units.settle_interrupted()
    return supplier_units


async def open_goods(database: Database, vault: Vault, supplier_units: SupplierUnits) -> GoodsComponents:
    """Open the components for goods. Raises ``StoreError``."""
    texts = await UnitTexts.load(database, vault)
    imports = Imports(database, texts)
    with suppress(StoreError):  # a full disk, or a file that is being checked, is no reason not to start
        await imports.open()
    return GoodsComponents(
        store=GoodsStore(database),
        units=StockUnits(database, texts),
        imports=imports,
        cards=Cards(database),
        off_rules=OffRules(database),
        suppliers=SupplierSettings(vault),
        supplier_units=supplier_units,
        orders=OrderUnits(database, texts),
    )
