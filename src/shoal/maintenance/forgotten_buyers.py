"""Forgets a buyer: the words, names and ids of one, in the shops of a user or in all. Orders stay, without a name.

Rows of messages stay too, empty: by their ids a message that the site delivers once more is not answered again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, func, or_, select, text, update

from shoal.errors import Conflict
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.order_status import ENDS
from shoal.storage.among import among
from shoal.storage.assistant_tables import OPEN_RUN, ai_runs
from shoal.storage.chat_tables import chat_notes, chats
from shoal.storage.database import Database
from shoal.storage.goods_tables import deliveries
from shoal.storage.history_tables import ops
from shoal.storage.message_segments import drop_segments_of
from shoal.storage.order_tables import order_events, orders
from shoal.storage.schema import messages, once_replies, outbox

STEP: Final = 500
"""How many messages are emptied in one transaction: none holds the writer for long."""

_ON_ITS_WAY = (SendOutcome.WAITING.value, SendOutcome.SENDING.value)
_NEVER_AGAIN: Final = 1_000
"""A number of resends after which none follows: an emptied message must not be sent."""
_EMPTY_ANSWER = json.dumps({"headers": [["content-type", "application/json"]], "body": "{}"})


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """An account whose buyer is to be forgotten."""

    account_id: str
    unb: str


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of an account were emptied."""

    account_id: str
    chats: int
    messages: int
    sendings: int
    orders: int

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of the buyer was there."""
        return not (self.chats or self.messages or self.sendings or self.orders)


class _Traces(msgspec.Struct, frozen=True, kw_only=True):
    """Where a buyer stands in an account."""

    chat_ids: tuple[str, ...]
    order_ids: tuple[str, ...]


class ForgottenBuyers:
    """Empties what buyers said and what was said to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self, buyer_id: str, shops: Sequence[Shop], *, even_open: bool = False) -> list[Forgotten]:
        """Forget the buyer in these accounts. Doing it again empties what came since.

        Raises ``Conflict`` before anything is done: ``buyer_is_written_to`` while a message is on its way,
        ``buyer_has_open_orders`` for an order that has not ended, unless ``even_open``. After a ``StoreError`` the call
        may be repeated: the chats, by which the rest is found, are emptied last.
        """
        traces = {shop.account_id: await self._traces(shop.account_id, buyer_id) for shop in shops}
        for account_id, found in traces.items():
            await self._check(account_id, found, even_open=even_open)
        done = [await self._forget(shop, buyer_id, traces[shop.account_id]) for shop in shops]
        if not all(one.is_nothing for one in done):
            await self._database.empty_log()
        return done

    async def _traces(self, account_id: str, buyer_id: str) -> _Traces:
        """Find the chats by every row that names the buyer: some may be emptied already."""

        def job(connection: Connection) -> _Traces:
            found: set[str] = set()
            for table, column in _NAMING:
                mine = select(table.c.chat_id).where(table.c.account_id == account_id, column == buyer_id)
                found.update(connection.scalars(mine.distinct()))
            chat_ids = tuple(sorted(found - {""}))
            is_theirs = or_(orders.c.buyer_id == buyer_id, among(orders.c.chat_id, chat_ids))
            order_ids = select(orders.c.order_id).where(orders.c.account_id == account_id, is_theirs)
            return _Traces(chat_ids=chat_ids, order_ids=tuple(connection.scalars(order_ids)))

        return await self._database.read(job)

    async def _check(self, account_id: str, traces: _Traces, *, even_open: bool) -> None:
        is_open = and_(
            orders.c.account_id == account_id,
            among(orders.c.order_id, traces.order_ids),
            orders.c.status.not_in([status.value for status in ENDS]),
        )
        in_doubt = and_(
            outbox.c.outcome == SendOutcome.UNCERTAIN.value,
            outbox.c.order_id.in_(select(orders.c.order_id).where(is_open)),
        )
        leaving = select(outbox.c.id).where(
            outbox.c.account_id == account_id,
            among(outbox.c.chat_id, traces.chat_ids),
            or_(outbox.c.outcome.in_(_ON_ITS_WAY), in_doubt),
        )

        def job(connection: Connection) -> tuple[bool, list[str]]:
            open_orders = connection.scalars(select(orders.c.order_id).where(is_open).order_by(orders.c.order_id))
            return connection.execute(leaving.limit(1)).first() is not None, list(open_orders)

        is_written_to, open_orders = await self._database.read(job)
        if is_written_to:
            raise Conflict("a message is on its way", code="buyer_is_written_to", id=account_id)
        if open_orders and not even_open:
            raise Conflict("orders are open", code="buyer_has_open_orders", id=account_id, orders=open_orders[:20])

    async def _forget(self, shop: Shop, buyer_id: str, traces: _Traces) -> Forgotten:
        emptied = await self._empty_messages(shop.account_id, traces)
        rest = await self._database.write(lambda connection: _empty_rest(connection, shop, buyer_id, traces))
        return Forgotten(account_id=shop.account_id, messages=emptied, **rest)

    async def _empty_messages(self, account_id: str, traces: _Traces) -> int:
        """Empty the messages step by step. The index of their words goes in the same transaction."""
        mine = and_(messages.c.account_id == account_id, among(messages.c.chat_id, traces.chat_ids), _HAS_WORDS)
        query = select(messages.c.id).where(mine).order_by(messages.c.id).limit(STEP)
        emptied, last = 0, STEP
        while last == STEP:
            ids = await self._database.read(lambda connection: connection.scalars(query).all())
            last = len(ids)
            if ids:
                emptied += await self._database.write(_emptying(ids))
        return emptied


_HAS_WORDS = or_(messages.c.text != "", messages.c.sender_name != "", messages.c.sender_id != "")
_NAMING: Final[tuple[tuple[Table, ColumnElement[str]], ...]] = (
    (chats, chats.c.buyer_id),
    (messages, messages.c.sender_id),
    (outbox, outbox.c.buyer_id),
    (orders, orders.c.buyer_id),
    (ai_runs, ai_runs.c.buyer_id),
)
"""The columns with a buyer's id, in tables that have the chat."""


def _emptying(ids: Sequence[int]) -> Callable[[Connection], int]:
    def job(connection: Connection) -> int:
        drop_segments_of(connection, ids)
        empty = (
            update(messages)
            .where(among(messages.c.id, ids))
            .values(text="", sender_name="", sender_id="", filtered_words="")
        )
        return connection.execute(empty).rowcount

    return job


def _empty_rest(connection: Connection, shop: Shop, buyer_id: str, traces: _Traces) -> dict[str, int]:
    """Empty all but the messages, in one transaction: the chats are the way to find the rest."""
    in_chats = and_(outbox.c.account_id == shop.account_id, among(outbox.c.chat_id, traces.chat_ids))
    is_over = outbox.c.outcome.not_in(_ON_ITS_WAY)
    had_words = or_(outbox.c.text != "", outbox.c.image_url != "", outbox.c.buyer_id != "")
    never_again = case((outbox.c.outcome == SendOutcome.UNCERTAIN.value, _NEVER_AGAIN), else_=outbox.c.resends)
    emptied = {"text": "", "image_url": "", "buyer_id": "", "resends": never_again}
    sendings = connection.execute(update(outbox).where(in_chats, is_over, had_words).values(**emptied)).rowcount
    in_orders = and_(order_events.c.account_id == shop.account_id, among(order_events.c.order_id, traces.order_ids))
    connection.execute(update(order_events).where(in_orders, order_events.c.words != "").values(words=""))
    was_posted = and_(in_orders, order_events.c.posted.is_not(None))
    connection.execute(update(order_events).where(was_posted).values(posted=""))
    theirs = and_(deliveries.c.unb == shop.unb, among(deliveries.c.order_id, traces.order_ids))
    named = and_(theirs, deliveries.c.parts.contains(buyer_id, autoescape=True))
    connection.execute(update(deliveries).where(named).values(parts=func.replace(deliveries.c.parts, buyer_id, "")))
    mine = and_(orders.c.account_id == shop.account_id, among(orders.c.order_id, traces.order_ids))
    nameless = update(orders).where(mine, orders.c.buyer_id != "").values(buyer_id="")
    had_name = connection.execute(nameless).rowcount
    _empty_runs(connection, shop.account_id, buyer_id, traces)
    for word in (buyer_id, *traces.chat_ids):
        kept = and_(ops.c.expires_at_ms.is_not(None), ops.c.answer.contains(word, autoescape=True))
        connection.execute(update(ops).where(kept).values(answer=_EMPTY_ANSWER))
    in_notes = and_(chat_notes.c.account_id == shop.account_id, among(chat_notes.c.chat_id, traces.chat_ids))
    connection.execute(delete(chat_notes).where(in_notes))
    moved_in = and_(once_replies.c.account_id == shop.account_id, once_replies.c.chat_id == buyer_id)
    connection.execute(delete(once_replies).where(moved_in))
    talked = and_(chats.c.account_id == shop.account_id, among(chats.c.chat_id, traces.chat_ids))
    knows = or_(chats.c.buyer_id != "", chats.c.buyer_name != "", chats.c.last_text != "")
    blank = update(chats).where(talked, knows).values(buyer_id="", buyer_name="", last_text="")
    return {"sendings": sendings, "orders": had_name, "chats": connection.execute(blank).rowcount}


def _empty_runs(connection: Connection, account_id: str, buyer_id: str, traces: _Traces) -> None:
    """Empty what a language model was asked and said. What it cost stays; a draft that waits is dropped."""
    asked = and_(
        ai_runs.c.account_id == account_id,
        or_(ai_runs.c.buyer_id == buyer_id, among(ai_runs.c.chat_id, traces.chat_ids)),
    )
    state = case((text(OPEN_RUN), "dropped"), else_=ai_runs.c.state)
    empty = {"buyer_id": "", "text": "", "raw": "", "why": "", "state": state}
    connection.execute(update(ai_runs).where(asked).values(**empty))
