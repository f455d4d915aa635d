"""What the site's pages showed of items, as rows: one for each shop and item whose page was read."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import folded_spec
from shoal.storage.among import among
from shoal.storage.assistant_tables import item_pages
from shoal.storage.change_statements import statements_of
from shoal.storage.known_item_rows import SeenItem, note_items
from shoal.storage.spec_incidents import note_specs
from shoal.storage.upserts import insert_or
from shoal.xianyu.item_page import ItemPage, ItemStatus, SpecPrice


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPage:
    """What is known of an item's page, and since when. ``read_at_ms`` is ``None`` when it was never read.

    ``asked_at_ms``: when the site was last asked; ``why`` it was not read then, empty when it was.
    """

    item_id: str
    page: ItemPage = field(default_factory=ItemPage)
    read_at_ms: int | None = None
    asked_at_ms: int = 0
    why: str = ""

    def age_ms(self, now_ms: int) -> int | None:
        """Return how long ago it was read; ``None`` without a reading, and after the clock was set back."""
        age = None if self.read_at_ms is None else now_ms - self.read_at_ms
        return age if age is not None and age >= 0 else None

    def is_younger(self, than_ms: int, now_ms: int) -> bool:
        """Return whether it was read within that time."""
        age = self.age_ms(now_ms)
        return age is not None and age < than_ms

    @property
    def item_specs(self) -> tuple[str, ...] | None:
        """The specs of the item (folded), in the order of its page; none when it has none.

        ``None``: its page was not read, is gone, or shows the specs in an unknown form.
        """
        page = self.page
        if self.read_at_ms is None or not page.title or (page.has_specs and not page.specs):
            return None
        return tuple(dict.fromkeys(folded_spec(spec.name) for spec in page.specs))


def read_stored_page(connection: Connection, account: Account, item_id: str) -> StoredPage | None:
    """Return what is known of an item of the account's present seller."""
    return read_stored_pages(connection, account, [item_id]).get(item_id)


def read_stored_pages(connection: Connection, account: Account, item_ids: Collection[str]) -> dict[str, StoredPage]:
    """Return what is known of items of the account's present seller."""
    mine = item_pages.c.account_id == account.id, item_pages.c.unb == account.unb
    wanted = select(item_pages).where(*mine, among(item_pages.c.item_id, sorted(item_ids)))
    return {row["item_id"]: _stored(row) for row in connection.execute(wanted).mappings()} if item_ids else {}


def store_page(
    connection: Connection, account: Account, item_id: str, page: ItemPage | None, why: str, *, now_ms: int
) -> None:
    """Store a reading, or why there was none: then what was read before stays. Another seller's page replaces it.

    Nothing is stored for an account that is gone.
    """
    if account.id not in statements_of(connection).generations([account.id]):
        return
    key = {"account_id": account.id, "item_id": item_id}
    before = read_stored_page(connection, account, item_id)
    values: dict[str, Any] = {"unb": account.unb, "asked_at_ms": now_ms, "why": why}
    if page is not None:
        item = SeenItem(item_id=item_id, title=page.title, price_fen=page.price_fen)
        note_items(connection, account.id, [item], now_ms=now_ms, is_current=True)
    if page is not None or before is None:
        values |= _values(page if page is not None else ItemPage())
        values["read_at_ms"] = now_ms if page is not None else None
    statement = insert_or(connection, item_pages).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(item_pages.primary_key), set_=values))
    if page is not None:
        note_specs(connection, [account.id], now_ms, item_id=item_id)


def _values(page: ItemPage) -> dict[str, Any]:
    specs = [[spec.name, spec.price_fen, spec.left] for spec in page.specs]
    return {
        "title": page.title,
        "description": page.description,
        "price_fen": page.price_fen,
        "specs": json.dumps(specs, ensure_ascii=False, separators=(",", ":")),
        "has_specs": page.has_specs,
        "quantity": page.quantity,
        "status": page.status.value,
    }


def _stored(row: RowMapping) -> StoredPage:
    page = ItemPage(
        title=row["title"],
        description=row["description"],
        price_fen=row["price_fen"],
        has_specs=row["has_specs"],
        specs=tuple(SpecPrice(*spec) for spec in json.loads(row["specs"])),
        quantity=row["quantity"],
        status=ItemStatus(row["status"]),
    )
    return StoredPage(
        item_id=row["item_id"],
        page=page,
        read_at_ms=row["read_at_ms"],
        asked_at_ms=row["asked_at_ms"],
        why=row["why"],
    )
