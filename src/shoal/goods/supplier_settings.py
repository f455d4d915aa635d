"""The settings of suppliers as they are stored: sealed, bound to their owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from shoal.errors import InvalidInput, StoreError
from shoal.goods.suppliers import Supplier, changed_supplier
from shoal.storage.goods_tables import goods
from shoal.storage.sealed_values import SealedColumn
from shoal.storage.vault import Vault

SUPPLIER_COLUMN: Final = SealedColumn(goods, "supplier_sealed").label


class SupplierSettings:
    """Seals and opens the settings of suppliers."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def read(self, connection: Connection, goods_id: int) -> Supplier | None:
        """Return the supplier of goods; ``None`` when they have none. Raises ``StoreError`` like ``Vault.open``."""
        query = select(goods.c.owner_id, goods.c.supplier_sealed).where(goods.c.id == goods_id)
        row = connection.execute(query).mappings().first()
        return None if row is None else self._opened(row["supplier_sealed"], row["owner_id"])

    def sealed(
        self, before: bytes | None, values: Mapping[str, Any] | None, owner_id: int
    ) -> tuple[bytes | None, list[str]]:
        """Return the sealed settings after a change, and the names of the fields that it changed.

        Raises ``InvalidInput`` as ``changed_supplier``.
        """
        if values is None:
            return before, []
        stored = self._opened(before, owner_id)
        fresh = changed_supplier(stored, values)
        names = [
            name
            for name in Supplier.__struct_fields__
            if (name in values if stored is None else getattr(stored, name) != getattr(fresh, name))
        ]
        text = msgspec.json.encode(fresh).decode()
        return self._vault.seal(text, column=SUPPLIER_COLUMN, user_id=owner_id) if names else before, names

    def _opened(self, sealed: bytes | None, owner_id: int) -> Supplier | None:
        if sealed is None:
            return None
        text = self._vault.open(sealed, column=SUPPLIER_COLUMN, user_id=owner_id)
        try:
            return msgspec.json.decode(text, type=Supplier)
        except msgspec.MsgspecError:
            raise StoreError("the settings of a supplier cannot be read", code="unreadable_supplier") from None


def require_supplier(supplier: Supplier | None) -> Supplier:
    """Return the supplier. Raises ``InvalidInput`` (``supplier_missing``) without one."""
    if supplier is None:
        raise InvalidInput("these goods have no supplier", code="supplier_missing")
    return supplier
