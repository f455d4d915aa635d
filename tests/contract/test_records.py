"""Messages and people on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from shoal.database import Database
from shoal.db_manager import DBManager
from shoal.errors import Conflict, InvalidInput, NotApplied
from shoal.message_log import ECHO_WINDOW_MS, IncomingMessage, MessageLog, OutboxRow, SendOutcome
from shoal.schema import sessions
from shoal.users import Role, Users
from store_steps import an_account, created


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def log(database: Database, manager: DBManager, clock: Clock) -> MessageLog:
    await created(manager, an_account("shop"), an_account("other"))
    return MessageLog(database, now_ms=clock)


@pytest.fixture
async def users(database: Database, clock: Clock) -> AsyncIterator[Users]:
    users = Users(database, now_ms=clock, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield users
    await users.close()


def a_message(number: int, text: str = "在吗", chat_id: str = "c") -> IncomingMessage:
    return IncomingMessage(
        message_id=f"m{number}", chat_id=chat_id, sender_id="b", sender_name="买家", text=text, created_at_ms=number
    )


def an_echo(message_id: str, text: str, *, content_type: str = "1") -> IncomingMessage:
    return IncomingMessage(message_id=message_id, chat_id="c", text=text, content_type=content_type)


async def test_a_message_is_new_once(log: MessageLog) -> None:
    assert await log.store_incoming("shop", []) == set()
    assert await log.store_incoming("shop", [a_message(1), a_message(2), a_message(1)]) == {"m1", "m2"}
    assert await log.store_incoming("shop", [a_message(2), a_message(3)]) == {"m3"}
    assert await log.store_incoming("other", [a_message(1)]) == {"m1"}
    racing = await asyncio.gather(*(log.store_incoming("shop", [a_message(9)]) for _ in range(10)))
    assert sorted(len(new) for new in racing) == [0] * 9 + [1]
    with pytest.raises(NotApplied):
        await log.store_incoming("nobody", [a_message(1)])


async def test_unhandled_messages_are_found_again(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(number) for number in (3, 1, 2)])
    await log.mark_handled("shop", ["m2"])
    await log.mark_handled("shop", [])
    assert [found.message.message_id for found in await log.unhandled("shop", 0)] == ["m1", "m3"]
    assert [found.message.message_id for found in await log.unhandled("shop", 1)] == ["m3"]
    assert await log.unhandled("other", 0) == []


async def test_a_sending_is_settled_once(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(1)])
    row = OutboxRow(account_id="shop", chat_id="c", uuid="u1", message_id="m1", text="在的")
    sending = await log.queue(row)
    with pytest.raises(NotApplied):
        await log.queue(row)
    assert await log.settle(sending, SendOutcome.SENT, site_message_id="s1")
    assert not await log.settle(sending, SendOutcome.REFUSED)
    assert await log.claim_echo("shop", "c", an_echo("s1", "在的"))
    assert not await log.claim_echo("other", "c", an_echo("s1", "在的"))
    assert not await log.claim_echo("shop", "c", an_echo("s2", "在的")), "the owner may say the same"
    (message,) = await log.list_messages(["shop"])
    assert [(found.outcome, found.row) for found in message.sendings] == [(SendOutcome.SENT, row)]


async def test_what_was_on_its_way_at_a_crash_is_uncertain(log: MessageLog) -> None:
    first = await log.queue(OutboxRow(account_id="shop", chat_id="c", uuid="u1"))
    await log.queue(OutboxRow(account_id="other", chat_id="c", uuid="u2"))
    assert [found.id for found in await log.interrupted("shop")] == [first]
    assert await log.interrupted("shop") == []
    (found,) = await log.list_sendings(["shop"])
    assert (found.outcome, found.reason) == (SendOutcome.UNCERTAIN, "interrupted")
    assert await log.settle(first, SendOutcome.SENT)


async def test_messages_are_listed_newest_first_page_by_page(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(number) for number in range(1, 6)])
    await log.store_incoming("other", [a_message(3)])
    seen: list[str] = []
    before = None
    while page := await log.list_messages(["shop"], before=before, limit=2):
        seen += [found.message.message_id for found in page]
        before = page[-1].cursor
    assert seen == ["m5", "m4", "m3", "m2", "m1"]
    assert len(await log.list_messages(["shop", "other"])) == 6
    assert await log.list_messages([]) == []
    assert await log.list_messages(["shop"], chat_id="elsewhere") == []


async def test_a_search_is_literal(log: MessageLog) -> None:
    texts = ["100% ok", "100 OK", "a_b", "axb"]
    await log.store_incoming("shop", [a_message(number, text) for number, text in enumerate(texts)])

    async def found(query: str) -> list[str]:
        return sorted(message.message.text for message in await log.list_messages(["shop"], query=query))

    assert await found("100%") == ["100% ok"]
    assert await found("ok") == ["100 OK", "100% ok"]
    assert await found("A_B") == ["a_b"]
    assert await found("买家") == sorted(texts)


async def test_the_echo_of_an_uncertain_sending_is_known_by_its_words_once(log: MessageLog, clock: Clock) -> None:
    await log.queue(OutboxRow(account_id="shop", chat_id="c", uuid="u1", text="在的"))
    assert not await log.claim_echo("shop", "c", an_echo("s0", "在的")), "its answer may still come"
    await log.interrupted("shop")
    for account, chat, text in [("other", "c", "在的"), ("shop", "d", "在的"), ("shop", "c", "我来了")]:
        assert not await log.claim_echo(account, chat, an_echo("s1", text))
    assert await log.claim_echo("shop", "c", an_echo("s1", "在的"))
    assert await log.claim_echo("shop", "c", an_echo("s1", "在的")), "the same echo again"
    assert not await log.claim_echo("shop", "c", an_echo("s2", "在的")), "one sending has one echo"
    (found,) = await log.list_sendings(["shop"])
    assert (found.outcome, found.site_message_id) == (SendOutcome.UNCERTAIN, "s1")
    await log.queue(OutboxRow(account_id="shop", chat_id="c", uuid="u2", image_url="https://img.example/1.jpg"))
    await log.interrupted("shop")
    assert await log.claim_echo("shop", "c", an_echo("s3", "[图片]", content_type="2"))
    await log.queue(OutboxRow(account_id="shop", chat_id="c", uuid="u3", text="在的"))
    await log.interrupted("shop")
    clock.now += ECHO_WINDOW_MS
    assert not await log.claim_echo("shop", "c", an_echo("s4", "在的")), "much later it is somebody else's word"


async def test_a_once_only_reply_is_due_once_per_chat_and_again_if_it_never_left(log: MessageLog) -> None:
    def once(number: int, account: str = "shop", chat: str = "c") -> Awaitable[int | None]:
        return log.queue_once(OutboxRow(account_id=account, chat_id=chat, uuid=f"u{number}", text="您好"))

    racing = [found for found in await asyncio.gather(*(once(number) for number in range(8))) if found is not None]
    assert len(racing) == 1
    assert await once(8, chat="d")
    assert await once(9, account="other")
    await log.take_back("shop", racing[0], "connection_lost", answers=[], once_in="c")
    assert await once(10)
    assert await once(11) is None


async def test_old_messages_are_forgotten(log: MessageLog, clock: Clock) -> None:
    await log.store_incoming("shop", [a_message(1)])
    clock.now += 1000
    await log.store_incoming("shop", [a_message(2)])
    assert await log.forget_older_than(clock.now) == 1
    assert [found.message.message_id for found in await log.list_messages(["shop"])] == ["m2"]


async def test_the_first_administrator_is_made_once(users: Users) -> None:
    password = await users.ensure_admin()
    assert password is not None
    assert len(password) >= 20
    assert await users.ensure_admin() is None
    admin = await users.verify("admin", password)
    assert admin is not None
    assert admin.role is Role.ADMIN
    assert await users.verify("admin", password + "x") is None
    assert await users.verify("nobody", password) is None


async def test_people_have_names_of_their_own(users: Users) -> None:
    ann = await users.create("ann", "pass word", email="Ann@Example.com")
    assert (ann.role, ann.email, ann.active) == (Role.OWNER, "ann@example.com", True)
    for name, email, code in (("ann", None, "username_taken"), ("bob", "ANN@example.com", "email_taken")):
        with pytest.raises(Conflict) as caught:
            await users.create(name, "x", email=email)
        assert caught.value.code == code
    with pytest.raises(InvalidInput):
        await users.create("bob", "")
    assert await users.verify("ANN@example.com", "pass word") == ann
    assert await users.get(ann.id) == await users.by_name("ann") == await users.by_email("ann@example.com") == ann
    assert await users.list_users() == [ann]
    assert await users.get(999) is None
    changed = await users.update(ann.id, role=Role.STAFF)
    assert changed is not None
    assert changed.role is Role.STAFF
    assert await users.update(999, role=Role.STAFF) is None
    assert await users.delete(ann.id)
    assert not await users.delete(ann.id)


async def test_a_session_lives_as_long_as_it_may(users: Users, clock: Clock, database: Database) -> None:
    ann = await users.create("ann", "pw")
    token = await users.open_session(ann.id, 60, kind="login", user_agent="x" * 1000, address="::1")
    stored = await database.read(lambda connection: connection.scalars(select(sessions.c.token_hash)).all())
    assert token not in stored
    assert len(token) >= 43
    session = await users.session(token)
    assert session is not None
    assert (session.user, session.kind, session.address, len(session.user_agent)) == (ann, "login", "::1", 300)
    assert await users.session("guess") is None
    clock.now += 59_999
    assert await users.session(token) is not None
    clock.now += 1
    assert await users.session(token) is None
    assert await users.sessions(ann.id) == []


async def test_a_session_ends_with_sign_out_password_or_deactivation(users: Users) -> None:
    ann = await users.create("ann", "old")
    one, two, three = [await users.open_session(ann.id, 60) for _ in range(3)]
    await users.close_session(one)
    await users.close_session(one)
    assert await users.session(one) is None
    assert await users.set_password(ann.id, "new", keep_token=three)
    assert await users.session(two) is None
    assert await users.session(three) is not None
    assert await users.verify("ann", "old") is None
    assert await users.verify("ann", "new") is not None
    await users.update(ann.id, active=False)
    assert await users.session(three) is None
    assert await users.verify("ann", "new") is None
    assert not await users.set_password(999, "x")


async def test_an_old_hash_is_renewed_at_sign_in(database: Database, users: Users) -> None:
    await users.create("ann", "pw")
    stronger = Users(database, hasher=PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert await stronger.verify("ann", "pw") is not None
    await stronger.close()
    assert await users.verify("ann", "pw") is not None


async def test_hashing_does_not_hold_the_loop(database: Database) -> None:
    users = Users(database)
    task = asyncio.create_task(users.create("ann", "pw"))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 3
    await users.close()
