"""Orders as rows: what news, acts and owners change of them, each within the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, select, update

from shoal.orders.order_actions import Act, Intent, IntentState, Why
from shoal.orders.order_status import BLOCKED, ENDS, REFUND_CANCELLED, OrderStatus, problem_of, status_after
from shoal.storage.schema import insert_or, intents, order_events, orders, outbox

PAGE = "detail"
"""The source of what an order's own page on the site says."""

_UNKNOWN = frozenset({IntentState.UNCERTAIN})
_KNOWN_FIELDS = ("item_id", "buyer_id", "chat_id", "amount", "quantity", "spec_name", "spec_value")


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order as it was last heard of. ``amount`` is in yuan and, as ``quantity``, the site's own text."""

    account_id: str
    order_id: str
    item_id: str | None = None
    buyer_id: str = ""
    chat_id: str = ""
    status: str = ""
    amount: str = ""
    quantity: str = ""
    spec_name: str = ""
    spec_value: str = ""
    group_price: bool = False
    problem: str = ""
    created_at_ms: int = 0
    updated_at_ms: int = 0

    @property
    def cursor(self) -> tuple[int, str, str]:
        """Where this order stands in a list, newest first."""
        return (self.created_at_ms, self.account_id, self.order_id)

    @property
    def has_ended(self) -> bool:
        """Whether it was completed or cancelled: nothing may be handed out for it any more."""
        return self.status in ENDS


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderEvent:
    """One line of an order's time line: news (``status``, in the site's ``words``) or an act with its outcome.

    ``site_at_ms`` is the site's own time, where it said one; ``at_ms`` when we heard of it.
    """

    account_id: str
    order_id: str
    status: str
    source: str
    act: str = ""
    outcome: str = ""
    words: str = ""
    message_id: str = ""
    site_at_ms: int | None = None
    at_ms: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """What was heard of one order. Empty values say nothing.

    ``paid`` and ``group_price`` make the shop's act due unless it was before; ``withheld`` says why it is not to be
    done all the same (``Why.BEFORE_ACCOUNT``, ``Why.TOO_LATE``).
    """

    order_id: str
    status: str = ""
    source: str
    item_id: str | None = None
    buyer_id: str = ""
    chat_id: str = ""
    amount: str = ""
    quantity: str = ""
    spec_name: str = ""
    spec_value: str = ""
    paid: bool = False
    group_price: bool = False
    withheld: str = ""
    message_id: str = ""
    site_at_ms: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order and its intents, within one transaction."""

    connection: Connection
    account_id: str
    order_id: str
    now_ms: int

    # ── news ────────────────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, news: News) -> tuple[Order, bool]:
        """Store what was heard; returns the order as it is then, and whether its status changed.

        An order that has ended stays so, and a shipped one is never unshipped by an old card. The time line tells each
        card once, and every change.
        """
        before = self._made()
        told: Collection[str] = ()
        if news.status == REFUND_CANCELLED:
            told = self.connection.scalars(select(order_events.c.status).where(self._my_events)).all()
        status = status_after(before.status, news.status, told)
        changed = status != before.status
        known = ((name, getattr(news, name)) for name in _KNOWN_FIELDS)
        changes: dict[str, Any] = {name: value for name, value in known if value and value != getattr(before, name)}
        if before.item_id and news.source != PAGE:
            changes.pop("item_id", None)  # a card may name what the chat is about by now; the page, what was bought
        if news.group_price and not before.group_price:
            changes["group_price"] = True
        if changed:
            changes["status"] = status.value
        is_new_card = self._is_new_card(news)
        if changed or is_new_card:
            self._tell(
                status=status.value if news.status == REFUND_CANCELLED else news.status,
                source=news.source,
                words=news.words,
                message_id=news.message_id,
                site_at_ms=news.site_at_ms,
            )
        self._make_due(news, status, is_new_card=is_new_card)
        self._settle_by_status(status)
        if changes:
            self.connection.execute(update(orders).where(self._me).values(**changes, updated_at_ms=self.now_ms))
        if news.source == PAGE and status is OrderStatus.PENDING_SHIP:
            self._settle_by_page()
        return self.look_at(), changed

    def _made(self) -> Order:
        """The order, locked; a new one when it was not known."""
        row = {"account_id": self.account_id, "order_id": self.order_id}
        times = {"created_at_ms": self.now_ms, "updated_at_ms": self.now_ms}
        added = insert_or(self.connection, orders).on_conflict_do_nothing(
            index_elements=[orders.c.account_id, orders.c.order_id]
        )
        self.connection.execute(added, [{**row, **times}])
        found = self.connection.execute(select(orders).where(self._me).with_for_update())
        return order_of(found.mappings().one())

    def _is_new_card(self, news: News) -> bool:
        if not news.message_id:
            return False
        same = and_(order_events.c.message_id == news.message_id, order_events.c.words == news.words)
        return self.connection.scalar(select(order_events.c.id).where(self._my_events, same).limit(1)) is None

    def _make_due(self, news: News, status: OrderStatus, *, is_new_card: bool) -> None:
        if status in ENDS:
            return
        doubted = self.intent(Act.PAID_MESSAGE) if news.paid and is_new_card and not news.withheld else None
        if doubted is not None and doubted.detail == Why.NOT_PAID:  # another card: its page is worth another look
            self.move(Act.PAID_MESSAGE, (IntentState.FAILED,), IntentState.PENDING)
        state = {"": IntentState.PENDING, Why.TOO_LATE: IntentState.FAILED}.get(news.withheld, IntentState.NOT_NEEDED)
        if news.paid:
            self.seed(Act.PAID_MESSAGE, state, news.withheld)
            before = (IntentState.PENDING, IntentState.FAILED, IntentState.UNCERTAIN)
            self.move(Act.FREE_SHIPPING, before, IntentState.NOT_NEEDED, Why.PAID_ALREADY)
        elif news.group_price and self.intent(Act.PAID_MESSAGE) is None:
            self.seed(Act.FREE_SHIPPING, state, news.withheld)

    def _settle_by_status(self, status: OrderStatus) -> None:
        """What the site itself tells settles what nobody knew, and makes needless what was not begun."""
        if status in {OrderStatus.SHIPPED, OrderStatus.COMPLETED}:
            self.move(Act.CONFIRM, (IntentState.UNCERTAIN,), IntentState.DONE, Why.SEEN_SHIPPED)
        why = {
            OrderStatus.SHIPPED: Why.ALREADY_SHIPPED,
            OrderStatus.COMPLETED: Why.ORDER_COMPLETED,
            OrderStatus.CANCELLED: Why.ORDER_CANCELLED,
        }.get(status)
        if why is None:
            return
        if [act for act in Act if self.move(act, (IntentState.PENDING,), IntentState.NOT_NEEDED, why)]:
            self.seed(Act.CONFIRM, IntentState.NOT_NEEDED, why)

    def _settle_by_page(self) -> None:
        """The page shows an order as paid and complete: a completion that nobody knew of has happened, and what
        follows it is due.
        """
        free_shipping = self.intent(Act.FREE_SHIPPING)
        if free_shipping is not None and free_shipping.state is IntentState.UNCERTAIN:
            self.settle(Act.FREE_SHIPPING, IntentState.DONE, Why.SEEN_COMPLETED, "site")

    def look_at(self) -> Order:
        """Work out anew what stands in the owner's way; returns the order as it is."""
        row = self.connection.execute(select(orders).where(self._me)).mappings().first()
        if row is None:
            return Order(account_id=self.account_id, order_id=self.order_id)
        order = order_of(row)
        problem = str(problem_of(order.status, {intent.action: intent for intent in self.intents()}) or "")
        if problem == order.problem:
            return order
        values = {"problem": problem, "updated_at_ms": self.now_ms}
        self.connection.execute(update(orders).where(self._me).values(**values))
        return order_of({**row, **values})

    # ── intents ─────────────────────────────────────────────────────────────────────────────────────────────────

    def intent(self, act: Act) -> Intent | None:
        """One intent."""
        row = self.connection.execute(select(intents).where(self._my_intent(act))).mappings().first()
        return None if row is None else intent_of(row)

    def intents(self) -> list[Intent]:
        """Every intent, in the order in which the acts are done."""
        mine = and_(intents.c.account_id == self.account_id, intents.c.order_id == self.order_id)
        found = [intent_of(row) for row in self.connection.execute(select(intents).where(mine)).mappings()]
        return sorted(found, key=lambda intent: list(Act).index(Act(intent.action)))

    def seed(self, act: Act, state: IntentState = IntentState.PENDING, detail: str = "") -> None:
        """Make an act due, unless something was decided about it before: here, or under another id of the account."""
        elsewhere = and_(
            intents.c.order_id == self.order_id,
            intents.c.action == act.value,
            intents.c.account_id != self.account_id,
            intents.c.state.in_([IntentState.INTENDED.value, IntentState.DONE.value, IntentState.UNCERTAIN.value]),
        )
        if state is IntentState.PENDING and self.connection.scalar(select(exists().where(elsewhere))):
            state, detail = IntentState.NOT_NEEDED, Why.SERVED_BEFORE
        row = {
            "account_id": self.account_id,
            "order_id": self.order_id,
            "action": act.value,
            "state": state.value,
            "detail": str(detail),
            "created_at_ms": self.now_ms,
            "settled_at_ms": None if state is IntentState.PENDING else self.now_ms,
        }
        columns = [intents.c.account_id, intents.c.order_id, intents.c.action]
        added = insert_or(self.connection, intents).on_conflict_do_nothing(index_elements=columns)
        self.connection.execute(added, [row])

    def move(
        self, act: Act, before: Collection[IntentState], state: IntentState, detail: str = "", source: str = "site"
    ) -> bool:
        """Move an intent from one of some states to another; says whether it stood in one. The time line tells it.

        An intent that is put back keeps its detail, unless another one is given.
        """
        at_rest = state not in {IntentState.PENDING, IntentState.INTENDED}
        values: dict[str, Any] = {"state": state.value, "settled_at_ms": self.now_ms if at_rest else None}
        if at_rest or detail:
            values["detail"] = str(detail)
        stood = intents.c.state.in_([one.value for one in before])
        moved = self.connection.execute(update(intents).where(self._my_intent(act), stood).values(**values))
        if moved.rowcount != 1:
            return False
        if at_rest or detail == Why.ASKED:
            self._tell(source=source, act=act.value, outcome=state.value, words=str(detail))
        return True

    def begin(self, act: Act, owner: str = "", epoch: int = 0) -> bool:
        """Announce an act. False when it was begun or settled before, or the order stands so that none may begin."""
        self.seed(act)
        blocked = exists().where(self._me, orders.c.status.in_([one.value for one in BLOCKED]))
        due = intents.c.state == IntentState.PENDING.value
        begun = self.connection.execute(
            update(intents)
            .where(self._my_intent(act), due, ~blocked)
            .values(state=IntentState.INTENDED.value, owner=owner, epoch=epoch)
        )
        return begun.rowcount == 1

    def settle(
        self, act: Act, state: IntentState, detail: str = "", source: str = "auto", *, also_failed: bool = False
    ) -> bool:
        """Say what became of an act; the next one becomes due when it leads on to it. False when it is settled.

        Only ``uncertain`` may still change, and ``failed`` when its owner says so. ``PENDING`` puts back what was
        begun.
        """
        before = [IntentState.INTENDED]
        if state is not IntentState.PENDING:
            before += [IntentState.PENDING, IntentState.UNCERTAIN]
        if also_failed:
            before.append(IntentState.FAILED)
        if not self.move(act, before, state, detail, source):
            return False
        intent = self.intent(act)
        if intent is not None and intent.leads_on:
            self._lead_on(act, is_done=state is IntentState.DONE)
        self._settle_by_status(OrderStatus(self.look_at().status))
        return True

    def _lead_on(self, act: Act, *, is_done: bool) -> None:
        """What follows an act: the next one, or a shipped order."""
        if act is Act.PAID_MESSAGE:
            self.seed(Act.CONFIRM)
        elif act is Act.FREE_SHIPPING and is_done:
            self.hear(News(order_id=self.order_id, status=OrderStatus.PENDING_SHIP, source="auto"))
            self.seed(Act.PAID_MESSAGE)
        elif act is Act.CONFIRM and is_done:
            self.hear(News(order_id=self.order_id, status=OrderStatus.SHIPPED, source="auto"))

    def settle_interrupted(self, intent: Intent) -> bool:
        """Settle an act that nobody waits for any more; says whether nobody knows what became of it.

        Of the shop's message the outbox knows: what has no row there, or was taken back, never left and is due again.
        """
        state, detail = IntentState.UNCERTAIN, str(Why.INTERRUPTED)
        if intent.action == Act.PAID_MESSAGE:
            state, detail = self._by_outbox(is_intended=intent.state is IntentState.INTENDED)
        return state is not intent.state and self.settle(Act(intent.action), state, detail) and state in _UNKNOWN

    def heed_outbox(self) -> bool:
        """Settle an uncertain message by what the outbox knows now; says whether that is more than before."""
        state, detail = self._by_outbox(is_intended=False)
        return state not in _UNKNOWN and self.settle(Act.PAID_MESSAGE, state, detail)

    def _by_outbox(self, *, is_intended: bool) -> tuple[IntentState, str]:
        mine = and_(outbox.c.account_id == self.account_id, outbox.c.order_id == self.order_id, outbox.c.kind == "paid")
        query = select(outbox.c.outcome, outbox.c.reason).where(mine).order_by(outbox.c.id.desc()).limit(1)
        row = self.connection.execute(query).first()
        if is_intended and (row is None or row.outcome == "dropped"):
            return IntentState.PENDING, ""
        if row is not None and row.outcome == "sent":
            return IntentState.DONE, ""
        if row is not None and row.outcome == "refused":
            return IntentState.FAILED, row.reason
        return IntentState.UNCERTAIN, str(Why.INTERRUPTED)

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, *, status: str = "", **event: Any) -> None:
        row = {"account_id": self.account_id, "order_id": self.order_id, "status": status, "at_ms": self.now_ms}
        self.connection.execute(order_events.insert().values(**row, **event))

    @property
    def _me(self) -> ColumnElement[bool]:
        return and_(orders.c.account_id == self.account_id, orders.c.order_id == self.order_id)

    @property
    def _my_events(self) -> ColumnElement[bool]:
        return and_(order_events.c.account_id == self.account_id, order_events.c.order_id == self.order_id)

    def _my_intent(self, act: Act) -> ColumnElement[bool]:
        mine = and_(intents.c.account_id == self.account_id, intents.c.order_id == self.order_id)
        return and_(mine, intents.c.action == act.value)


def order_of(row: RowMapping | dict[str, Any]) -> Order:
    """A row as an order."""
    return Order(**{entry.name: row[entry.name] for entry in fields(Order)})


def intent_of(row: RowMapping) -> Intent:
    """A row as an intent."""
    values = {entry.name: row[entry.name] for entry in fields(Intent)}
    return Intent(**{**values, "state": IntentState(row["state"])})
