"""The irreversible actions of an order as rows: made due, begun, moved; within the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, select, update

from shoal.accounts.positions import Stream
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why
from shoal.orders.order_records import order_action_of
from shoal.orders.order_status import BLOCKED, OrderStatus
from shoal.storage.order_tables import order_actions, order_events, orders
from shoal.storage.touched import reach
from shoal.storage.upserts import insert_new


def message_states(connection: Connection, order_id: str) -> frozenset[str]:
    """Return the states of the action that sends an order's messages, under every id of its account.

    Until the transaction ends, no other one begins or settles it.
    """
    mine = (order_actions.c.order_id == order_id, order_actions.c.action == Action.PAID_MESSAGE.value)
    return frozenset(connection.scalars(select(order_actions.c.state).where(*mine).with_for_update()))


@dataclass(frozen=True, slots=True)
class ActionRows:
    """The actions of one order, within one transaction."""

    connection: Connection
    account_id: str
    order_id: str
    now_ms: int

    def order_action(self, action: Action) -> OrderAction | None:
        """Return one action, or ``None``."""
        row = self.connection.execute(select(order_actions).where(self._my_action(action))).mappings().first()
        return None if row is None else order_action_of(row)

    def order_actions(self) -> list[OrderAction]:
        """Return all actions of the order, in the order in which they are done."""
        mine = and_(order_actions.c.account_id == self.account_id, order_actions.c.order_id == self.order_id)
        found = [order_action_of(row) for row in self.connection.execute(select(order_actions).where(mine)).mappings()]
        return sorted(found, key=lambda order_action: list(Action).index(Action(order_action.action)))

    def seed(
        self, action: Action, state: ActionState = ActionState.PENDING, detail: str = "", *, since_ms: int = 0
    ) -> None:
        """Make an action due, unless it was decided before: for this account, or under another id of the account.

        ``since_ms``: when the order was paid, by our clock; 0 means now.

        One whose result is unknown under another id is uncertain here too: its owner must know.
        """
        known = [ActionState.INTENDED.value, ActionState.DONE.value, ActionState.UNCERTAIN.value]
        elsewhere = and_(self._elsewhere(action), order_actions.c.state.in_(known))
        if state is ActionState.PENDING:
            before = set(self.connection.scalars(select(order_actions.c.state).where(elsewhere)))
            if ActionState.DONE in before:
                state, detail = ActionState.NOT_NEEDED, Why.SERVED_BEFORE
            elif before:
                state, detail = ActionState.UNCERTAIN, Why.UNCERTAIN_BEFORE
        row = {
            "account_id": self.account_id,
            "order_id": self.order_id,
            "action": action.value,
            "state": state.value,
            "detail": str(detail),
            "created_at_ms": since_ms or self.now_ms,
            "settled_at_ms": None if state is ActionState.PENDING else self.now_ms,
        }
        self.connection.execute(insert_new(self.connection, order_actions), [row])

    def move(
        self,
        action: Action,
        before: Collection[ActionState],
        state: ActionState,
        detail: str = "",
        source: str = "site",
        *,
        is_reset: bool = False,
    ) -> bool:
        """Move an action from one of some states to another, and add it to the timeline.

        Return whether it was in one of these states. An action that becomes due again keeps its detail, unless another
        one is given. ``is_reset``: it keeps the time at which it was due too, by which its age counts.
        """
        at_rest = state not in {ActionState.PENDING, ActionState.INTENDED}
        values: dict[str, Any] = {"state": state.value, "settled_at_ms": self.now_ms if at_rest else None}
        if not is_reset:
            values["due_at_ms"] = None
        if at_rest or detail:
            values["detail"] = str(detail)
        stood = order_actions.c.state.in_([one.value for one in before])
        moved = self.connection.execute(update(order_actions).where(self._my_action(action), stood).values(**values))
        if moved.rowcount != 1:
            return False
        if at_rest or detail == Why.ASKED:
            self._publish(source=source, act=action.value, outcome=state.value, words=str(detail))
        return True

    def put_off(self, action: Action, due_at_ms: int | None, detail: str = "") -> bool:
        """Make a pending action due at a later time; ``None``: once it has what ``detail`` names. Return whether it was
        pending.
        """
        values = {"due_at_ms": due_at_ms, "detail": str(detail)}
        pending = order_actions.c.state == ActionState.PENDING.value
        put = update(order_actions).where(self._my_action(action), pending).values(**values)
        return self.connection.execute(put).rowcount == 1

    def begin(
        self, action: Action, owner: str = "", epoch: int = 0, *, unless: Collection[OrderStatus] = BLOCKED
    ) -> bool:
        """Mark an action as started. Return ``False`` if it was started or settled before, or the status forbids it.

        Nor is it started while it is under way under another id of the account; an index refuses what was not seen yet.
        """
        self.seed(action)
        blocked = exists().where(self._me, orders.c.status.in_([one.value for one in unless]))
        other = order_actions.alias()
        under_way = exists().where(
            other.c.order_id == self.order_id,
            other.c.action == action.value,
            other.c.account_id != self.account_id,
            other.c.state == ActionState.INTENDED.value,
        )
        due = order_actions.c.state == ActionState.PENDING.value
        begun = self.connection.execute(
            update(order_actions)
            .where(self._my_action(action), due, ~blocked, ~under_way)
            .values(state=ActionState.INTENDED.value, owner=owner, epoch=epoch)
        )
        return begun.rowcount == 1

    def confirm_again(self) -> bool:
        """Make a confirmation due again that waited for the group price. Return whether it waited."""
        refused = self.order_action(Action.CONFIRM)
        is_waiting = refused is not None and refused.detail == Why.NOT_READY
        return is_waiting and self.move(Action.CONFIRM, (ActionState.FAILED,), ActionState.PENDING)

    def is_purchase(self) -> bool:
        """Drop what is due: the account bought this order, so there is nothing to serve. Return whether it was due."""
        before = (ActionState.PENDING, ActionState.FAILED)
        return bool([one for one in Action if self.move(one, before, ActionState.NOT_NEEDED, Why.OWN_PURCHASE)])

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _publish(self, *, status: str = "", **event: Any) -> None:
        row = {"account_id": self.account_id, "order_id": self.order_id, "status": status, "at_ms": self.now_ms}
        added = self.connection.execute(order_events.insert().values(**row, **event)).inserted_primary_key
        reach(self.connection, Stream.ORDERS, added[0])  # type: ignore[index]  # an INSERT of one row has a key

    @property
    def _me(self) -> ColumnElement[bool]:
        return and_(orders.c.account_id == self.account_id, orders.c.order_id == self.order_id)

    @property
    def _my_events(self) -> ColumnElement[bool]:
        return and_(order_events.c.account_id == self.account_id, order_events.c.order_id == self.order_id)

    def _elsewhere(self, action: Action) -> ColumnElement[bool]:
        """The same action of the order under other ids."""
        same = and_(order_actions.c.order_id == self.order_id, order_actions.c.action == action.value)
        return and_(same, order_actions.c.account_id != self.account_id)

    def _my_action(self, action: Action) -> ColumnElement[bool]:
        mine = and_(order_actions.c.account_id == self.account_id, order_actions.c.order_id == self.order_id)
        return and_(mine, order_actions.c.action == action.value)
