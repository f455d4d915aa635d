"""Lists of orders: which are sought, and each with the names that stand beside its ids."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select, tuple_

from shoal.clock import now_ms
from shoal.orders.order_actions import OrderAction, reason_of
from shoal.orders.order_records import Order, order_action_of, order_of
from shoal.orders.order_status import ENDS
from shoal.orders.order_waits import Waits, is_waiting, waits_of
from shoal.storage.among import among, kept_of
from shoal.storage.chat_tables import chats
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.storage.newest_rows import newest_since
from shoal.storage.order_tables import known_items, order_actions, orders

_PART_OF_A_NUMBER: Final = re.compile(r"[0-9]{4,}", re.ASCII)
"""From four digits on, any part of an order's number is sought: sellers copy its end."""
_FIRST_WINDOW: Final = 4
_WIDER: Final = 8
_WINDOWS: Final = 3
_WINDOWS_OF_WORDS: Final = 2
_FEW_ACCOUNTS: Final = 8
Place = tuple[int, str, str]
"""A place in a list, newest first: time, account, order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoughtOrders:
    """Which orders are wanted. What is ``None`` or empty narrows nothing.

    ``waiting``: those that wait for anything (``order_waits``). ``since_ms`` and ``until_ms``: received at or after,
    and before. ``query`` is the beginning of an order's number, from four digits on any part of it, the whole id of its
    item or buyer, or a part of its buyer's name or of its item's title.
    """

    status: str | None = None
    with_problem: bool = False
    waiting: bool = False
    chat_id: str | None = None
    item_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    query: str = ""

    @property
    def narrows(self) -> bool:
        """Return whether orders are left out by anything but their time."""
        return bool(self.query or self.with_problem or self.waiting) or any(
            part is not None for part in (self.status, self.chat_id, self.item_id)
        )


EVERY: Final = SoughtOrders()


class ListedOrder(msgspec.Struct, frozen=True):
    """An order with its buyer's name, its item's title and picture (an address here), empty while unknown, the reason
    of its problem, and what it waits for."""

    order: Order
    buyer_name: str = ""
    item_title: str = ""
    item_picture: str = ""
    reason: str = ""
    waits: Waits | None = None


class OrderPage(msgspec.Struct, frozen=True):
    """The next orders of a list, at most ``limit``, after the ``cursor`` of the last one seen."""

    account_ids: Collection[str]
    sought: SoughtOrders = EVERY
    cursor: Place | None = None
    limit: int = 50

    def orders(self, connection: Connection) -> list[Order]:
        """Return the orders, newest first."""
        wanted = select(orders)
        if self.cursor is not None:
            wanted = wanted.where(after(self.cursor))
        order = (orders.c.created_at_ms.desc(), orders.c.account_id, orders.c.order_id)
        wanted = wanted.order_by(*order).limit(self.limit)
        for since_ms in self._windows(connection):
            is_last = since_ms is None
            inside = narrowed(wanted, self.account_ids, self.sought, whole=is_last, few=not is_last)
            if since_ms is not None:
                inside = inside.where(orders.c.created_at_ms >= since_ms)
            found = [order_of(row) for row in connection.execute(inside).mappings()]
            if len(found) == self.limit:
                break
        return found

    def listed(self, connection: Connection) -> list[ListedOrder]:
        """Return the orders, newest first, with what stands beside them."""
        return with_names(connection, self.orders(connection))

    def _windows(self, connection: Connection) -> Iterator[int | None]:
        """Yield times since which orders are read, each earlier than the one before; ``None`` at last: all.

        Of many accounts no index has the newest orders, and most lists are full long before all have been read. Words
        may be rare, so all orders are read for them sooner.
        """
        ends = [one for one in (self.sought.until_ms, self.cursor[0] if self.cursor else None) if one is not None]
        rows = self.limit if not self.sought.narrows else _FIRST_WINDOW * self.limit
        for _ in range(_WINDOWS_OF_WORDS if self.sought.query else _WINDOWS):
            since_ms = newest_since(
                connection, orders.c.account_id, orders.c.created_at_ms, self.account_ids,
                before_ms=min(ends, default=None), rows=rows,
            )  # fmt: skip
            if since_ms is None or since_ms <= (self.sought.since_ms or 0):
                break
            yield since_ms
            rows *= _WIDER
        yield None


def narrowed(
    wanted: Select[Any],
    account_ids: Collection[str],
    sought: SoughtOrders,
    *,
    whole: bool = False,
    few: bool = False,
) -> Select[Any]:
    """Return the query with the orders of these accounts that are sought.

    ``whole``: most orders of the accounts are read. Then those of many accounts are read in the order in which they
    are stored, which takes a tenth of the time. ``few``: a few thousand orders are read at most, so names are looked
    up for each.
    """
    wanted = wanted.where(_of_accounts(orders.c.account_id, account_ids, whole=whole))
    for column, value in (
        (orders.c.status, sought.status),
        (orders.c.chat_id, sought.chat_id),
        (orders.c.item_id, sought.item_id),
    ):
        wanted = wanted if value is None else wanted.where(column == value)
    if sought.with_problem:
        wanted = wanted.where(orders.c.problem != "")
    if sought.waiting:
        wanted = wanted.where(is_waiting(now_ms()))
    if sought.since_ms is not None:
        wanted = wanted.where(orders.c.created_at_ms >= sought.since_ms)
    if sought.until_ms is not None:
        wanted = wanted.where(orders.c.created_at_ms < sought.until_ms)
    return wanted.where(_named(sought.query, account_ids, few=few)) if sought.query else wanted


def _of_accounts(column: ColumnElement[str], account_ids: Collection[str], *, whole: bool) -> ColumnElement[bool]:
    is_many = whole and len(account_ids) > _FEW_ACCOUNTS
    return kept_of(column, account_ids) if is_many else among(column, account_ids)


def _named(query: str, account_ids: Collection[str], *, few: bool) -> Any:
    """Return whether an order is meant by what was typed.

    The chats and items with such a name are found first, once: they are fewer than the orders, unless there are
    ``few`` of those.
    """
    is_buyer = chats.c.buyer_name.icontains(query, autoescape=True)
    is_item = known_items.c.title.icontains(query, autoescape=True)
    its_chat = tuple_(orders.c.account_id, orders.c.chat_id)
    its_item = tuple_(orders.c.account_id, orders.c.item_id)
    if few:
        of_buyer: Any = exists().where(
            chats.c.account_id == orders.c.account_id, chats.c.chat_id == orders.c.chat_id, is_buyer
        )
        of_item: Any = exists().where(
            known_items.c.account_id == orders.c.account_id, known_items.c.item_id == orders.c.item_id, is_item
        )
    else:
        of_buyer = its_chat.in_(
            select(chats.c.account_id, chats.c.chat_id).where(
                _of_accounts(chats.c.account_id, account_ids, whole=True), is_buyer
            )
        )
        of_item = its_item.in_(
            select(known_items.c.account_id, known_items.c.item_id).where(
                _of_accounts(known_items.c.account_id, account_ids, whole=True), is_item
            )
        )
    number = orders.c.order_id
    return or_(
        number.contains(query) if _PART_OF_A_NUMBER.fullmatch(query) else number.startswith(query, autoescape=True),
        orders.c.item_id == query,
        orders.c.buyer_id == query,
        of_buyer,
        of_item,
    )


def after(place: Place) -> Any:
    """Return whether an order comes after a place in a list, newest first."""
    created_ms, account_id, order_id = place
    later = or_(orders.c.account_id > account_id, and_(orders.c.account_id == account_id, orders.c.order_id > order_id))
    return or_(orders.c.created_at_ms < created_ms, and_(orders.c.created_at_ms == created_ms, later))


def with_names(connection: Connection, found: Sequence[Order]) -> list[ListedOrder]:
    """Return orders with what stands beside them."""
    names = buyer_names(connection, {(one.account_id, one.chat_id) for one in found})
    items = item_facts(connection, {(one.account_id, one.item_id) for one in found if one.item_id})
    its_actions = _actions(connection, [order for order in found if order.status not in ENDS or order.problem])
    now = now_ms()
    listed = []
    for one in found:
        item = items.get((one.account_id, one.item_id or ""), UNKNOWN)
        name = names.get((one.account_id, one.chat_id), "")
        done = its_actions.get(one.key, [])
        reason = reason_of(done) if one.problem else ""
        listed.append(ListedOrder(one, name, item.title, item.picture, reason, waits_of(one, done, now)))
    return listed


def buyer_names(connection: Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the names of the buyers of chats, by account and chat; a name may be empty."""
    if not keys:
        return {}
    key = tuple_(chats.c.account_id, chats.c.chat_id)
    wanted = select(chats.c.account_id, chats.c.chat_id, chats.c.buyer_name).where(key.in_(list(keys)))
    return {(account_id, chat_id): name for account_id, chat_id, name in connection.execute(wanted)}


def _actions(connection: Connection, wanted: Collection[Order]) -> dict[tuple[str, str], list[OrderAction]]:
    """Return the actions of orders, by account and order: the earliest first."""
    if not wanted:
        return {}
    key = tuple_(order_actions.c.account_id, order_actions.c.order_id)
    query = (
        select(order_actions)
        .where(key.in_([order.key for order in wanted]))
        .order_by(order_actions.c.created_at_ms, order_actions.c.order_id, order_actions.c.action)
    )
    found: defaultdict[tuple[str, str], list[OrderAction]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["account_id"], row["order_id"]].append(order_action_of(row))
    return found
