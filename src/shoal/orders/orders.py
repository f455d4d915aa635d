"""Serves paid orders, by time of payment: first what the buyer gets, and only then the confirmation of the shipment.

A group price is completed before both, and the site must have called it ready since. The order's page is checked
before the first action: it may say that the order is unpaid, and it names the item. Each action is stored before it is
done, so that it is done at most once per order. An action interrupted by a crash is ``uncertain`` and not repeated
without an answer of the site or the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import structlog

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import FairLimiter
from shoal.errors import ActionRequired, CallUnknown, InvalidInput, StoreError, TemporaryFailure
from shoal.goods.supplier_units import SupplierUnits
from shoal.items.item_pages import ItemPages
from shoal.messages.outbox_rows import Sending
from shoal.messages.sender import Sender
from shoal.messages.task_drain import TaskDrain
from shoal.orders.deliveries import Deliveries
from shoal.orders.due_times import DueTimes
from shoal.orders.group_prices import GroupPrices
from shoal.orders.order_pages import OnRead, OrderPages, PageRead
from shoal.orders.order_queue import OrderQueue
from shoal.orders.order_rows import NO_PARCEL
from shoal.orders.order_status import AUTO_CONFIRM_OFF, FREE_SHIPPING_OFF, TAKE_UP_MS, OrderStatus
from shoal.orders.order_store import Action, ActionState, Due, Order, OrderAction, OrderStore, Why
from shoal.orders.refunds import Refunds
from shoal.orders.supplied_units import SuppliedUnits
from shoal.orders.uncertain_messages import UncertainMessages
from shoal.traces import Trace
from shoal.traces import begin as begin_trace
from shoal.xianyu.mtop import MtopClient, MtopRefused

log = structlog.get_logger("shoal.orders")


FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 30.0, 300.0
"""First and longest wait before orders whose updates could not be stored are checked again."""

PAGE_LAG_SECONDS = 3.0
"""How long an order's page may lag behind its paid card: it is checked once more before it counts."""


class Orders:
    """Serves the paid orders of one connection.

    The messages of one order are sent before those of the next; pages and confirmations of other orders go on beside.
    """

    def __init__(
        self,
        link: Link,
        sender: Sender,
        mtop: MtopClient,
        order_store: OrderStore,
        tasks: asyncio.TaskGroup,
        work: TaskDrain,
        *,
        item_pages: ItemPages,
        account_id: str,
        pace: FairLimiter,
        act_pace: FairLimiter,
        clock_set_ms: int = 0,
        supplier_units: SupplierUnits | None = None,
        on_read: OnRead | None = None,
    ) -> None:
        """``tasks`` are those of the connection, ``work`` those that may finish when it ends.

        ``pace`` limits the calls that read from the site, ``act_pace`` those that change an order there. ``on_read``:
        see ``OnRead``.

        ``clock_set_ms``: how far our clock was set forward since the stored orders were written.
        """
        self._link = link
        self._sender = sender
        self._mtop = mtop
        self._store = order_store
        self._account_id = account_id
        self._act_pace = act_pace
        self._pages = OrderPages(link, mtop, order_store, tasks, account_id=account_id, pace=pace, on_read=on_read)
        self._work = work
        self._clock_set_ms = clock_set_ms
        self._queue = OrderQueue(work, self._serve_queued, account_id=account_id)
        self._turn = asyncio.Lock()
        """Held while the messages of an order are sent."""
        self._order_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._not_ready: set[str] = set()
        """The orders whose shipment the site does not confirm before their group price is complete."""
        self._groups = GroupPrices(order_store, tasks, self._ask_group, account_id=account_id)
        self._due_times = DueTimes(
            order_store.deliveries, tasks, lambda: order_store.look(account_id), account_id=account_id
        )
        self.uncertain_messages = UncertainMessages(order_store, self._due_times.note, account_id=account_id, pace=pace)
        self.refunds = Refunds(order_store, self._pages, tasks, work, self.due, account_id=account_id)
        self._deliveries = Deliveries(
            link, sender, item_pages, order_store, self._pages, self._due_times.note, account_id=account_id, pace=pace,
            uncertain_messages=self.uncertain_messages,
            supplied=SuppliedUnits(supplier_units, order_store, work, account_id=account_id),
        )  # fmt: skip
        sender.on_echo(self._echoed)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Until the block ends, look for orders that become due without a card, and answer about refunds."""
        store, name = self._store, f"orders:{self._account_id}"
        with (
            store.serving(self._account_id, lambda: self._work.start(self.go_on(), name=name)),
            store.refunds.asking(self._account_id, self.refunds),
        ):
            yield

    async def take_up(self) -> None:
        """Continue what the last connection left, and ask the site about uncertain actions. Raise like ``serve``.

        Updates that cannot be stored are asked for again later: a full disk must not end the connection.
        """
        await self._until_stored(self._queue_what_is_due)
        await self._until_stored(self._note_refunds)
        await self._queue.idle()  # who has paid comes first
        await self._until_stored(self._look_back)

    async def _until_stored(self, job: Callable[[], Awaitable[None]]) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                await job()
                break
            except StoreError as error:
                log.warning("orders not looked at", account=self._account_id, why=error.code, wait_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _queue_what_is_due(self) -> None:
        for order in await self._store.give_up(self._account_id, older_than_ms=self._horizon_ms()):
            log.warning("paid order not served in time", account=self._account_id, order=order.order_id)
        await self.go_on()

    async def _note_refunds(self) -> None:
        for order in await self._store.refunds.newest(self._account_id):
            self.refunds.note(order)  # it may have ended while there was no connection

    def _horizon_ms(self) -> int:
        return now_ms() - TAKE_UP_MS - self._clock_set_ms

    async def _look_back(self) -> None:
        """Read the pages of orders with an unknown result, and of those that were never read."""
        horizon = self._horizon_ms()
        unsettled = await self._store.unsettled(self._account_id, newer_than_ms=horizon)
        unread = await self._store.unread(self._account_id, newer_than_ms=horizon)
        found = {one.order_id: one for one in (*unsettled, *unread)}.values()
        for order in found:
            await self._pages.look_up(order)  # its owner may have cancelled or served it
            self._pages.follow(order)
        if found:
            self._store.look(self._account_id)

    async def _echoed(self, sending: Sending) -> None:
        """Continue the order of an unanswered message whose echo came back."""
        order_id = sending.row.order_id
        if order_id and await self._store.follow_outbox(self._account_id, order_id):
            self._store.look(self._account_id)

    async def go_on(self) -> None:
        """Put all orders with a due action into the queue."""
        looked_at_ms = now_ms()
        for order_id, paid_at_ms in await self._store.unfinished(self._account_id):
            self._queue.add(order_id, paid_at_ms)
        await self._due_times.look(looked_at_ms)
        await self._groups.look()

    def due(self, order: Order, paid_at_ms: int | None = None) -> None:
        """Put an order into the queue; without a time of payment, by the time when it was first seen."""
        self._queue.add(order.order_id, order.created_at_ms if paid_at_ms is None else paid_at_ms, order)

    async def _serve_queued(self, order_id: str, order: Order | None) -> None:
        if order is None:
            order = await self._store.order(self._account_id, order_id)
        if order is not None:
            await self.serve(order)

    async def serve(self, order: Order) -> None:
        """Do the due actions of an order: complete its group price, send the paid message, confirm.

        That of one that is being refunded waits for its end. Raise ``ActionRequired`` when the owner must act on the
        site, or the error that ended the socket.
        """
        if order.status == OrderStatus.REFUNDING:
            self.refunds.note(order)
            return
        page: PageRead | None = None
        with begin_trace("order", account=self._account_id) as trace:
            async with self._order_turns.setdefault(order.order_id, asyncio.Lock()):
                trace.step("turn")
                if not self._pages.was_asked(order.order_id) or self._deliveries.waits_for_page(order.order_id):
                    page = await self._pages.read(order)
                if self._pages.is_unpaid(order.order_id) and await self._is_due_by_its_card(order):
                    self._queue.let_pass(order.order_id)
                    await asyncio.sleep(PAGE_LAG_SECONDS)
                    await self._pages.look_up(order)
                trace.step("page")
                await self._do_what_is_due(order, trace)
        self._pages.follow(order)
        if page is not None and page.status == OrderStatus.REFUNDING:
            self.refunds.note(page.order)  # it may lag behind the card
        is_group = order.group_price or order.status == OrderStatus.GROUP_PENDING
        if is_group or order.order_id in self._not_ready:
            self._not_ready.discard(order.order_id)
            await self._groups.look()

    async def _ask_group(self, order: Order, *, is_last: bool) -> None:
        """Ask the site about an order whose group price waits, and serve it when it is ready."""
        actions = {one.action: one for one in await self._store.order_actions(self._account_id, order.order_id)}
        confirmation = actions.get(Action.CONFIRM)
        completion = actions.get(Action.FREE_SHIPPING)
        if confirmation is not None and confirmation.detail == Why.NOT_READY:
            if is_last:
                await self._store.confirm_again(self._account_id, order.order_id)
        elif completion is None or completion.state is not ActionState.DONE:
            return
        serving = self._work.start(self._looked_up_and_served(order), name=f"order:{self._account_id}:{order.order_id}")
        if serving is not None:
            await asyncio.wait({serving})  # it may finish when the connection ends, and reports its own error

    async def _looked_up_and_served(self, order: Order) -> None:
        await self._pages.look_up(order)
        await self.serve(order)

    async def _do_what_is_due(self, order: Order, trace: Trace) -> None:
        await self._queue.first(order.order_id)
        async with self._turn:
            trace.step("shop")
            due = await self._next_due(order)
            while due is not None and due.order_action.action != Action.CONFIRM:
                due = await self._next_due(order) if await self._is_done(due, trace) else None
        self._queue.let_pass(order.order_id)
        while due is not None:
            due = await self._next_due(order) if await self._is_done(due, trace) else None

    async def _next_due(self, order: Order) -> Due | None:
        return await self._store.next_due(self._account_id, order.order_id)

    async def _is_done(self, due: Due, trace: Trace) -> bool:
        """Do one due action. Return whether the next one may be tried."""
        account = self._link.current()
        if account is None or not self._link.allows():
            return False
        is_done = await self._do(account, due)
        trace.step(due.order_action.action)
        return is_done

    async def _is_due_by_its_card(self, order: Order) -> bool:
        """Return whether the paid message is next, and only the card asks for it."""
        due = await self._next_due(order)
        if due is None or due.order_action.action != Action.PAID_MESSAGE:
            return False
        return due.order_action.detail != Why.ASKED

    async def _do(self, account: Account, due: Due) -> bool:
        """Do or decide one due action. Return ``False`` if it stays due and nothing more should be tried now."""
        order, order_action, _ = due
        if not account.delivery and order_action.detail != Why.ASKED:
            log.info("order held back: deliveries are off", account=self._account_id, order=order.order_id)
            return await self._settle(order, Action(order_action.action), ActionState.FAILED, Why.DELIVERY_OFF)
        match Action(order_action.action):
            case Action.FREE_SHIPPING:
                return await self._complete_group(account, order, order_action)
            case Action.PAID_MESSAGE:
                return await self._deliveries.serve(account, due)
            case Action.CONFIRM:
                return await self._confirm(account, due)

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _complete_group(self, account: Account, order: Order, order_action: OrderAction) -> bool:
        """Complete a group price, only if there is something to send afterwards: it is a promise to the buyer."""
        if not account.free_shipping and order_action.detail != Why.ASKED:
            return await self._settle(order, Action.FREE_SHIPPING, ActionState.NOT_NEEDED, FREE_SHIPPING_OFF)
        order = await self._deliveries.filled_in(account, order)
        item_id, (_, why_not) = order.item_id, await self._deliveries.explained(account, order, order_action)
        if why_not:
            return await self._settle(order, Action.FREE_SHIPPING, ActionState.FAILED, why_not)
        if item_id is None:
            return await self._settle(order, Action.FREE_SHIPPING, ActionState.FAILED, Why.INCOMPLETE)

        def still_wanted() -> bool:
            now = self._link.current()
            return now is not None and ((now.free_shipping and now.delivery) or order_action.detail == Why.ASKED)

        return await self._call_site(
            order,
            Action.FREE_SHIPPING,
            lambda: self._mtop.free_shipping(order.order_id, item_id, order.buyer_id),
            still_wanted,
        )

    async def _confirm(self, account: Account, due: Due) -> bool:
        order, order_action, _ = due
        if not account.auto_confirm and order_action.detail != Why.ASKED:
            return await self._settle(order, Action.CONFIRM, ActionState.NOT_NEEDED, AUTO_CONFIRM_OFF)
        confirm = await self._confirms(account, due)
        if confirm == "no" and order_action.detail != Why.ASKED:
            return await self._settle(order, Action.CONFIRM, ActionState.NOT_NEEDED, Why.RULE_CONFIRMS_NOT)
        if await self._deliveries.is_confirmed_later(order, order_action, confirm):
            return True
        if order.parcel != NO_PARCEL and order_action.detail != Why.ASKED:  # it would be a false shipment
            return await self._settle(order, Action.CONFIRM, ActionState.FAILED, Why.NEEDS_PARCEL)

        def still_wanted() -> bool:
            now = self._link.current()
            return now is not None and ((now.auto_confirm and now.delivery) or order_action.detail == Why.ASKED)

        return await self._call_site(
            order, Action.CONFIRM, lambda: self._mtop.confirm_shipment(order.order_id), still_wanted
        )

    async def _confirms(self, account: Account, due: Due) -> str:
        """Return whether the rule of an order confirms it: as it was when its messages were sent, or as it is now."""
        if due.delivery is not None:
            return due.delivery.confirm
        explained, _ = await self._deliveries.explained(account, due.order, due.order_action)
        confirm = None if explained.rule is None else explained.rule.confirm
        return "" if confirm is None else str(confirm)

    async def _call_site(
        self, order: Order, action: Action, call: Callable[[], Awaitable[None]], still_wanted: Callable[[], bool]
    ) -> bool:
        """Mark an action as started, make its call, and store the result."""
        await self._act_pace.acquire()
        if not await self._store.begin_action(self._account_id, order.order_id, action):
            return True  # another connection started it, or the order's status changed
        if not self._link.allows() or not still_wanted():
            await self._settle(order, action, ActionState.PENDING)
            return self._link.allows()
        state, detail = ActionState.DONE, ""
        try:
            await call()
        except MtopRefused as refusal:
            state, detail = _refused(action, refusal.ret_code)
            if detail == Why.NOT_READY:
                self._not_ready.add(order.order_id)
        except InvalidInput as refusal:  # an id that is not a number: the call was not made
            state, detail = ActionState.FAILED, refusal.code
        except CallUnknown:
            state, detail = ActionState.UNCERTAIN, Why.NO_ANSWER
        except (TemporaryFailure, ActionRequired):
            await self._settle(order, action, ActionState.PENDING)
            raise
        await self._settle(order, action, state, detail)
        log.info(
            "order served", account=self._account_id, order=order.order_id, action=action.value, outcome=state.value
        )
        if action is Action.FREE_SHIPPING:
            self._pages.outdated(order.order_id)
        if state is not ActionState.DONE:
            await self._pages.look_up(order)  # it may be shipped anyway
        return True

    async def _settle(self, order: Order, action: Action, state: ActionState, detail: str = "") -> bool:
        await self._store.settle_action(self._account_id, order.order_id, action, state, detail)
        if action is Action.FREE_SHIPPING:
            self._groups.forget(order.order_id)
        return True


def _refused(action: Action, ret_code: str) -> tuple[ActionState, str]:
    """Return what a refusal of the site means for an action."""
    if action is Action.CONFIRM and ret_code == "ORDER_ALREADY_DELIVERY":
        return ActionState.DONE, Why.ALREADY_SHIPPED
    if action is Action.CONFIRM and ret_code == "BUYER_CONFIRM_INFO":
        return ActionState.FAILED, Why.NOT_READY
    return ActionState.FAILED, ret_code
