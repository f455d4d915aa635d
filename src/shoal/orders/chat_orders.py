"""Chats and their orders: which order a chat is about, the chat of a buyer who only paid, group prices that wait."""

from __future__ import annotations

from sqlalchemy import Connection, and_, exists, or_, select

from shoal.messages.chats import FROM_SITE, Chat, make_known
from shoal.orders.order_actions import Action, ActionState, Why
from shoal.orders.order_records import Order, OrderUpdate, order_of
from shoal.orders.order_status import ENDS, NOTHING_DUE, OrderStatus
from shoal.storage.order_tables import order_actions, order_events, orders

_OF_ORDER = and_(order_actions.c.account_id == orders.c.account_id, order_actions.c.order_id == orders.c.order_id)
_HAS_MESSAGE = exists().where(_OF_ORDER, order_actions.c.action == Action.PAID_MESSAGE.value)
_CONFIRM_WAITS = exists().where(
    _OF_ORDER,
    order_actions.c.action == Action.CONFIRM.value,
    order_actions.c.state == ActionState.FAILED.value,
    order_actions.c.detail == Why.NOT_READY.value,
)


def make_chat_known(connection: Connection, order: Order, order_update: OrderUpdate, now_ms: int) -> None:
    """Make the chat of a buyer who paid and never wrote known, so that its owner can write there."""
    if not order.chat_id or not order.buyer_id:
        return
    chat = Chat(
        account_id=order.account_id,
        chat_id=order.chat_id,
        buyer_id=order.buyer_id,
        buyer_name=order_update.buyer_name,
        item_id=order.item_id,
        last_at_ms=now_ms,
        last_text=order_update.words,
        last_direction=FROM_SITE,
    )
    make_known(connection, chat)


def marked_order(connection: Connection, account_id: str, chat_id: str, site_at_ms: int) -> str | None:
    """Return the only open order of a chat, unless its timeline has an entry that is newer than ``site_at_ms``."""
    query = select(orders.c.order_id).where(
        orders.c.account_id == account_id,
        orders.c.chat_id == chat_id,
        orders.c.status.not_in([end.value for end in ENDS]),
    )
    found = connection.scalars(query).all()
    if len(found) != 1:
        return None
    newer = select(order_events.c.id).where(
        order_events.c.account_id == account_id,
        order_events.c.order_id == found[0],
        order_events.c.site_at_ms > site_at_ms,
    )
    return None if connection.scalar(newer.limit(1)) is not None else found[0]


def order_named_by(connection: Connection, account_id: str, chat_id: str, message_id: str) -> Order | None:
    """Return the only order of a chat whose timeline has an entry of this message; ``None`` without one."""
    in_chat = and_(orders.c.account_id == account_id, orders.c.chat_id == chat_id)
    named = exists().where(
        order_events.c.account_id == account_id,
        order_events.c.order_id == orders.c.order_id,
        order_events.c.message_id == message_id,
    )
    found = connection.execute(select(orders).where(in_chat, named)).mappings().all()
    return order_of(found[0]) if len(found) == 1 else None


def unserved_in(connection: Connection, account_id: str, chat_id: str) -> list[Order]:
    """Return the orders of a chat for which something may be due, and whose message was never due."""
    query = select(orders).where(
        orders.c.account_id == account_id,
        orders.c.chat_id == chat_id,
        orders.c.status.not_in([status.value for status in NOTHING_DUE]),
        ~_HAS_MESSAGE,
    )
    return [order_of(row) for row in connection.execute(query).mappings()]


def waiting_groups(connection: Connection, account_id: str) -> list[Order]:
    """Return the orders at a group price that are not served: not complete, not ready, or not confirmed yet."""
    is_open = orders.c.status.in_([OrderStatus.GROUP_PENDING.value, OrderStatus.PENDING_SHIP.value])
    is_group = or_(orders.c.group_price, orders.c.status == OrderStatus.GROUP_PENDING.value)
    waits = or_(and_(is_group, ~_HAS_MESSAGE), _CONFIRM_WAITS)
    query = select(orders).where(orders.c.account_id == account_id, is_open, waits)
    return [order_of(row) for row in connection.execute(query).mappings()]
