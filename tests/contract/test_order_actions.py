"""Order actions: each begins once for ever, and makes the next one due in the same transaction."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, update

from contract.order_book_steps import SECOND, paid, told
from shoal.errors import NotApplied
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, SendOutcome
from shoal.orders.order_store import Action, ActionState, Order, OrderStore, OrderUpdate, Why
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.order_tables import order_actions
from support.databases.store_steps import Clock, Place, an_account, committed, created, deletion, living
from support.orders.order_steps import action_state


async def states(book: OrderStore, order_id: str = "o1", account_id: str = "shop") -> dict[str, ActionState]:
    return {order_action.action: order_action.state for order_action in await book.order_actions(account_id, order_id)}


async def test_an_irreversible_act_begins_once(book: OrderStore) -> None:
    racing = await asyncio.gather(*(book.begin_action("shop", "o1", Action.CONFIRM) for _ in range(10)))
    assert sorted(racing) == [False] * 9 + [True]
    assert await book.begin_action("shop", "o1", Action.FREE_SHIPPING)
    assert await book.begin_action("other", "o2", Action.CONFIRM)
    assert await book.settle_action("shop", "o1", Action.CONFIRM, ActionState.DONE)
    assert not await book.settle_action("shop", "o1", Action.CONFIRM, ActionState.FAILED)
    assert not await book.begin_action("shop", "o1", Action.CONFIRM)
    assert [(order_action.action, order_action.state) for order_action in await book.interrupted("shop")] == [
        (Action.FREE_SHIPPING, ActionState.UNCERTAIN)
    ]
    assert await states(book) == {Action.FREE_SHIPPING: ActionState.UNCERTAIN, Action.CONFIRM: ActionState.DONE}
    assert not await book.begin_action("shop", "o1", Action.FREE_SHIPPING)


async def test_f1_what_a_server_left_under_way_is_told_of_every_shop_and_to_who_listens(book: OrderStore) -> None:
    await paid(book)
    await book.begin_action("shop", "o1", Action.CONFIRM)
    await book.begin_action("other", "o2", Action.PAID_MESSAGE)
    changed: list[Order] = []
    book.on_change(changed.append)
    assert [order_action.order_id for order_action in await book.interrupted(None)] == ["o1"]
    assert {(order.order_id, order.problem) for order in changed} == {("o1", "confirm_uncertain"), ("o2", "")}
    assert await action_state(book, "other", "o2", Action.PAID_MESSAGE) is ActionState.PENDING
    changed.clear()
    assert await book.interrupted(None) == []
    assert changed == []


async def test_two_servers_that_race_for_an_act_begin_it_once(
    book: OrderStore, database: Database, place: Place, clock: Clock
) -> None:
    another = database if database.is_sqlite else await place.open_again(data_dir=place.data_dir / "second")
    # SQLite is for one server, and says so
    books = [book, OrderStore(another, now_ms=clock)]
    await paid(book)
    for act in Action:
        racing = await asyncio.gather(*(one.begin_action("shop", "o1", act) for one in books * 5))
        assert sorted(racing) == [False] * 9 + [True]
    assert await books[1].settle_action("shop", "o1", Action.CONFIRM, ActionState.DONE)
    assert not await books[0].settle_action("shop", "o1", Action.CONFIRM, ActionState.FAILED)


async def test_an_act_under_way_for_one_id_of_a_shop_begins_for_no_other_id_of_it(
    book: OrderStore, database: Database, place: Place, clock: Clock
) -> None:
    await paid(book)
    await paid(book, "other")
    assert await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    assert not await book.begin_action("other", "o1", Action.PAID_MESSAGE)
    assert (await states(book, account_id="other"))[Action.PAID_MESSAGE] is ActionState.PENDING
    under_way = {"state": ActionState.INTENDED.value}
    mine = order_actions.c.account_id == "other"

    def unseen(connection: Connection) -> int:  # as a server does that did not see the first one yet
        return connection.execute(update(order_actions).where(mine).values(under_way)).rowcount

    with pytest.raises(NotApplied):
        await database.write(unseen)


async def test_each_act_makes_the_next_one_due_in_the_same_moment(book: OrderStore) -> None:
    group = OrderUpdate(order_id="o1", status="group_pending", source="card", group_price=True)
    assert (await book.receive("shop", group)).order.group_price
    assert await states(book) == {Action.FREE_SHIPPING: ActionState.PENDING}
    for act in Action:
        if act is Action.PAID_MESSAGE:
            assert await book.next_due("shop", "o1") is None, "the site has not said that it is ready"
            await book.receive("shop", OrderUpdate(order_id="o1", status="pending_ship", source="card", paid=True))
        due = await book.next_due("shop", "o1")
        assert due is not None
        assert due[1].action == act
        assert await book.begin_action("shop", "o1", act)
        assert await book.settle_action("shop", "o1", act, ActionState.DONE)
    assert await book.next_due("shop", "o1") is None
    known = await book.order("shop", "o1")
    assert known is not None
    assert known.status == "shipped"
    assert [(event.action, event.outcome) for event in await book.events("shop", "o1") if event.action] == [
        (act.value, "done") for act in Action
    ]


async def test_a_paid_card_makes_the_word_due_once_and_a_group_card_after_it_nothing(book: OrderStore) -> None:
    await paid(book)
    await book.receive("shop", OrderUpdate(order_id="o1", status="group_pending", source="card", group_price=True))
    assert await states(book) == {Action.PAID_MESSAGE: ActionState.PENDING}
    await book.receive("shop", OrderUpdate(order_id="o2", status="group_pending", source="card", group_price=True))
    await paid(book, order_id="o2")
    assert await states(book, "o2") == {
        Action.FREE_SHIPPING: ActionState.NOT_NEEDED, Action.PAID_MESSAGE: ActionState.PENDING,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["cancelled", "completed", "refunding"])
async def test_nothing_begins_for_an_order_that_ended_or_is_refunded(book: OrderStore, status: str) -> None:
    await paid(book)
    await told(book, status)
    assert await book.next_due("shop", "o1") is None
    assert await book.unfinished("shop") == []
    assert not await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    assert not await book.begin_action("shop", "o1", Action.CONFIRM)


async def test_an_order_that_is_cancelled_while_its_message_leaves_is_not_confirmed(book: OrderStore) -> None:
    await paid(book)
    assert await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    await told(book, "cancelled")
    assert await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.DONE)
    assert await states(book) == {Action.PAID_MESSAGE: ActionState.DONE, Action.CONFIRM: ActionState.NOT_NEEDED}


async def test_what_a_person_shipped_is_neither_sent_nor_confirmed(book: OrderStore) -> None:
    await paid(book)
    order = await told(book, "shipped")
    assert await states(book) == {Action.PAID_MESSAGE: ActionState.NOT_NEEDED, Action.CONFIRM: ActionState.NOT_NEEDED}
    assert order.problem == ""


async def test_the_sites_own_card_settles_a_confirmation_that_nobody_knew_of(book: OrderStore) -> None:
    await paid(book)
    await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.DONE)
    await book.begin_action("shop", "o1", Action.CONFIRM)
    await book.settle_action("shop", "o1", Action.CONFIRM, ActionState.UNCERTAIN, "no_answer")
    order = await book.order("shop", "o1")
    assert order is not None
    assert order.problem == "confirm_uncertain"
    assert [one.order_id for one in await book.unsettled("shop", 0)] == ["o1"]
    order = await told(book, "shipped")
    assert order.problem == ""
    assert await action_state(book, "shop", "o1", Action.CONFIRM) is ActionState.DONE
    assert await book.unsettled("shop", 0) == []


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, ActionState.PENDING),
        (SendOutcome.DROPPED, ActionState.PENDING),
        (SendOutcome.SENT, ActionState.DONE),
        (SendOutcome.REFUSED, ActionState.FAILED),
        (SendOutcome.SENDING, ActionState.UNCERTAIN),
        (SendOutcome.UNCERTAIN, ActionState.UNCERTAIN),
    ],
)
async def test_the_outbox_tells_what_became_of_a_message_that_was_under_way(
    book: OrderStore, database: Database, outcome: SendOutcome | None, state: ActionState
) -> None:
    log = Outbox(database)
    await paid(book)
    await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    if outcome is not None:
        row = OutboxRow(account_id="shop", chat_id="c", uuid="u", kind=OutboxKind.PAID, order_id="o1")
        (sending,) = (await log.queue([row])).ids
        if outcome is not SendOutcome.SENDING:
            await log.settle(sending, outcome, "why")
    unknown = await book.interrupted("shop")
    assert [order_action.action for order_action in unknown] == (
        [Action.PAID_MESSAGE] if state is ActionState.UNCERTAIN else []
    )
    assert await action_state(book, "shop", "o1", Action.PAID_MESSAGE) is state
    assert (await book.next_due("shop", "o1") is not None) == (state in {ActionState.PENDING, ActionState.DONE})


async def test_an_uncertain_message_is_settled_when_the_outbox_learns_more(
    book: OrderStore, database: Database
) -> None:
    log = Outbox(database)
    await paid(book)
    await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    row = OutboxRow(account_id="shop", chat_id="c", uuid="u", kind=OutboxKind.PAID, order_id="o1")
    (sending,) = (await log.queue([row])).ids
    await log.settle(sending, SendOutcome.UNCERTAIN, "no_answer")
    await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.UNCERTAIN, "no_answer")
    assert await book.interrupted("shop") == []
    await log.settle(sending, SendOutcome.SENT)
    assert await book.interrupted("shop") == []
    assert await states(book) == {Action.PAID_MESSAGE: ActionState.DONE, Action.CONFIRM: ActionState.PENDING}


async def test_what_was_due_for_too_long_is_left_to_the_owner(book: OrderStore, clock: Clock) -> None:
    await paid(book)
    clock.now += SECOND
    assert await book.give_up("shop", older_than_ms=clock.now - SECOND - 1) == []
    assert [order.problem for order in await book.give_up("shop", older_than_ms=clock.now)] == ["not_served_in_time"]
    assert await book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")
    assert await book.give_up("shop", older_than_ms=clock.now) == []  # its owner's word has no age
    due = await book.next_due("shop", "o1")
    assert due is not None
    assert (due[0].problem, due[1].detail) == ("", Why.ASKED)


async def test_an_owners_word_holds_when_an_act_is_put_back(book: OrderStore) -> None:
    await paid(book)
    await book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")
    assert await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    assert not await book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")  # it is under way
    assert await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.PENDING)
    due = await book.next_due("shop", "o1")
    assert due is not None
    assert due[1].detail == Why.ASKED
    assert await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.DONE)
    assert not await book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")  # it was done


async def test_an_owner_tells_what_became_of_an_act(book: OrderStore) -> None:
    await paid(book)
    await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.FAILED, "no_paid_message")
    order = await book.order("shop", "o1")
    assert order is not None
    assert order.problem == "no_paid_message"
    settled = await book.owner_settles("shop", "o1", Action.PAID_MESSAGE, ActionState.NOT_NEEDED, actor="user:ann")
    assert settled
    assert await states(book) == {Action.PAID_MESSAGE: ActionState.NOT_NEEDED, Action.CONFIRM: ActionState.PENDING}
    assert await book.owner_settles("shop", "o1", Action.CONFIRM, ActionState.DONE, actor="user:ann")
    assert not await book.owner_settles("shop", "o1", Action.CONFIRM, ActionState.DONE, actor="user:ann")
    order = await book.order("shop", "o1")
    assert order is not None
    assert order.status == "shipped"
    assert {
        event.source for event in await book.events("shop", "o1") if event.outcome != "failed" and event.action
    } == {"user:ann"}


async def test_an_order_is_served_once_for_ever_whatever_becomes_of_the_account(
    book: OrderStore, manager: DBManager
) -> None:
    await paid(book)
    await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.DONE)
    await committed(manager, deletion(await living(manager, "shop")))
    await manager.purge("shop")
    assert await book.order("shop", "o1") is None
    await paid(book, "other")  # the same seller, added again under another id
    assert await book.next_due("other", "o1") is None
    assert not await book.begin_action("other", "o1", Action.PAID_MESSAGE)
    assert await states(book, account_id="other") == {Action.PAID_MESSAGE: ActionState.NOT_NEEDED}
    await created(manager, an_account("shop"))
    await paid(book, "shop")
    assert not await book.begin_action("shop", "o1", Action.PAID_MESSAGE)
    assert not await book.ask_again("other", "o1", Action.PAID_MESSAGE, actor="user:ann")  # it was done


@pytest.mark.parametrize("status", ["shipped", "completed", "cancelled", "refunding"])
async def test_nobody_asks_for_an_act_on_an_order_that_stands_otherwise(book: OrderStore, status: str) -> None:
    await paid(book)
    await told(book, status)
    assert not await book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")


@pytest.mark.parametrize("why", [Why.BEFORE_ACCOUNT, Why.TOO_LATE, Why.BEFORE_START, Why.BEFORE_RESTORE])
async def test_a_card_that_is_too_old_makes_nothing_due(book: OrderStore, why: Why) -> None:
    news = OrderUpdate(order_id="o1", status="pending_ship", source="card", paid=True, withheld=why)
    order = (await book.receive("shop", news)).order
    problems = {
        Why.TOO_LATE: "not_served_in_time",
        **{one: one.value for one in (Why.BEFORE_START, Why.BEFORE_RESTORE)},
    }
    assert order.problem == problems.get(why, "")
    assert await book.next_due("shop", "o1") is None
    await paid(book)  # the card comes again
    assert await book.next_due("shop", "o1") is None


async def test_whoever_listens_is_told_of_each_change_after_it_is_durable(book: OrderStore) -> None:
    heard: list[tuple[str, str]] = []
    book.on_change(lambda order: heard.append((order.status, order.problem)))
    await paid(book)
    await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.FAILED, "CSI_FORBID")
    await book.settle_action("shop", "o1", Action.PAID_MESSAGE, ActionState.PENDING)  # which changes nothing
    await told(book, "cancelled")
    assert heard == [("pending_ship", ""), ("pending_ship", "message_refused"), ("cancelled", "")]


async def test_a_connection_is_told_when_an_owner_asks(book: OrderStore) -> None:
    looked: list[str] = []
    await paid(book)
    with book.serving("shop", lambda: looked.append("one")):
        await book.ask_again("shop", "o1", Action.CONFIRM, actor="user:ann")
        await book.ask_again("other", "o1", Action.CONFIRM, actor="user:ann")
        book.look("shop")
    book.look("shop")
    assert looked == ["one", "one"]
