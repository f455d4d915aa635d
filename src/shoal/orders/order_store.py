"""Orders with their timelines, and the actions that prevent an irreversible step from happening twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

from sqlalchemy import Connection, and_, func, or_, select

from shoal.clock import now_ms
from shoal.goods.goods_store import GoodsStore
from shoal.goods.unit_texts import UnitTexts
from shoal.items.known_item_store import KnownItemStore
from shoal.orders.chat_orders import (
    make_chat_known,
    marked_order,
    order_named_by,
    unserved_in,
    waiting_groups,
)
from shoal.orders.delivery_rows import read_delivery
from shoal.orders.delivery_store import DeliveryStore
from shoal.orders.open_orders import MAY_BE_SERVED, Due, due_before, unfinished, unread, unsettled
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why
from shoal.orders.order_counts import OrderCounts
from shoal.orders.order_lists import OrderPage, SoughtOrders
from shoal.orders.order_records import Order, OrderEvent, OrderUpdate, Received, order_action_of, order_event, order_of
from shoal.orders.order_rows import OrderRow
from shoal.orders.order_status import OrderStatus
from shoal.orders.refund_store import RefundStore
from shoal.storage.database import Database
from shoal.storage.known_item_rows import note_items
from shoal.storage.order_tables import order_actions, order_events, orders

__all__ = [
    "Action", "ActionState", "Due", "Order", "OrderAction", "OrderEvent", "OrderStore", "OrderUpdate", "Why",
    "order_event",
]  # fmt: skip


Changed = Callable[[Order], None]


class OrderStore:
    """The orders, timelines and order actions of all accounts.

    Listeners (``on_change``) receive each changed order after it is stored. A connection (``serving``) is called when
    an action becomes due without a card.
    """

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int] = now_ms, texts: UnitTexts | None = None
    ) -> None:
        """``texts`` opens the units of goods; without it only orders that need none can be served."""
        self.goods = GoodsStore(database)
        self.deliveries = DeliveryStore(database, texts, now_ms)
        self.items = KnownItemStore(database, now_ms)
        self.refunds = RefundStore(database, now_ms)
        self._database = database
        self._now_ms = now_ms
        self.counts = OrderCounts()
        self._listeners: list[Changed] = [self.refunds.changed]
        self._serving: defaultdict[str, list[Callable[[], object]]] = defaultdict(list)

    def on_change(self, listener: Changed) -> None:
        """Call ``listener`` with every changed order, on the event loop, after the change is stored."""
        self._listeners.append(listener)

    @contextmanager
    def serving(self, account_id: str, look: Callable[[], object]) -> Iterator[None]:
        """Until the block ends, call ``look`` when an owner makes an order of the account due."""
        self._serving[account_id].append(look)
        try:
            yield
        finally:
            self._serving[account_id].remove(look)
            if not self._serving[account_id]:
                del self._serving[account_id]

    async def _write(self, account_id: str, order_id: str, job: Callable[[OrderRow], bool]) -> bool:
        """Run a job that may change one order. Return whether it did, and then call the listeners."""

        def whole(connection: Connection) -> tuple[bool, Order]:
            row = OrderRow(connection, account_id, order_id, self._now_ms())
            return job(row), row.look_at()

        did, _ = await self._database.write(whole, on_commit=self._publish)
        return did

    def _all_changed(self, changed: Iterable[Order]) -> None:
        for order in changed:
            self._changed(order)

    def _publish(self, written: tuple[bool, Order]) -> None:
        did, order = written
        if did:
            self._changed(order)

    def _received(self, received: Received) -> None:
        self.counts.came_to(received.order, received.has_changed)
        self._changed(received.order)

    def _changed(self, order: Order) -> None:
        for listener in self._listeners:
            listener(order)

    # ── order updates ───────────────────────────────────────────────────────────────────────────────────────────

    async def receive(self, account_id: str, update: OrderUpdate) -> Received:
        """Store an order update.

        A completed or cancelled order stays so, and an old card never resets a shipped order. A paid order makes the
        paid message due, in the same transaction, unless it was due before.
        """

        def job(connection: Connection) -> Received:
            if update.item is not None:  # first: what is sent to the owner about the order names its item
                note_items(connection, account_id, [update.item], now_ms=self._now_ms(), is_current=False)
            received = OrderRow(connection, account_id, update.order_id, self._now_ms()).receive(update)
            make_chat_known(connection, received.order, update, self._now_ms())
            return received

        return await self._database.write(job, on_commit=self._received)

    async def receive_mark(
        self, account_id: str, chat_id: str, status: str, *, words: str, site_at_ms: int
    ) -> Order | None:
        """Store the status that a chat's mark gives its order. A mark names no order: it counts if one order is open.

        A mark older than the newest entry of that order's timeline is ignored. Return the order if its status changed,
        or if it is being refunded and the mark says something else.
        """

        def job(connection: Connection) -> Received | None:
            order_id = marked_order(connection, account_id, chat_id, site_at_ms)
            if order_id is None:
                return None
            update = OrderUpdate(order_id=order_id, status=status, source="mark", words=words, site_at_ms=site_at_ms)
            return OrderRow(connection, account_id, order_id, self._now_ms()).receive(update)

        def publish(received: Received | None) -> None:
            if received is not None and received.has_changed:
                self._received(received)

        received = await self._database.write(job, on_commit=publish)
        if received is None:
            return None
        is_refund = status != received.order.status == OrderStatus.REFUNDING
        return received.order if received.has_changed or is_refund else None

    async def order_named_by(self, account_id: str, chat_id: str, message_id: str) -> Order | None:
        """Return the chat's order that this message named before; ``None`` without one, or with several."""
        return await self._database.read(lambda connection: order_named_by(connection, account_id, chat_id, message_id))

    async def unserved_in(self, account_id: str, chat_id: str) -> list[Order]:
        """Return the orders of a chat that may have been paid just now: open, and their message was never due."""
        return await self._database.read(lambda connection: unserved_in(connection, account_id, chat_id))

    async def waiting_groups(self, account_id: str) -> list[Order]:
        """Return the orders whose group price is not complete, or not ready yet."""
        return await self._database.read(lambda connection: waiting_groups(connection, account_id))

    async def unread(self, account_id: str, newer_than_ms: int) -> list[Order]:
        """Return the orders whose message was sent since then, and whose page was never read; the newest of them."""
        return await self._database.read(lambda connection: unread(connection, account_id, newer_than_ms))

    async def confirm_again(self, account_id: str, order_id: str) -> None:
        """Make a confirmation due again that the site refused because the group price was not complete."""
        await self._write(account_id, order_id, lambda row: row.confirm_again())

    async def is_purchase(self, account_id: str, order_id: str) -> None:
        """Drop what is due for an order that the account bought."""
        await self._write(account_id, order_id, lambda row: row.is_purchase())

    async def look_again(self, account_id: str, order_id: str) -> None:
        """Compute an order's problem again: time has passed."""
        before = await self.order(account_id, order_id)
        await self._write(account_id, order_id, lambda row: before is not None and row.look_at() != before)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def order(self, account_id: str, order_id: str) -> Order | None:
        """Return one order, or ``None``."""
        query = select(orders).where(orders.c.account_id == account_id, orders.c.order_id == order_id)

        def job(connection: Connection) -> Order | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else order_of(row)

        return await self._database.read(job)

    async def orders(
        self,
        account_ids: Collection[str],
        *,
        cursor: tuple[int, str, str] | None = None,
        limit: int = 50,
        status: str | None = None,
        with_problem: bool = False,
        chat_id: str | None = None,
        query: str = "",
    ) -> list[Order]:
        """List orders, newest first, sought as ``SoughtOrders`` says. ``cursor`` is that of the last one seen."""
        sought = SoughtOrders(status=status, with_problem=with_problem, chat_id=chat_id, query=query)
        page = OrderPage(account_ids, sought, cursor, limit)
        return await (self._database.search if query else self._database.read)(page.orders)

    async def in_need(self, account_id: str) -> int:
        """Count the account's orders that wait for their owner."""
        query = select(func.count()).where(orders.c.account_id == account_id, orders.c.problem != "")
        return await self._database.read(lambda connection: connection.scalar(query) or 0)

    async def events(self, account_id: str, order_id: str) -> list[OrderEvent]:
        """Return the timeline of an order, oldest first."""
        names = [entry.name for entry in fields(OrderEvent)]
        query = (
            select(*(order_events.c["act" if name == "action" else name].label(name) for name in names))
            .where(order_events.c.account_id == account_id, order_events.c.order_id == order_id)
            .order_by(order_events.c.id)
        )
        return await self._database.read(
            lambda connection: [OrderEvent(**row) for row in connection.execute(query).mappings()]
        )

    # ── what is due ─────────────────────────────────────────────────────────────────────────────────────────────

    async def unfinished(self, account_id: str) -> list[tuple[str, int]]:
        """Return the ids of the orders with an action that is due now, and when they were paid; in that order."""
        now = self._now_ms()
        return await self._database.read(lambda connection: unfinished(connection, account_id, now))

    async def next_due(self, account_id: str, order_id: str) -> Due | None:
        """Return an order and its first due action; ``None`` without one, or when the status forbids it."""
        query = select(orders).where(orders.c.account_id == account_id, orders.c.order_id == order_id, MAY_BE_SERVED)
        now = self._now_ms()

        def job(connection: Connection) -> Due | None:
            row = connection.execute(query).mappings().first()
            found = OrderRow(connection, account_id, order_id, now).order_actions()
            due = next((order_action for order_action in found if order_action.state is ActionState.PENDING), None)
            if row is None or due is None or (due.due_at_ms or 0) > now:
                return None
            return Due(order_of(row), due, read_delivery(connection, account_id, order_id))

        return await self._database.read(job)

    async def put_off(
        self, account_id: str, order_id: str, action: Action, due_at_ms: int | None, detail: str = ""
    ) -> None:
        """Make a pending action due at a later time. ``detail`` says what it waits for, when that is no delay.

        Without a time it stays due, and is looked at again when that is there.
        """
        await self._write(account_id, order_id, lambda row: row.put_off(action, due_at_ms, detail))

    async def unsettled(self, account_id: str, newer_than_ms: int) -> list[Order]:
        """Return orders with an action whose result is unknown, so that the site can be asked."""
        return await self._database.read(lambda connection: unsettled(connection, account_id, newer_than_ms))

    async def give_up(self, account_id: str, older_than_ms: int) -> list[Order]:
        """Set actions that were due for too long to failed, for the owner. Return their orders."""
        query = select(order_actions).where(
            order_actions.c.account_id == account_id,
            due_before(older_than_ms),
            order_actions.c.detail != Why.ASKED.value,
        )

        def job(connection: Connection) -> list[Order]:
            given_up = []
            for old in [order_action_of(row) for row in connection.execute(query).mappings()]:
                row = OrderRow(connection, account_id, old.order_id, self._now_ms())
                row.move(Action(old.action), (ActionState.PENDING,), ActionState.FAILED, Why.TOO_LATE)
                given_up.append(row.look_at())
            return given_up

        found = await self._database.read(lambda connection: connection.execute(query).first())
        if found is None:  # the usual case: no write is needed
            return []
        return await self._database.write(job, on_commit=self._all_changed)

    # ── order actions ───────────────────────────────────────────────────────────────────────────────────────────

    async def begin_action(
        self, account_id: str, order_id: str, action: Action, *, owner: str = "", epoch: int = 0
    ) -> bool:
        """Mark an irreversible action as started. ``True``: stored, do it now. ``False``: do not do it.

        ``False`` means that it was started or settled before, or that the order has ended or is being refunded.
        """
        return await self._database.announce(
            lambda connection: OrderRow(connection, account_id, order_id, self._now_ms()).begin(action, owner, epoch)
        )

    async def settle_action(
        self,
        account_id: str,
        order_id: str,
        action: Action,
        state: ActionState,
        detail: str = "",
        *,
        source: str = "auto",
    ) -> bool:
        """Store an action's result. Return ``False`` if it is settled (only ``uncertain`` may still change).

        ``PENDING`` resets a started action: it certainly was not done and may start again. An action that leads on
        makes the next one due in the same transaction.
        """
        is_new = await self._write(account_id, order_id, lambda row: row.settle(action, state, detail, source))
        return self.counts.settled(action, state, is_new=is_new)

    async def ask_again(self, account_id: str, order_id: str, action: Action, *, actor: str) -> bool:
        """Make an action due again for its owner, regardless of settings and age.

        Return ``False`` when it was done, is in progress, or the order's status forbids it.
        """
        asked = await self._write(account_id, order_id, lambda row: row.ask_again(action, actor))
        if asked:
            self.look(account_id)
        return asked

    async def owner_settles(
        self, account_id: str, order_id: str, action: Action, state: ActionState, *, actor: str
    ) -> bool:
        """Settle an action as its owner says (``DONE`` or ``NOT_NEEDED``). Return ``False`` if done or in progress."""
        settled = await self._write(account_id, order_id, lambda row: row.owner_settles(action, state, actor))
        if settled:
            self.look(account_id)
        return settled

    def look(self, account_id: str) -> None:
        """Make the account's connection, if this server has one, look for due actions."""
        for look in list(self._serving.get(account_id, ())):
            look()

    async def order_actions(
        self, account_id: str, order_id: str | None = None, *, state: ActionState | None = None
    ) -> list[OrderAction]:
        """Return the actions of an account or of one order, oldest first."""
        query = select(order_actions).where(order_actions.c.account_id == account_id)
        if order_id is not None:
            query = query.where(order_actions.c.order_id == order_id)
        if state is not None:
            query = query.where(order_actions.c.state == state.value)
        query = query.order_by(order_actions.c.created_at_ms, order_actions.c.order_id, order_actions.c.action)
        return await self._database.read(
            lambda connection: [order_action_of(row) for row in connection.execute(query).mappings()]
        )

    async def settle_messages(self, account_id: str, order_id: str) -> ActionState | None:
        """Settle the messages of an order that were begun by the outbox. Return the state of their action."""
        states: list[ActionState | None] = []

        def job(row: OrderRow) -> bool:
            states.append(row.settle_messages())
            return True

        await self._write(account_id, order_id, job)
        if (state := states[-1]) is not None:
            self.counts.settled(Action.PAID_MESSAGE, state)
        return state

    async def follow_outbox(self, account_id: str, order_id: str) -> bool:
        """Settle uncertain messages of an order when the outbox knows more now. Return whether it does."""

        def job(row: OrderRow) -> bool:
            action = row.order_action(Action.PAID_MESSAGE)
            is_uncertain = action is not None and action.state is ActionState.UNCERTAIN
            return is_uncertain and row.settle_messages() is not ActionState.UNCERTAIN

        return await self._write(account_id, order_id, job)

    async def interrupted(self, account_id: str | None) -> list[OrderAction]:
        """Settle actions that were in progress when the program or the connection ended. Return the uncertain ones.

        The outbox knows what became of each message: what is not sent is due again. It first waits for writes that the
        connection sent and did not see finished. ``None``: all accounts.
        """
        await self._database.settled()
        uncertain = and_(
            order_actions.c.state == ActionState.UNCERTAIN.value, order_actions.c.action == Action.PAID_MESSAGE.value
        )
        query = select(order_actions).where(or_(order_actions.c.state == ActionState.INTENDED.value, uncertain))
        if account_id is not None:
            query = query.where(order_actions.c.account_id == account_id)

        def job(connection: Connection) -> tuple[list[OrderAction], dict[tuple[str, str], Order]]:
            cut, changed = [], {}
            for before in [order_action_of(row) for row in connection.execute(query).mappings()]:
                row = OrderRow(connection, before.account_id, before.order_id, self._now_ms())
                if row.settle_interrupted(before):
                    cut.append(replace(before, state=ActionState.UNCERTAIN, detail=Why.INTERRUPTED.value))
                if row.order_action(Action(before.action)) != before:
                    changed[before.account_id, before.order_id] = row.look_at()
            return cut, changed

        if await self._database.read(lambda connection: connection.execute(query).first()) is None:
            return []
        cut, changed = await self._database.write(job)
        for order in changed.values():
            self._changed(order)
        return cut
