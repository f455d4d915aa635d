"""What webhooks are posted again has the same body, and a drop of seconds is not posted, on both databases."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, select, update

from shoal.accounts.account import AccountState
from shoal.accounts.positions import Position
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.orders.order_status import OrderStatus
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.history_tables import state_moves
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject, close_incidents, open_incidents
from shoal.storage.order_tables import order_events, orders
from shoal.storage.schema import messages
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from shoal.streams.stored_events import read_after
from shoal.webhooks.posted_bodies import store_bodies
from support.databases.store_steps import Clock, an_account, created
from support.notices.webhook_steps import Poster

OFFLINE = Opening(subject=account_subject("a"), kind=IncidentKind.RETRYING, at_ms=0, account_id="a", detail="offline")
PARKED = Opening(subject=account_subject("a"), kind=IncidentKind.PARKED, at_ms=0, account_id="a", detail="kicked_out")


@pytest.fixture
async def poster(database: Database, vault: Vault) -> Poster:
    """A user with the shops a and b."""
    row = {"username": "mei", "name_key": "mei", "password_hash": "-"}
    await database.write(lambda connection: connection.execute(insert(users), [row]).rowcount)
    manager = DBManager(database, vault)
    await created(manager, an_account("a"), an_account("b"))
    return await Poster(database, vault, Clock()).opened(manager)


class Life:
    """What happens to the shops, at the times of the poster's clock."""

    def __init__(self, poster: Poster) -> None:
        self.poster = poster
        self.database = poster.database

    async def moves(self, state: AccountState, reason: str = "", shop: str = "a") -> None:
        at_ms = self.poster.clock()
        row = {"account_id": shop, "state": state.value, "reason": reason, "at_ms": at_ms}
        await self.database.write(lambda connection: connection.execute(insert(state_moves).values(row)).rowcount)

    async def opens(self, opening: Opening) -> None:
        now = Opening(
            subject=opening.subject, kind=opening.kind, at_ms=self.poster.clock(), account_id=opening.account_id,
            detail=opening.detail,
        )  # fmt: skip
        await self.database.write(lambda connection: open_incidents(connection, [now]))

    async def closes(self, opening: Opening) -> None:
        job = partial(close_incidents, subjects=[opening.subject], kinds=[opening.kind], at_ms=self.poster.clock())
        await self.database.write(job)

    async def says(self, name: str) -> None:
        log = MessageLog(self.database, now_ms=self.poster.clock)
        message = IncomingMessage(
            message_id=name, chat_id="c", sender_id="7", text=name, created_at_ms=self.poster.clock()
        )
        await log.store_incoming("a", [message])

    async def writes(self, statement: object) -> None:
        await self.database.write(lambda connection: connection.execute(statement).rowcount)  # type: ignore[call-overload]

    async def passes(self, seconds: float, every: float = 0.2) -> None:
        await self.poster.passes(seconds, every=every)

    def posted(self) -> list[str]:
        """What was posted: the type, and what became of the subject."""
        calls = self.poster.receiver.calls
        return [
            f"{kind} {data.get('state') or data.get('kind') or data.get('message_id')}" for _, kind, data, _ in calls
        ]


@pytest.fixture
def life(poster: Poster) -> Life:
    return Life(poster)


async def test_g11_an_event_that_is_posted_again_has_the_same_body_whatever_happened_since(
    poster: Poster, life: Life
) -> None:
    """The first call fails; until the second the message is answered, the order goes on and the incident is over."""
    numbers = [await poster.webhook(), await poster.webhook(kinds=["order", "incident", "message"])]
    order = {"account_id": "a", "order_id": "7"}
    entry = {**order, "status": OrderStatus.PENDING_SHIP.value, "at_ms": 5, "source": "card", "words": "paid"}
    delivery = {**order, "status": "", "act": "paid_message", "outcome": "done", "at_ms": 6}
    await life.writes(insert(orders).values({**order, "status": OrderStatus.PENDING_SHIP.value, "chat_id": "c"}))
    await life.writes(insert(order_events).values(entry))
    await life.writes(insert(order_events).values(delivery))
    await life.says("hello")
    await life.opens(PARKED)
    await life.moves(AccountState.PARKED, "kicked_out")
    poster.receiver.answer = lambda _: None
    await life.passes(20, every=1)
    assert len(poster.receiver.bodies) > 2
    poster.receiver.answer = lambda body: 200 if len(poster.receiver.bodies) % 3 else 500
    await life.passes(2, every=1)
    changed = update(orders).values(amount="9.90", quantity=3, problem="no_rule", status=OrderStatus.SHIPPED.value)
    await life.writes(changed.values(buyer_id="b", item_id="i"))
    await life.writes(update(messages).values(verdict="replied", handled=True, direction="in"))
    await life.opens(PARKED)
    await life.closes(PARKED)
    await life.passes(3 * 3600, every=60)
    poster.receiver.answer = lambda _: 200
    await life.passes(3 * 3600, every=600)
    for number in numbers:
        await poster.store.replay(1, number, from_ms=0)
    poster.restart()
    await life.passes(60, every=5)
    bodies = defaultdict[str, set[bytes]](set)
    for name, body in poster.receiver.bodies:
        bodies[name].add(body)
    assert {name[0] for name in bodies} == set("csmoi")
    assert {name: len(seen) for name, seen in bodies.items()} == dict.fromkeys(bodies, 1)
    assert len(poster.receiver.bodies) > 3 * len(bodies)


async def test_g11_of_two_webhooks_that_post_an_event_at_once_both_post_the_body_that_was_stored_first(
    poster: Poster, life: Life
) -> None:
    entry = {"account_id": "a", "order_id": "7", "status": "", "at_ms": 5}
    await life.writes(insert(order_events).values(entry))
    (read,) = await poster.database.read(partial(read_after, after=Position(0, orders=0), limit=9, kinds=["order"]))
    later = replace(read, facts={**read.facts, "amount": "9.90"})
    (first,) = (await poster.database.write(partial(store_bodies, events=[read]))).values()
    assert await poster.database.write(partial(store_bodies, events=[later])) == {read.id: first}


async def test_g11_a_message_of_ours_is_the_same_event_before_and_after_a_person_is_seen_to_have_written_it(
    poster: Poster, life: Life
) -> None:
    number = await poster.webhook(kinds=["message"])
    await life.says("hello")
    await life.writes(update(messages).values(direction="out"))
    await poster.now()
    await life.writes(update(messages).values(direction="human", verdict="human", handled=True))
    await poster.store.replay(1, number, from_ms=0)
    await poster.now()
    (first, again) = [body for _, body in poster.receiver.bodies]
    assert first == again


async def test_g11_what_was_posted_of_a_buyer_who_was_forgotten_is_kept_nowhere_and_posted_no_more(
    poster: Poster, life: Life
) -> None:
    number = await poster.webhook(kinds=["message", "order"])
    entry = {"account_id": "a", "order_id": "7", "status": "", "at_ms": 5, "words": "Mei of Hangzhou"}
    await life.writes(insert(order_events).values(entry))
    await life.says("hello")
    await poster.now()
    assert len(poster.receiver.bodies) == 2
    (kept,) = await poster.database.read(lambda c: c.scalars(select(order_events.c.posted)).all())
    assert "Hangzhou" in kept
    await life.writes(update(order_events).values(words="", posted=""))  # as ``forgotten_buyers`` does
    await life.writes(update(messages).values(text="", sender_id="", sender_name=""))
    await poster.store.replay(1, number, from_ms=0)
    await poster.now()
    assert len(poster.receiver.bodies) == 2


async def test_g11_a_socket_that_drops_and_is_back_within_seconds_is_not_posted(poster: Poster, life: Life) -> None:
    await life.moves(AccountState.RUNNING)
    await life.passes(10)
    await poster.webhook()
    for _ in range(3):
        await life.moves(AccountState.RETRYING, "closed")
        await life.opens(OFFLINE)
        await life.passes(0.2)
        await life.moves(AccountState.RUNNING)
        await life.closes(OFFLINE)
        await life.passes(1)
    await life.passes(20)
    assert life.posted() == []
    await life.says("hello")
    await poster.now()
    assert life.posted() == ["message.received hello"]


async def test_g11_a_shop_that_stays_away_is_posted_after_five_seconds_and_its_return_too(
    poster: Poster, life: Life
) -> None:
    await life.moves(AccountState.RUNNING)
    await life.passes(10)
    await poster.webhook()
    await life.moves(AccountState.RETRYING, "closed")
    await life.opens(OFFLINE)
    await life.passes(4.8)
    assert life.posted() == []
    await life.passes(0.4)
    assert life.posted() == ["state.changed retrying", "incident.opened retrying"]
    await life.moves(AccountState.STARTING)
    await life.passes(1)
    await life.moves(AccountState.RUNNING)
    await life.closes(OFFLINE)
    await life.passes(5.2)
    assert life.posted()[2:] == ["state.changed running", "incident.closed retrying"]


async def test_g11_what_needs_its_owner_is_posted_at_once_and_holds_nothing_up(poster: Poster, life: Life) -> None:
    await poster.webhook()
    await life.moves(AccountState.PARKED, "kicked_out")
    await life.opens(PARKED)
    await poster.now()
    assert life.posted() == ["state.changed parked", "incident.opened parked"]
    await life.moves(AccountState.RETRYING, "closed", shop="b")
    await life.passes(1)
    await life.says("hello")
    await poster.now()
    assert life.posted()[2:] == ["message.received hello"], "a message waits for no state"
    await life.closes(PARKED)
    await life.moves(AccountState.RUNNING)
    await life.passes(6)
    assert sorted(life.posted()[3:]) == ["incident.closed parked", "state.changed retrying", "state.changed running"]


async def test_g11_which_drops_are_posted_is_the_same_when_the_past_is_posted_again(poster: Poster, life: Life) -> None:
    number = await poster.webhook(kinds=["state"])
    states = [
        *(
            (AccountState.STARTING, 1),
            (AccountState.RUNNING, 60),
            (AccountState.RETRYING, 0.2),
            (AccountState.RUNNING, 9),
        ),
        *(
            (AccountState.RETRYING, 7),
            (AccountState.STARTING, 2),
            (AccountState.RETRYING, 8),
            (AccountState.RUNNING, 3),
        ),
        *(
            (AccountState.STOPPING, 1),
            (AccountState.STOPPED, 0.2),
            (AccountState.STARTING, 1),
            (AccountState.RUNNING, 20),
        ),
    ]
    for state, seconds in states:
        await life.moves(state)
        await life.passes(seconds)
    once = life.posted()
    assert [one.split()[1] for one in once] == ["running", "retrying", "stopped", "running"]
    await poster.store.replay(1, number, from_ms=0)
    poster.restart()
    await life.passes(5)
    assert life.posted() == [*once, *once]


async def test_a_clock_that_was_wrong_holds_no_state_for_ever(poster: Poster, life: Life) -> None:
    await poster.webhook(kinds=["state"])
    poster.clock.now += 3_600_000
    await life.moves(AccountState.RUNNING)
    poster.clock.now -= 3_600_000
    await life.moves(AccountState.RETRYING, "closed")
    await life.passes(6)
    assert life.posted() == ["state.changed running", "state.changed retrying"]
