"""What the site calls the items of shops, as rows: written only when the site reports something new.

Lists, item pages, order pages and pushes bring it on the way; nothing is asked of the site for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, tuple_, union_all, update

from shoal.storage.among import among
from shoal.storage.change_statements import statements_of
from shoal.storage.chat_tables import chats
from shoal.storage.order_tables import known_items, orders
from shoal.storage.upserts import insert_or_renew

MOST_ITEMS: Final = 3_000
"""How many items of a shop are kept, the newest. The site's list has at most a thousand."""
LONGEST_TITLE: Final = 200
LONGEST_ADDRESS: Final = 500
"""A longer address of a picture is not kept: a part of it leads nowhere."""
_LATEST: Final = 200
"""Of so many orders and chats of a shop, the latest, the pictures are fetched."""
_RENEWED: Final = ("title", "price_fen", "site_picture", "picture", "seen_at_ms")


class ItemFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An item in short. ``picture`` is an address here. What is not known is empty or ``None``."""

    title: str = ""
    picture: str = ""
    price_fen: int | None = None


UNKNOWN: Final = ItemFacts()
ItemKey = tuple[str, str]
"""An account and an item of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenItem:
    """What the site just reported of an item. ``site_picture`` is the address of its picture on the site."""

    item_id: str
    title: str = ""
    price_fen: int | None = None
    site_picture: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is anything to note."""
        return bool(self.item_id and (self.title or self.site_picture))


def note_items(
    connection: Connection, account_id: str, seen: Iterable[SeenItem], *, now_ms: int, is_current: bool
) -> None:
    """Store what is new of items, each once. ``is_current``: it is how the item is now, so it replaces what was known.

    An order or a chat shows how the item was once: that only fills in what is not known. Nothing is stored for an
    account that is gone.
    """
    items = {one.item_id: _bounded(one) for one in seen if one.is_known}
    if not items:
        return
    before = _stored(connection, account_id, items)
    rows = [row for item_id, one in items.items() if (row := _merged(before.get(item_id), one, is_current=is_current))]
    if not rows or account_id not in statements_of(connection).generations([account_id]):
        return
    rows.sort(key=lambda row: str(row["item_id"]))  # two writers take the rows in one order
    values = [{"account_id": account_id, **row, "seen_at_ms": now_ms} for row in rows]
    connection.execute(insert_or_renew(connection, known_items, _RENEWED), values)
    if any(row["item_id"] not in before for row in rows):
        _forget_oldest(connection, account_id)


def item_facts(connection: Connection, items: Collection[ItemKey]) -> dict[ItemKey, ItemFacts]:
    """Return what is known of items; unknown ones are left out."""
    if not items:
        return {}
    mine = tuple_(known_items.c.account_id, known_items.c.item_id).in_(sorted(set(items)))
    return _facts(connection, mine)


def titled_among(connection: Connection, account_id: str, item_ids: Collection[str]) -> set[str]:
    """Return which items of an account have a title."""
    wanted = select(known_items.c.item_id).where(
        known_items.c.account_id == account_id,
        among(known_items.c.item_id, sorted(item_ids)),
        known_items.c.title != "",
    )
    return set(connection.scalars(wanted))


def items_of_shops(connection: Connection, account_ids: Collection[str]) -> dict[ItemKey, ItemFacts]:
    """Return what is known of all items of accounts."""
    return _facts(connection, among(known_items.c.account_id, account_ids))


def without_picture(connection: Connection, account_id: str, limit: int) -> dict[str, str]:
    """Return the items of the latest orders and chats whose picture is on the site and not here, with its address."""
    latest = union_all(
        _latest(select(orders.c.item_id), orders.c.account_id == account_id, orders.c.created_at_ms),
        _latest(select(chats.c.item_id), chats.c.account_id == account_id, chats.c.last_at_ms),
    ).subquery()
    query = (
        select(known_items.c.item_id, known_items.c.site_picture)
        .where(
            known_items.c.account_id == account_id,
            known_items.c.item_id.in_(select(latest.c.item_id)),
            known_items.c.site_picture != "",
            known_items.c.picture == "",
        )
        .order_by(known_items.c.seen_at_ms.desc(), known_items.c.item_id)
        .limit(limit)
    )
    return {row.item_id: row.site_picture for row in connection.execute(query)}


def note_picture(connection: Connection, account_id: str, item_id: str, site_picture: str, picture: str) -> None:
    """Store the address here of an item's picture, unless the site has reported another picture since."""
    same = (known_items.c.account_id == account_id, known_items.c.item_id == item_id)
    connection.execute(
        update(known_items).where(*same, known_items.c.site_picture == site_picture).values(picture=picture)
    )


def shown_pictures(connection: Connection) -> list[str]:
    """Return the addresses here of the pictures of all items."""
    return list(connection.scalars(select(known_items.c.picture).where(known_items.c.picture != "").distinct()))


def _facts(connection: Connection, which: ColumnElement[bool]) -> dict[ItemKey, ItemFacts]:
    columns = (known_items.c.title, known_items.c.picture, known_items.c.price_fen)
    return {
        (account_id, item_id): ItemFacts(title=title, picture=picture, price_fen=price)
        for account_id, item_id, title, picture, price in connection.execute(
            select(known_items.c.account_id, known_items.c.item_id, *columns).where(which)
        )
    }


def _bounded(seen: SeenItem) -> SeenItem:
    picture = seen.site_picture if len(seen.site_picture) <= LONGEST_ADDRESS else ""
    return replace(seen, title=seen.title.strip()[:LONGEST_TITLE], site_picture=picture)


def _stored(connection: Connection, account_id: str, items: Collection[str]) -> dict[str, Mapping[str, Any]]:
    wanted = select(known_items).where(
        known_items.c.account_id == account_id, among(known_items.c.item_id, sorted(items))
    )
    return {row["item_id"]: dict(row) for row in connection.execute(wanted).mappings()}


def _merged(before: Mapping[str, Any] | None, seen: SeenItem, *, is_current: bool) -> dict[str, Any] | None:
    """Return the row after what was reported; ``None`` when it stays as it is."""
    known = before or {"title": "", "price_fen": None, "site_picture": "", "picture": ""}
    new = {"title": seen.title, "price_fen": seen.price_fen, "site_picture": seen.site_picture}
    changes = {
        name: value for name, value in new.items() if value and value != known[name] and (is_current or not known[name])
    }
    if not changes:
        return None
    picture = "" if "site_picture" in changes else known["picture"]
    return {name: known[name] for name in new} | changes | {"picture": picture, "item_id": seen.item_id}


def _forget_oldest(connection: Connection, account_id: str) -> None:
    mine = known_items.c.account_id == account_id
    many = connection.scalar(select(func.count()).select_from(known_items).where(mine)) or 0
    if many <= MOST_ITEMS:
        return
    oldest = select(known_items.c.item_id).where(mine).order_by(known_items.c.seen_at_ms, known_items.c.item_id)
    gone = connection.scalars(oldest.limit(many - MOST_ITEMS)).all()
    connection.execute(delete(known_items).where(mine, among(known_items.c.item_id, gone)))


def _latest(wanted: Select[Any], mine: Any, time: Any) -> Select[Any]:
    newest = wanted.where(mine).order_by(time.desc()).limit(_LATEST).subquery()
    return select(newest.c.item_id).where(newest.c.item_id.is_not(None))
