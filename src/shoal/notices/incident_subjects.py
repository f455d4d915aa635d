"""With which buyer and about which item incidents are, so that those of one shop can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, tuple_

from shoal.storage.chat_tables import chats
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.storage.order_tables import orders

_Key = tuple[str, str]


def subjects_of(connection: Connection, incidents: Sequence[tuple[str | None, Mapping[str, Any]]]) -> list[str]:
    """Return the buyer's name and the item's title of each incident, given as account and facts.

    A text is empty for what is of no chat and no order, and while neither name is known. Three queries at most; none
    for incidents of other kinds.
    """
    of_orders = _orders(connection, {key for one in incidents if (key := _key(one, "order_id"))})
    places = [_place(one, of_orders) for one in incidents]
    found = _chats(connection, {(account, chat) for account, chat, _ in places if chat})
    named = []
    for account, chat, item in places:
        name, item_of_chat = found.get((account, chat), ("", ""))
        named.append((name, (account, item or item_of_chat)))
    items = item_facts(connection, {key for _, key in named if key[1]})
    return [" · ".join(filter(None, (name, items.get(key, UNKNOWN).title))) for name, key in named]


def _key(incident: tuple[str | None, Mapping[str, Any]], fact: str) -> _Key | None:
    account_id, facts = incident
    return (account_id, str(facts[fact])) if account_id and facts.get(fact) else None


def _place(incident: tuple[str | None, Mapping[str, Any]], of_orders: Mapping[_Key, _Key]) -> tuple[str, str, str]:
    """Return the account, the chat and the item of an incident; empty where it has none."""
    if order := _key(incident, "order_id"):
        return (order[0], *of_orders.get(order, ("", "")))
    account_id, chat_id = _key(incident, "chat_id") or ("", "")
    return account_id, chat_id, ""


def _orders(connection: Connection, keys: set[_Key]) -> dict[_Key, _Key]:
    """Return the chat and the item of orders."""
    if not keys:
        return {}
    columns = (orders.c.account_id, orders.c.order_id, orders.c.chat_id, orders.c.item_id)
    query = select(*columns).where(tuple_(*columns[:2]).in_(sorted(keys)))
    return {(account, order): (chat, item or "") for account, order, chat, item in connection.execute(query)}


def _chats(connection: Connection, keys: set[_Key]) -> dict[_Key, _Key]:
    """Return the buyer's name and the item of chats."""
    if not keys:
        return {}
    columns = (chats.c.account_id, chats.c.chat_id, chats.c.buyer_name, chats.c.item_id)
    query = select(*columns).where(tuple_(*columns[:2]).in_(sorted(keys)))
    return {(account, chat): (name, item or "") for account, chat, name, item in connection.execute(query)}
