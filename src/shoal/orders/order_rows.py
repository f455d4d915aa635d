"""Orders as rows: the changes by order updates, actions and owners, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select, update

from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.action_rows import ActionRows
from shoal.orders.delivery_rows import (
    AUTO,
    GIVEN_BACK,
    Delivery,
    DeliveryState,
    Progress,
    doubt_given_back,
    drop_waiting,
    let_go,
    let_go_of_doubts,
    owner_settled,
    progress_of,
    read_delivery,
    settle_delivery,
)
from shoal.orders.one_text import why_too_little
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why, reason_of
from shoal.orders.order_incidents import note_problem
from shoal.orders.order_records import Order, OrderUpdate, Received, order_of
from shoal.orders.order_status import (
    ENDS,
    NOTHING_DUE,
    PAID,
    REFUND_CANCELLED,
    TAKE_UP_MS,
    OrderProblem,
    OrderStatus,
    problem_of,
    status_after,
    status_before_refund,
)
from shoal.orders.refund_store import refund_id
from shoal.storage.order_tables import order_events, orders
from shoal.storage.schema import accounts
from shoal.storage.upserts import insert_new

PAGE = "detail"
"""The ``source`` of an update read from the order's page on the site."""

_KNOWN_FIELDS = ("item_id", "buyer_id", "chat_id", "amount", "quantity", "spec_name", "spec_value", "parcel")
_WHAT_WAS_BOUGHT = ("quantity", "spec_value")
_KNOWN_BY_PAGE = frozenset({OrderProblem.UNKNOWN_SPEC, OrderProblem.QUANTITY_UNKNOWN, Why.PAGE_UNREAD})
_LEFT_OUT = frozenset({Why.DELIVERY_OFF, Why.ORDER_ENDED})
"""Why a message of an order was not begun, which only its owner can change."""
_LEFT_TO_OWNER = frozenset({Why.TOO_LATE, Why.BEFORE_START, Why.BEFORE_RESTORE})
PARCEL, NO_PARCEL = "yes", "no"
"""``parcel`` of an order whose goods go in one, or in none; empty: unknown."""


@dataclass(frozen=True, slots=True)
class OrderRow(ActionRows):
    """One order and its actions, within one transaction."""

    # ── order updates ───────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, order_update: OrderUpdate) -> Received:
        """Store an update.

        An order that has ended stays ended, and an old card never resets a shipped order. The timeline contains each
        card once, and every change.
        """
        before = self._made()
        known_at_ms = self._known_at_ms(order_update)
        is_new_card = bool(order_update.message_id) and known_at_ms is None
        is_repeat = known_at_ms is not None and (order_update.site_at_ms or 0) <= known_at_ms
        if is_repeat and order_update.status == OrderStatus.REFUNDING:
            status = OrderStatus(before.status)  # the request may have ended since it was made
        elif before.status == OrderStatus.REFUNDING and self._ends_refund(order_update):
            statuses = self.connection.scalars(select(order_events.c.status).where(self._my_events)).all()
            status = status_before_refund((*statuses, order_update.status))
        else:
            status = status_after(before.status, order_update.status)
        changed = status != before.status
        known = ((name, getattr(order_update, name)) for name in _KNOWN_FIELDS)
        changes: dict[str, Any] = {name: value for name, value in known if value and value != getattr(before, name)}
        if before.item_id and order_update.source != PAGE:
            changes.pop("item_id", None)  # a card may name another item of the chat; the page is certain
        if order_update.group_price and not before.group_price:
            changes["group_price"] = True
        if changed:
            changes["status"] = status.value
        if changed or is_new_card:
            self._publish(
                status=status.value if order_update.status == REFUND_CANCELLED else order_update.status,
                source=order_update.source,
                words=order_update.words,
                message_id=order_update.message_id,
                site_at_ms=order_update.site_at_ms,
            )
        self._make_due(order_update, status, is_new_card=is_new_card)
        self._settle_by_status(status)
        if changes:
            self.connection.execute(update(orders).where(self._me).values(**changes, updated_at_ms=self.now_ms))
        if any(name in changes and not getattr(before, name) for name in _WHAT_WAS_BOUGHT):
            self._note_one_text()  # the text was sent before its page could be read
            self._serve_after_all(_KNOWN_BY_PAGE)
        elif "parcel" in changes and before.problem == OrderProblem.NEEDS_PARCEL:
            self._serve_after_all({Why.NEEDS_PARCEL})
        if order_update.source == PAGE and order_update.status == status == OrderStatus.PENDING_SHIP:
            self._settle_by_page()
        return Received(self.look_at(), changed, is_new_card)

    def _ends_refund(self, order_update: OrderUpdate) -> bool:
        """Return whether an update ends the open refund: a card, the owner's word, or a page that was asked for since.

        What was read before the refund was known speaks of the time before it.
        """
        asked = order_update.refund
        if asked and asked != refund_id(self.connection, self.account_id, self.order_id):
            return False
        return order_update.status == REFUND_CANCELLED or (bool(asked) and order_update.status in PAID)

    def _made(self) -> Order:
        """Return the order, locked; create it if it is not known."""
        row = {"account_id": self.account_id, "order_id": self.order_id}
        times = {"created_at_ms": self.now_ms, "updated_at_ms": self.now_ms}
        self.connection.execute(insert_new(self.connection, orders), [{**row, **times}])
        found = self.connection.execute(select(orders).where(self._me).with_for_update())
        return order_of(found.mappings().one())

    def _known_at_ms(self, order_update: OrderUpdate) -> int | None:
        """Return the site's time of a card that the timeline contains, 0 without one; ``None``: it is not known."""
        if not order_update.message_id:
            return None
        same = and_(order_events.c.message_id == order_update.message_id, order_events.c.words == order_update.words)
        at_ms = func.max(func.coalesce(order_events.c.site_at_ms, 0))
        known_at_ms: int | None = self.connection.scalar(select(at_ms).where(self._my_events, same))
        return known_at_ms

    def _make_due(self, order_update: OrderUpdate, status: OrderStatus, *, is_new_card: bool) -> None:
        if status in ENDS:
            return
        doubted = (
            self.order_action(Action.PAID_MESSAGE)
            if order_update.paid and is_new_card and not order_update.withheld
            else None
        )
        if doubted is not None and doubted.detail == Why.NOT_PAID:  # another card: check the page again
            self.move(Action.PAID_MESSAGE, (ActionState.FAILED,), ActionState.PENDING)
        self._confirm_after_all(order_update, is_new_card=is_new_card)
        state = ActionState.NOT_NEEDED if order_update.withheld else ActionState.PENDING
        if order_update.withheld in _LEFT_TO_OWNER:
            state = ActionState.FAILED
        if order_update.paid:
            self.seed(Action.PAID_MESSAGE, state, order_update.withheld, since_ms=order_update.paid_at_ms)
            before = (ActionState.PENDING, ActionState.FAILED, ActionState.UNCERTAIN)
            self.move(Action.FREE_SHIPPING, before, ActionState.NOT_NEEDED, Why.PAID_ALREADY)
        elif order_update.group_price and self.order_action(Action.PAID_MESSAGE) is None:
            self.seed(Action.FREE_SHIPPING, state, order_update.withheld)

    def _confirm_after_all(self, order_update: OrderUpdate, *, is_new_card: bool) -> None:
        """Make a confirmation due again that waited for what this update says."""
        waiting = self.order_action(Action.CONFIRM)
        if waiting is None or waiting.state is not ActionState.FAILED:
            return
        needs_no_parcel = waiting.detail == Why.NEEDS_PARCEL and order_update.parcel == NO_PARCEL
        is_ready = waiting.detail == Why.NOT_READY and order_update.paid and is_new_card
        if needs_no_parcel or is_ready:
            self.move(Action.CONFIRM, (ActionState.FAILED,), ActionState.PENDING)

    def _serve_after_all(self, waited_for: Collection[str]) -> None:
        """Make due again what waited until it is known what was bought, or that it goes in no parcel."""
        for action in (Action.FREE_SHIPPING, Action.PAID_MESSAGE):
            waiting = self.order_action(action)
            if waiting is not None and waiting.detail in waited_for:
                self.move(action, (ActionState.FAILED, ActionState.PENDING), ActionState.PENDING)

    def _settle_by_status(self, status: OrderStatus) -> None:
        """Settle actions by the order's status: uncertain ones are done, unstarted ones not needed."""
        if status in {OrderStatus.SHIPPED, OrderStatus.COMPLETED}:
            self.move(Action.CONFIRM, (ActionState.UNCERTAIN,), ActionState.DONE, Why.SEEN_SHIPPED)
        why = {
            OrderStatus.SHIPPED: Why.ALREADY_SHIPPED,
            OrderStatus.COMPLETED: Why.ORDER_COMPLETED,
            OrderStatus.CANCELLED: Why.ORDER_CANCELLED,
        }.get(status)
        if status in {OrderStatus.REFUNDING, OrderStatus.CANCELLED}:
            paid = self.order_action(Action.PAID_MESSAGE)
            if paid is not None and paid.state in {ActionState.PENDING, ActionState.FAILED}:
                self._end_delivery()
        if why is None:
            return
        moved = [one for one in Action if self.move(one, (ActionState.PENDING,), ActionState.NOT_NEEDED, why)]
        if moved:
            self.seed(Action.CONFIRM, ActionState.NOT_NEEDED, why)
        if Action.PAID_MESSAGE in moved:
            self._end_delivery()

    def _end_delivery(self) -> None:
        """Let go what is bound to an order that ended or is being refunded, whose messages are not being sent."""
        if let_go(self.connection, self.account_id, self.order_id, Why.ORDER_ENDED, self.now_ms):
            before = (ActionState.PENDING, ActionState.NOT_NEEDED)
            self.move(Action.PAID_MESSAGE, before, ActionState.FAILED, Why.DELIVERY_PARTLY)

    def _settle_by_page(self) -> None:
        """Make the paid message of a completed group price due, because the page shows the order as paid.

        An uncertain completion is settled by that as done. An old one is for the owner, who may have served the order.
        """
        free_shipping = self.order_action(Action.FREE_SHIPPING)
        if free_shipping is not None and free_shipping.state is ActionState.UNCERTAIN:
            self.settle(Action.FREE_SHIPPING, ActionState.DONE, Why.SEEN_COMPLETED, "site")
        if free_shipping is not None and free_shipping.state in {ActionState.UNCERTAIN, ActionState.DONE}:
            is_late = self.now_ms - (free_shipping.settled_at_ms or self.now_ms) > TAKE_UP_MS
            late = (ActionState.FAILED, Why.TOO_LATE)
            self.seed(Action.PAID_MESSAGE, *(late if is_late else ()))

    def look_at(self) -> Order:
        """Update the order's problem. Return the order."""
        row = self.connection.execute(select(orders).where(self._me)).mappings().first()
        if row is None:
            return Order(account_id=self.account_id, order_id=self.order_id)
        order = order_of(row)
        actions = {order_action.action: order_action for order_action in self.order_actions()}
        since = None if actions or order.status != OrderStatus.GROUP_PENDING else self._group_since_ms()
        found = problem_of(
            order.status, actions, now_ms=self.now_ms, one_text=order.one_text, group_since_ms=since,
            has_units=order.status == OrderStatus.CANCELLED and self._has_units(),
        )  # fmt: skip
        problem = str(found or "")
        if problem == order.problem:
            return order
        values = {"problem": problem, "updated_at_ms": self.now_ms}
        self.connection.execute(update(orders).where(self._me).values(**values))
        note_problem(self.connection, order, problem, reason_of(tuple(actions.values())), self.now_ms)
        return order_of({**row, **values})

    def _has_units(self) -> bool:
        delivery = read_delivery(self.connection, self.account_id, self.order_id)
        return delivery is not None and delivery.wanted > 0 and delivery.state is not DeliveryState.RELEASED

    def _group_since_ms(self) -> int | None:
        """Return when the order was first known to wait at a group price."""
        is_group_pending = order_events.c.status == OrderStatus.GROUP_PENDING.value
        since_ms: int | None = self.connection.scalar(
            select(func.min(order_events.c.at_ms)).where(self._my_events, is_group_pending)
        )
        return since_ms

    # ── order actions ───────────────────────────────────────────────────────────────────────────────────────────

    def settle(
        self, action: Action, state: ActionState, detail: str = "", source: str = AUTO,
        *, also_failed: bool = False, goes_on: bool = False,
    ) -> bool:  # fmt: skip
        """Store an action's result; if it leads on, the next action becomes due. Return ``False`` if it is settled.

        Only ``uncertain`` may still change, and ``failed`` when its owner says so. ``PENDING`` resets a started action,
        and an uncertain one that ``goes_on``.
        """
        before = [ActionState.INTENDED]
        if state is not ActionState.PENDING:
            before += [ActionState.PENDING, ActionState.UNCERTAIN]
        if also_failed:
            before.append(ActionState.FAILED)
        if goes_on:
            before.append(ActionState.UNCERTAIN)
        if not self.move(action, before, state, detail, source, is_reset=state is ActionState.PENDING):
            return False
        if action is Action.PAID_MESSAGE:
            self._note_one_text()
        order_action = self.order_action(action)
        if order_action is not None and order_action.leads_on:
            self._lead_on(action, is_done=state is ActionState.DONE)
        self._settle_by_status(OrderStatus(self.look_at().status))
        return True

    def _note_one_text(self) -> None:
        """Note when the one text that was sent may be too little, as far as that is known by now."""
        sent = self.order_action(Action.PAID_MESSAGE)
        if sent is None or sent.state is not ActionState.DONE or sent.detail == Why.BY_OWNER:
            return
        row = self.connection.execute(select(orders).where(self._me)).mappings().one()
        why = why_too_little(self.connection, order_of(row))
        delivery = read_delivery(self.connection, self.account_id, self.order_id) if why else None
        if why and (delivery is None or not delivery.wanted):  # otherwise so many units were sent as were bought
            self.connection.execute(update(orders).where(self._me).values(one_text=why))

    def see_one_text(self) -> bool:
        """Record that the owner has seen what ``one_text`` notes. Return whether it noted anything."""
        noted = update(orders).where(self._me, orders.c.one_text != "").values(one_text="", updated_at_ms=self.now_ms)
        return self.connection.execute(noted).rowcount == 1

    def _lead_on(self, action: Action, *, is_done: bool) -> None:
        """Start what follows an action: the next action, or the status "shipped"."""
        if action is Action.PAID_MESSAGE:
            self.seed(Action.CONFIRM)
        elif action is Action.CONFIRM and is_done:
            self.receive(OrderUpdate(order_id=self.order_id, status=OrderStatus.SHIPPED, source="auto"))

    def ask_again(self, action: Action, actor: str) -> bool:
        """Make an action due again for its owner. Return ``False`` when it was done or the status forbids it."""
        order = self.look_at()
        if not order.created_at_ms or order.status in NOTHING_DUE:
            return False
        if action is Action.CONFIRM and order.parcel == PARCEL:
            return False
        self.seed(action)
        known = self.order_action(action)
        if known is None or known.detail == Why.SERVED_BEFORE:
            return False
        before = (ActionState.PENDING, ActionState.NOT_NEEDED, ActionState.FAILED, ActionState.UNCERTAIN)
        is_due = self.move(action, before, ActionState.PENDING, Why.ASKED, actor)
        if is_due and known.detail == OrderProblem.SUPPLIER_UNCERTAIN:
            let_go_of_doubts(self.connection, self.account_id, self.order_id, actor, self.now_ms)
        return is_due

    def owner_settles(self, action: Action, state: ActionState, actor: str) -> bool:
        """Settle an action as its owner says. Return ``False`` if it is done, unless one text was noted about it."""
        known = self.order_action(action)
        if known is None:
            return False
        if known.state is ActionState.DONE and action is Action.PAID_MESSAGE:
            return self.see_one_text()
        if known.state not in {ActionState.PENDING, ActionState.FAILED, ActionState.UNCERTAIN}:
            return False
        if action is Action.PAID_MESSAGE and state is ActionState.DONE:
            owner_settled(self.connection, self.account_id, self.order_id, actor, self.now_ms)
        elif action is Action.PAID_MESSAGE:
            let_go(self.connection, self.account_id, self.order_id, Why.BY_OWNER, self.now_ms, actor)
        return self.settle(action, state, Why.BY_OWNER, actor, also_failed=True)

    def settle_interrupted(self, order_action: OrderAction) -> bool:
        """Settle an action that was interrupted. Return whether its result is unknown."""
        if order_action.action == Action.PAID_MESSAGE:
            return self.settle_messages() is ActionState.UNCERTAIN and order_action.state is ActionState.INTENDED
        state, detail = ActionState.UNCERTAIN, str(Why.INTERRUPTED)
        return state is not order_action.state and self.settle(Action(order_action.action), state, detail)

    def settle_messages(self) -> ActionState | None:
        """Settle the messages of an order by the outbox, which knows what became of each. Return the action's state.

        What is certainly not sent yet goes on: it is due again. What waits for a later part begins again then.
        """
        action = self.order_action(Action.PAID_MESSAGE)
        if action is None or action.state not in {ActionState.INTENDED, ActionState.UNCERTAIN}:
            return None if action is None else action.state
        delivery = read_delivery(self.connection, self.account_id, self.order_id)
        progress = progress_of(self.connection, self.account_id, self.order_id, delivery)
        before = 0 if delivery is None else delivery.arrived
        goes_on = action.state is ActionState.INTENDED or progress.arrived > before
        state, detail = _state_of(progress, goes_on=goes_on)
        if state is ActionState.PENDING and progress.outcome is None and self._lost_its_messages(delivery):
            state, detail = ActionState.UNCERTAIN, Why.INTERRUPTED
        if state is action.state:
            return state
        if not progress.is_whole:
            drop_waiting(self.connection, self.account_id, self.order_id, Why.INTERRUPTED, self.now_ms)
        if delivery is not None:
            settle_delivery(self.connection, delivery, progress, state, detail, self.now_ms)
            if delivery.why == GIVEN_BACK:
                doubt_given_back(self.connection, self.account_id, delivery, self.now_ms)
        self.settle(Action.PAID_MESSAGE, state, detail, goes_on=True)
        return state

    def _lost_its_messages(self, delivery: Delivery | None) -> bool:
        """Return whether messages were begun whose rows are gone, because their account was removed.

        A delivery and its messages are begun at once, so without any they were deleted, and may have left before.
        """
        removed = select(accounts.c.deleted).where(accounts.c.id == self.account_id)
        return delivery is not None or bool(self.connection.scalar(removed))


def _state_of(progress: Progress, *, goes_on: bool) -> tuple[ActionState, str]:
    """Return what the progress of an order's messages means for the action that sends them."""
    if progress.is_whole:
        return ActionState.DONE, ""
    if progress.outcome is SendOutcome.REFUSED:
        return ActionState.FAILED, Why.DELIVERY_PARTLY if progress.arrived else progress.reason
    if progress.outcome in {SendOutcome.UNCERTAIN, SendOutcome.SENDING} or not goes_on:
        return ActionState.UNCERTAIN, progress.reason or Why.INTERRUPTED
    if progress.arrived and progress.reason in _LEFT_OUT:
        return ActionState.FAILED, Why.DELIVERY_PARTLY
    return ActionState.PENDING, ""
