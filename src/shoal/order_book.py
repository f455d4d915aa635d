"""Orders with their time line, and the intents that keep an irreversible act from happening twice."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, or_, select, update

from shoal.clock import now_ms
from shoal.database import Database
from shoal.schema import insert_or, intents, order_events, orders

COMPLETED = "completed"
CANCELLED = "cancelled"
_ENDS = (COMPLETED, CANCELLED)
_STAGES = ("", "processing", "pending_ship", "shipped")
"""An order's way up to its end. An old card that comes again does not lead back."""


class Act(StrEnum):
    """The irreversible acts on an order."""

    PAID_MESSAGE = "paid_message"
    """Send the shop's word for a paid order."""
    CONFIRM = "confirm"
    """Tell the site that the order is shipped."""


class IntentState(StrEnum):
    """What became of an irreversible act."""

    PENDING = "pending"
    """Due, and not begun: the only state from which it may begin."""
    NOT_NEEDED = "not_needed"
    """The owner wants it not done, or it need not be."""
    INTENDED = "intended"
    """About to be done, or being done."""
    DONE = "done"
    FAILED = "failed"
    """It certainly did not happen."""
    UNCERTAIN = "uncertain"
    """Nobody knows. The site or the owner is asked; it is never repeated blindly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order as it was last heard of."""

    account_id: str
    order_id: str
    item_id: str | None = None
    buyer_id: str = ""
    chat_id: str = ""
    status: str = ""
    created_at_ms: int = 0
    updated_at_ms: int = 0

    @property
    def cursor(self) -> tuple[int, str, str]:
        """Where this order stands in a list, newest first."""
        return (self.created_at_ms, self.account_id, self.order_id)

    @property
    def has_ended(self) -> bool:
        """Whether it was completed or cancelled: nothing may be handed out for it any more."""
        return self.status in _ENDS


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderEvent:
    """One change of an order's status, and who told of it."""

    account_id: str
    order_id: str
    status: str
    source: str
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """One irreversible act on one order: it exists once, for ever."""

    account_id: str
    order_id: str
    action: str
    state: IntentState
    detail: str
    created_at_ms: int
    settled_at_ms: int | None
    owner: str = ""
    epoch: int = 0


class OrderBook:
    """The orders, their events and the intents of every account."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    async def upsert(
        self,
        account_id: str,
        order_id: str,
        *,
        status: str,
        source: str,
        item_id: str | None = None,
        buyer_id: str = "",
        chat_id: str = "",
        paid: bool = False,
    ) -> bool:
        """Store what was heard of an order; returns whether its status changed (then the time line says so).

        An order that is completed or cancelled stays so, and a shipped one is never unshipped by an old card. Empty
        values never replace known ones. ``paid`` makes the shop's word for it due, in the same transaction, unless it
        was due before.
        """
        now = self._now_ms()
        key = and_(orders.c.account_id == account_id, orders.c.order_id == order_id)
        row = {"account_id": account_id, "order_id": order_id, "status": "", "created_at_ms": now, "updated_at_ms": now}
        known = {
            name: value for name, value in (("item_id", item_id), ("buyer_id", buyer_id), ("chat_id", chat_id)) if value
        }

        def job(connection: Connection) -> bool:
            if paid:
                self._due(connection, account_id, order_id)
            statement = insert_or(connection, orders)
            connection.execute(
                statement.on_conflict_do_nothing(index_elements=[orders.c.account_id, orders.c.order_id]), [row]
            )
            before = connection.execute(select(orders.c.status).where(key).with_for_update()).scalar_one()
            changed = before != status and before not in _ENDS and not _leads_back(before, status)
            if changed:
                event = {"account_id": account_id, "order_id": order_id, "status": status, "source": source}
                connection.execute(order_events.insert().values(**event, at_ms=now))
                known["status"] = status
            if known:
                connection.execute(update(orders).where(key).values(**known, updated_at_ms=now))
            return changed

        return await self._database.write(job)

    async def order(self, account_id: str, order_id: str) -> Order | None:
        """One order."""
        query = select(orders).where(orders.c.account_id == account_id, orders.c.order_id == order_id)
        return await self._database.read(lambda connection: _first_order(connection.execute(query).mappings().first()))

    async def orders(
        self,
        account_ids: Collection[str],
        *,
        cursor: tuple[int, str, str] | None = None,
        limit: int = 50,
        status: str | None = None,
    ) -> list[Order]:
        """Orders, newest first. ``cursor`` is that of the last one seen."""
        query = select(orders).where(orders.c.account_id.in_(list(account_ids)))
        if status is not None:
            query = query.where(orders.c.status == status)
        if cursor is not None:
            created, account_id, order_id = cursor
            later = or_(
                orders.c.account_id > account_id,
                and_(orders.c.account_id == account_id, orders.c.order_id > order_id),
            )
            query = query.where(or_(orders.c.created_at_ms < created, and_(orders.c.created_at_ms == created, later)))
        query = query.order_by(orders.c.created_at_ms.desc(), orders.c.account_id, orders.c.order_id).limit(limit)
        return await self._database.read(
            lambda connection: [_order(row) for row in connection.execute(query).mappings()]
        )

    async def events(self, account_id: str, order_id: str) -> list[OrderEvent]:
        """The time line of an order, oldest first."""
        names = [entry.name for entry in fields(OrderEvent)]
        query = (
            select(*(order_events.c[name] for name in names))
            .where(order_events.c.account_id == account_id, order_events.c.order_id == order_id)
            .order_by(order_events.c.id)
        )
        return await self._database.read(
            lambda connection: [OrderEvent(**row) for row in connection.execute(query).mappings()]
        )

    async def unfinished(self, account_id: str, newer_than_ms: int) -> list[Order]:
        """Orders paid after that moment whose shop's word, or the confirmation after it, has not been begun."""
        said = intents.alias("said")
        confirmed = intents.alias("confirmed")
        query = (
            select(orders)
            .join(said, and_(said.c.account_id == orders.c.account_id, said.c.order_id == orders.c.order_id))
            .outerjoin(
                confirmed,
                and_(
                    confirmed.c.account_id == orders.c.account_id,
                    confirmed.c.order_id == orders.c.order_id,
                    confirmed.c.action == Act.CONFIRM.value,
                ),
            )
            .where(
                orders.c.account_id == account_id,
                orders.c.status.not_in(_ENDS),
                said.c.action == Act.PAID_MESSAGE.value,
                said.c.created_at_ms > newer_than_ms,
                or_(
                    said.c.state == IntentState.PENDING.value,
                    and_(
                        said.c.state.in_([IntentState.DONE.value, IntentState.NOT_NEEDED.value]),
                        or_(confirmed.c.state.is_(None), confirmed.c.state == IntentState.PENDING.value),
                    ),
                ),
            )
            .order_by(orders.c.created_at_ms)
        )
        return await self._database.read(
            lambda connection: [_order(row) for row in connection.execute(query).mappings()]
        )

    # ── intents ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _due(self, connection: Connection, account_id: str, order_id: str) -> None:
        columns = [intents.c.account_id, intents.c.order_id, intents.c.action]
        statement = insert_or(connection, intents).on_conflict_do_nothing(index_elements=columns)
        connection.execute(statement.values(**self._intent_row(account_id, order_id, Act.PAID_MESSAGE)))

    def _intent_row(self, account_id: str, order_id: str, act: Act) -> dict[str, str | int]:
        return {
            "account_id": account_id,
            "order_id": order_id,
            "action": act.value,
            "state": IntentState.PENDING.value,
            "created_at_ms": self._now_ms(),
        }

    async def begin_intent(self, account_id: str, order_id: str, act: Act, *, owner: str = "", epoch: int = 0) -> bool:
        """Announce an irreversible act. True: durable, act now. False: it was begun or settled before; do not act."""
        begin = (
            update(intents)
            .where(_intent_key(account_id, order_id, act), intents.c.state == IntentState.PENDING.value)
            .values(state=IntentState.INTENDED.value, owner=owner, epoch=epoch)
        )

        def job(connection: Connection) -> bool:
            columns = [intents.c.account_id, intents.c.order_id, intents.c.action]
            statement = insert_or(connection, intents).on_conflict_do_nothing(index_elements=columns)
            connection.execute(statement.values(**self._intent_row(account_id, order_id, act)))
            return connection.execute(begin).rowcount == 1

        return await self._database.write(job)

    async def settle_intent(
        self, account_id: str, order_id: str, act: Act, state: IntentState, detail: str = ""
    ) -> bool:
        """Say what became of an act. False when that is settled (only ``uncertain`` may still change).

        ``PENDING`` puts back what was begun: it certainly was not done and may begin again.
        """
        open_states = [IntentState.INTENDED.value]
        if state is not IntentState.PENDING:
            open_states += [IntentState.PENDING.value, IntentState.UNCERTAIN.value]
        settled_at_ms = None if state is IntentState.PENDING else self._now_ms()
        statement = (
            update(intents)
            .where(_intent_key(account_id, order_id, act), intents.c.state.in_(open_states))
            .values(state=state.value, detail=detail, settled_at_ms=settled_at_ms)
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def drop_intent(self, account_id: str, order_id: str, act: Act, detail: str) -> bool:
        """Say that an act that is due shall not be done: ``not_needed``. False when it was begun or settled before."""
        statement = (
            update(intents)
            .where(_intent_key(account_id, order_id, act), intents.c.state == IntentState.PENDING.value)
            .values(state=IntentState.NOT_NEEDED.value, detail=detail, settled_at_ms=self._now_ms())
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def decline_intent(self, account_id: str, order_id: str, act: Act, detail: str) -> None:
        """Say that an act that was not begun shall not be done: ``not_needed``, for ever."""
        row = {
            **self._intent_row(account_id, order_id, act),
            "state": IntentState.NOT_NEEDED.value,
            "detail": detail,
            "settled_at_ms": self._now_ms(),
        }

        def job(connection: Connection) -> None:
            columns = [intents.c.account_id, intents.c.order_id, intents.c.action]
            statement = insert_or(connection, intents).on_conflict_do_nothing(index_elements=columns)
            connection.execute(statement.values(**row))

        await self._database.write(job)

    async def intent_state(self, account_id: str, order_id: str, act: Act) -> IntentState | None:
        """How far an act has come; ``None`` when it was never due."""
        query = select(intents.c.state).where(_intent_key(account_id, order_id, act))
        state = await self._database.read(lambda connection: connection.scalar(query))
        return None if state is None else IntentState(state)

    async def intents(
        self, account_id: str, order_id: str | None = None, *, state: IntentState | None = None
    ) -> list[Intent]:
        """The intents of an account or of one order, oldest first."""
        query = select(intents).where(intents.c.account_id == account_id)
        if order_id is not None:
            query = query.where(intents.c.order_id == order_id)
        if state is not None:
            query = query.where(intents.c.state == state.value)
        query = query.order_by(intents.c.created_at_ms, intents.c.order_id, intents.c.action)
        return await self._database.read(
            lambda connection: [_intent(row) for row in connection.execute(query).mappings()]
        )

    async def interrupted(self, account_id: str) -> list[Intent]:
        """Turn acts that were under way when the program or the connection ended into ``uncertain``; returns them."""
        statement = (
            update(intents)
            .where(intents.c.account_id == account_id, intents.c.state == IntentState.INTENDED.value)
            .values(state=IntentState.UNCERTAIN.value, detail="interrupted", settled_at_ms=self._now_ms())
            .returning(*intents.columns)
        )
        return await self._database.write(
            lambda connection: [_intent(row) for row in connection.execute(statement).mappings()]
        )


def _leads_back(before: str, status: str) -> bool:
    return before in _STAGES and status in _STAGES and _STAGES.index(status) < _STAGES.index(before)


def _intent_key(account_id: str, order_id: str, action: str) -> ColumnElement[bool]:
    return and_(intents.c.account_id == account_id, intents.c.order_id == order_id, intents.c.action == action)


def _order(row: RowMapping) -> Order:
    return Order(**{entry.name: row[entry.name] for entry in fields(Order)})


def _first_order(row: RowMapping | None) -> Order | None:
    return None if row is None else _order(row)


def _intent(row: RowMapping) -> Intent:
    values = {entry.name: row[entry.name] for entry in fields(Intent)}
    return Intent(**{**values, "state": IntentState(row["state"])})
