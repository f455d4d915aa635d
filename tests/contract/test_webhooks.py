"""Webhooks, on both databases: in order per account, until it arrives, never to whom it does not concern."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import structlog
from sqlalchemy import insert, select, update

from shoal.auth.permission import Permission
from shoal.errors import InvalidInput
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.notices.incident_history import IncidentHistory
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, open_incidents
from shoal.storage.notice_tables import incidents, webhook_attempts, webhooks
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from shoal.webhooks.webhook_calls import Called
from shoal.webhooks.webhook_rows import PAGE
from shoal.webhooks.webhooks import KEPT_ATTEMPTS, Target
from support.databases.store_steps import Clock, an_account, created
from support.notices.webhook_steps import DAY, HOUR, URL, Poster


@pytest.fixture
async def poster(database: Database, vault: Vault) -> Poster:
    """Two users; the shops a and b are the first one's, and c the second one's."""
    clock = Clock()
    rows = [{"username": name, "name_key": name, "password_hash": "-"} for name in ("mei", "bob")]
    await database.write(lambda connection: connection.execute(insert(users), rows).rowcount)
    manager = DBManager(database, vault)
    made = [an_account(name, owner_id=2 if name == "c" else 1) for name in "abc"]
    await created(manager, *made)
    return await Poster(database, vault, clock).opened(manager)


async def _said(poster: Poster, *names: str) -> None:
    """Messages: ``a1`` is one of the shop a."""
    log = MessageLog(poster.database, now_ms=poster.clock)
    for name in names:
        poster.clock.now += 1
        message = IncomingMessage(message_id=name, chat_id="c", text=name, created_at_ms=poster.clock())
        await log.store_incoming(name[0], [message])


async def test_what_happens_from_now_on_is_posted_once_and_in_order(poster: Poster) -> None:
    await _said(poster, "a0")
    number = await poster.webhook(kinds=["message"])
    await _said(poster, "a1", "b1", "c1", "a2", "b2")
    await poster.now()
    assert sorted(poster.receiver.arrived) == ["a1", "a2", "b1", "b2"], "c is another one's"
    for shop in "ab":
        assert [name for name in poster.receiver.arrived if name[0] == shop] == [f"{shop}1", f"{shop}2"]
    event_id, kind, data, _ = poster.receiver.calls[0]
    assert (kind, data["event"], data["account_id"], data["text"]) == ("message.received", event_id, "a", "a1")
    await poster.now()
    poster.restart()
    await poster.now()
    assert len(poster.receiver.calls) == 4
    attempts = await poster.store.attempts(1, number)
    assert [one.arrived for one in attempts] == [True] * 4
    assert (await poster.shown(number)).arrived_at_ms is not None


async def test_a_receiver_that_is_down_for_a_day_gets_everything_in_order(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    poster.receiver.answer = lambda _: None
    names = [f"{shop}{place}" for place in range(PAGE) for shop in "ab"]
    for place in range(0, len(names), 20):
        await _said(poster, *names[place : place + 20])
        await poster.passes(2.4 * HOUR, every=1_200)
    assert 24 <= len(poster.receiver.calls) < 200, "a few calls an hour at most"
    failing = await poster.shown(number)
    assert (failing.active, failing.failing_since_ms is not None, failing.tries > 5) == (True, True, True)
    poster.restart()
    poster.receiver.calls.clear()
    poster.receiver.answer = lambda _: 200
    await poster.passes(2 * HOUR, every=1_200)
    for shop in "ab":
        assert [name for name in poster.receiver.arrived if name[0] == shop] == [n for n in names if n[0] == shop]
    assert set(Counter(poster.receiver.arrived).values()) == {1}
    assert (await poster.shown(number)).tries == 0


async def test_one_account_does_not_wait_for_an_event_of_another_that_is_refused(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    poster.receiver.answer = lambda body: 422 if body["data"]["message_id"] == "a1" else 200
    await _said(poster, "a1", "a2", "b1", "b2")
    await poster.passes(23 * HOUR, every=600)
    assert poster.receiver.arrived == ["b1", "b2"], "and a2 waits for a1"
    await poster.passes(3 * HOUR, every=600)
    assert poster.receiver.arrived == ["b1", "b2", "a2"], "after a day a1 is passed over"
    assert (await poster.shown(number)).active
    refused = [one for one in await poster.store.attempts(1, number, limit=100) if one.status == 422]
    assert len({one.event_id for one in refused}) == 1


async def test_many_events_behind_one_that_is_refused_hold_no_other_account(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    poster.receiver.answer = lambda body: 422 if body["data"]["message_id"] == "a0" else 200
    many = [f"a{place}" for place in range(2 * PAGE)]
    await _said(poster, "b0", *many, "b1", "b2")
    await poster.now()
    assert poster.receiver.arrived == ["b0", "b1", "b2"]
    assert (await poster.shown(number)).arrived_at_ms is not None
    await poster.passes(HOUR, every=60)
    tried = len(poster.receiver.calls)
    await _said(poster, "b3")
    await poster.passes(300, every=60)
    assert poster.receiver.arrived == ["b0", "b1", "b2", "b3"], "with the next try"
    assert len(poster.receiver.calls) == tried + 2
    poster.receiver.answer = lambda _: 200
    await poster.passes(300, every=60)
    assert poster.receiver.arrived == ["b0", "b1", "b2", "b3", *many], "each once, in order"
    assert {one.status for one in await poster.store.attempts(1, number, limit=300)} == {200, 422}


async def test_a_user_who_is_deactivated_gets_no_further_page_behind_an_event_that_is_refused(
    poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await poster.webhook(kinds=["message"])
    poster.receiver.answer = lambda body: 422 if body["data"]["message_id"] == "a0" else 200
    await _said(
        poster, *(f"a{place}" for place in range(PAGE)), "b1", *(f"a{place}" for place in range(PAGE, 2 * PAGE))
    )
    await _said(poster, "b2")
    post = poster.receiver.post

    async def deactivates(*values: Any) -> Called:
        called = await post(*values)
        if poster.receiver.arrived:
            off = users.update().where(users.c.id == 1).values(active=False)
            await poster.database.write(lambda connection: connection.execute(off).rowcount)
        return called

    monkeypatch.setattr(poster.receiver, "post", deactivates)
    await poster.now()
    assert poster.receiver.arrived == ["b1"]


async def test_a_receiver_that_is_down_for_days_is_switched_off_and_goes_on_where_it_stopped(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    poster.receiver.answer = lambda _: 503
    await _said(poster, "a1", "a2")
    await poster.passes(3 * DAY - HOUR, every=HOUR)
    assert (await poster.shown(number)).active
    await poster.passes(3 * HOUR, every=HOUR)
    off = await poster.shown(number)
    assert (off.active, off.off_reason) == (False, "down")
    told = await poster.database.read(lambda c: c.execute(select(incidents)).mappings().all())
    assert [(row["kind"], row["user_id"], row["closed_at_ms"]) for row in told] == [("webhook_off", 1, None)]
    assert "CANARY" not in str(told)
    await _said(poster, "a3")
    poster.receiver.answer = lambda _: 200
    await poster.passes(DAY, every=HOUR)
    assert poster.receiver.arrived == []
    await poster.store.change(1, number, {"active": True})
    await poster.now()
    assert poster.receiver.arrived == ["a1", "a2", "a3"]
    (row,) = await poster.database.read(lambda c: c.execute(select(incidents)).mappings().all())
    assert row["closed_at_ms"] is not None


async def test_a_receiver_that_is_gone_is_switched_off_at_once(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    poster.receiver.answer = lambda _: 410
    await _said(poster, "a1", "a2")
    await poster.now()
    assert (len(poster.receiver.calls), (await poster.shown(number)).off_reason) == (1, "gone")


async def test_a_receiver_that_asks_for_patience_gets_it(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    poster.receiver.answer, poster.receiver.retry_after = (lambda _: 429), 600.0
    await _said(poster, "a1")
    await poster.now()
    due = (await poster.shown(number)).due_at_ms
    assert due == poster.clock() + 600_000
    await poster.passes(590, every=10)
    assert len(poster.receiver.calls) == 1
    await poster.passes(20, every=10)
    assert len(poster.receiver.calls) == 2


async def test_a_share_that_is_taken_back_ends_its_events_at_once(poster: Poster) -> None:
    await poster.webhook(2, kinds=["message"])
    await _said(poster, "a1", "c1")
    await poster.now()
    assert poster.receiver.arrived == ["c1"]
    await poster.authorization.give(poster.published.accounts["a"], 2, Permission.READ, given_by="mei")
    await _said(poster, "a2", "a3", "a4")
    arrived = poster.receiver.arrived

    def takes_it_back(body: dict[str, dict[str, str]]) -> int:
        if body["data"]["message_id"] == "a3":
            poster.authorization._grants.clear()
        return 200

    poster.receiver.answer = takes_it_back
    await poster.now()
    assert poster.receiver.arrived == [*arrived, "a2", "a3"]
    poster.restart()
    await poster.now()
    assert poster.receiver.arrived == [*arrived, "a2", "a3"]


async def test_g17_what_is_of_no_shop_is_posted_to_whom_it_concerns_and_nobody_else(poster: Poster) -> None:
    """Of the server to administrators, of a user to that user; neither to the webhooks of the others."""
    admin = users.update().where(users.c.id == 1).values(role="admin")
    await poster.database.write(lambda connection: connection.execute(admin).rowcount)
    got: dict[int, list[str]] = {}
    openings = [
        Opening(subject="server", kind=IncidentKind.BACKUP_FAILED, at_ms=5),
        Opening(subject="user:2", kind=IncidentKind.NEW_ADDRESS, at_ms=6, user_id=2),
        Opening(subject="user:1", kind=IncidentKind.NEW_ADDRESS, at_ms=7, user_id=1),
        Opening(subject="account:c", kind=IncidentKind.PARKED, at_ms=8, account_id="c", detail="kicked_out"),
    ]
    for user_id in (1, 2):
        number = await poster.webhook(user_id, kinds=["incident"])
        if user_id == 1:
            await poster.database.write(lambda connection: open_incidents(connection, openings))
        await poster.store.replay(user_id, number, from_ms=0)
        poster.receiver.calls.clear()
        await poster.now()
        got[user_id] = sorted(f"{data['kind']} {data['opened_at_ms']}" for _, _, data, _ in poster.receiver.calls)
        await poster.store.remove(user_id, number)
    assert got == {1: ["backup_failed 5", "new_address 7"], 2: ["new_address 6", "parked 8"]}


async def test_a_user_who_is_deactivated_gets_nothing(poster: Poster) -> None:
    await poster.webhook(kinds=["message"])
    await _said(poster, "a1")
    off = users.update().where(users.c.id == 1).values(active=False)
    await poster.database.write(lambda connection: connection.execute(off).rowcount)
    await poster.now()
    assert poster.receiver.calls == []


async def test_g17_a_user_who_is_leaving_gets_nothing_more(poster: Poster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shops of one who leaves are stopped one after another, and what happens then concerns the user no more."""
    await poster.webhook(kinds=["message"])
    await _said(poster, *(f"a{place}" for place in range(PAGE + 1)))
    leaves = users.update().where(users.c.id == 1).values(leaving=True)
    post = poster.receiver.post

    async def leaves_meanwhile(*values: Any) -> Called:
        await poster.database.write(lambda connection: connection.execute(leaves).rowcount)
        return await post(*values)

    with monkeypatch.context() as patched:
        patched.setattr(poster.receiver, "post", leaves_meanwhile)
        await poster.now()
    arrived = list(poster.receiver.arrived)
    assert f"a{PAGE}" not in arrived, "the next page is not posted"
    await _said(poster, "b1")
    await poster.now()
    assert poster.receiver.arrived == arrived


async def test_one_whose_address_does_not_open_waits_without_a_defect_until_it_gets_another(poster: Poster) -> None:
    number, other = await poster.webhook(kinds=["message"]), await poster.webhook(kinds=["message"])
    secret = (await poster.store.target(1, number)).secret
    broken = update(webhooks).where(webhooks.c.id == number).values(address_sealed=b"of another key")
    await poster.database.write(lambda connection: connection.execute(broken).rowcount)
    await _said(poster, "a1")
    with structlog.testing.capture_logs() as lines:
        await poster.now()
    assert poster.receiver.arrived == ["a1"], f"of {other}"
    assert [(one["event"], one["log_level"]) for one in lines] == [("a webhook waits", "debug")]
    await poster.store.change(1, number, {"url": URL})
    assert await poster.store.target(1, number) == Target(URL, secret)
    await poster.now()
    assert poster.receiver.arrived == ["a1", "a1"]


async def test_it_is_posted_again_from_an_event_or_a_time_on(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    await _said(poster, "a1")
    began = poster.clock.now + 1
    await _said(poster, "a2", "a3")
    await poster.now()
    ids = [call[0] for call in poster.receiver.calls]
    for place in ({"from_event": ids[1]}, {"from_event": ids[1].partition("-")[0]}, {"from_ms": began}):
        poster.receiver.calls.clear()
        await poster.store.replay(1, number, **place)
        await poster.now()
        assert [call[0] for call in poster.receiver.calls] == ids[1:], "with the same ids"
    for wrong in ("m99", "x", ""):
        with pytest.raises(InvalidInput, match="event"):
            await poster.store.replay(1, number, from_event=wrong)
    poster.receiver.answer = lambda _: 503
    await _said(poster, "a4", "a5")
    await poster.now()
    poster.receiver.calls.clear()
    poster.receiver.answer = lambda _: 200
    await poster.store.replay(1, number, from_ms=poster.clock.now)
    await poster.now()
    assert poster.receiver.arrived == ["a5"], "what is older is passed over"


async def test_only_what_is_asked_for_is_posted_and_looking_at_the_rest_writes_nothing(poster: Poster) -> None:
    await poster.webhook(kinds=["message"], accounts=["b"])
    await _said(poster, "a1")
    before = poster.database.group_writer.works_committed
    for _ in range(3):
        await poster.now()
    assert poster.database.group_writer.works_committed == before
    await _said(poster, "b1")
    await poster.now()
    assert poster.receiver.arrived == ["b1"]


async def test_so_many_calls_are_kept_and_none_that_is_too_old(poster: Poster) -> None:
    number = await poster.webhook(kinds=["message"])
    log = MessageLog(poster.database, now_ms=poster.clock)
    many = [
        IncomingMessage(message_id=f"a{n}", chat_id="c", sender_id="7", created_at_ms=n)
        for n in range(KEPT_ATTEMPTS + 50)
    ]
    await log.store_incoming("a", many)
    await poster.now()
    assert len(poster.receiver.calls) == len(many)
    kept = await poster.database.read(lambda c: c.execute(select(webhook_attempts.c.event_id)).all())
    assert len(kept) == KEPT_ATTEMPTS
    (newest,) = await poster.store.attempts(1, number, limit=1)
    assert newest.event_id == poster.receiver.calls[-1][0]
    history = IncidentHistory(poster.database)
    await history.forget_older_than(newest.at_ms)
    assert newest in await poster.store.attempts(1, number, limit=1)
    await history.forget_older_than(newest.at_ms + 1)
    assert not await poster.store.attempts(1, number, limit=1)
