"""Many incidents at once, and troubles of seconds: what is told of them, and how often."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from sqlalchemy import insert

from contract.test_notices import HOUR, MINUTE, failing, parked
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import POLICIES, IncidentKind
from shoal.storage.incident_rows import Opening, account_subject
from shoal.storage.schema import accounts
from support.databases.store_steps import Clock, an_account, created
from support.notices.notice_steps import ON_SQLITE, Teller, a_channel
from support.orders.goods_steps import an_owner, changed


@pytest.fixture
def teller(database: Database, clock: Clock) -> Teller:
    return Teller(database, clock)


@pytest.fixture
async def owner(database: Database, manager: DBManager) -> int:
    """The owner of the account ``shop``."""
    user_id = await an_owner(database)
    await created(manager, an_account(owner_id=user_id))
    return user_id


@ON_SQLITE
@pytest.mark.slow
async def test_600_failures_of_50_shops_in_a_night_are_few_notices(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    """A peer sent 600 messages in such a night: an owner must see which matter."""
    names = [f"s{number}" for number in range(50)]
    row = {"owner_id": owner, "shard": 0, "generation": 1, "rev": 1}
    await changed(database, insert(accounts).values([{"id": name, "unb": name, **row} for name in names]))
    await a_channel(database, owner)
    draw = Random("night")
    begins = [(draw.randrange(8 * 60), name) for name in names for _ in range(12)]
    ends = [(minute + draw.randrange(1, 15), name) for minute, name in begins]
    for minute in range(0, 10 * 60, 3):
        now = range(minute, minute + 3)
        down = {name for at, name in begins if at in now}
        up = {name for at, name in ends if at in now} - down
        await teller.happens(*(failing(clock, name) for name in sorted(down)))
        await teller.ends(*(failing(clock, name) for name in sorted(up)))
        await teller.after(3 * MINUTE)
    titles = teller.transport.titles()
    told = Counter(phase for phase, _ in await teller.states() if phase != "digest")
    assert set(told) <= {"begin", "end"}
    assert told["begin"] <= 2 * len(names)
    assert len(titles) <= 2 * told["begin"] < 200
    assert {state for _, state in await teller.states()} == {"sent"}


async def test_many_at_once_are_one_digest_and_their_ends_too(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    names = [f"s{number}" for number in range(8)]
    row = {"owner_id": owner, "shard": 0, "generation": 1, "rev": 1}
    await changed(database, insert(accounts).values([{"id": name, "unb": name, **row} for name in names]))
    await a_channel(database, owner)
    await teller.happens(*(parked(clock, name) for name in names))
    await teller.now()
    ((_, message),) = teller.transport.messages
    assert message.title == "8 notices"
    assert message.body.count("needs you") == 8
    await teller.ends(*(parked(clock, name) for name in names))
    await teller.after(2 * MINUTE)
    assert teller.transport.titles() == ["8 notices"] * 2
    assert Counter(await teller.states()) == {("begin", "sent"): 8, ("end", "sent"): 8, ("digest", "sent"): 2}


async def test_g11_the_sixth_shop_that_parks_within_a_minute_is_told_soon_and_a_storm_is_few_messages(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    names = [f"s{number}" for number in range(80)]
    row = {"owner_id": owner, "shard": 0, "generation": 1, "rev": 1}
    await changed(database, insert(accounts).values([{"id": name, "unb": name, **row} for name in names]))
    await a_channel(database, owner)
    for name in names[:5]:
        await teller.happens(parked(clock, name))
        await teller.after(5, every=1)
    assert len(teller.transport.messages) == 5
    await teller.happens(parked(clock, names[5]))
    await teller.after(4, every=1)
    assert len(teller.transport.messages) == 6, "the sixth, of which a reader knows nothing yet"
    for name in names[6:]:
        await teller.happens(parked(clock, name))
        await teller.after(5, every=5)
    await teller.after(10 * MINUTE, every=20)
    told = teller.transport.titles()
    assert len(told) <= 10
    assert sum(int(title.split()[0]) for title in told if title.endswith(" notices")) == 74
    begun = [state for phase, state in await teller.states() if phase == "begin"]
    assert begun == ["sent"] * len(names)


@ON_SQLITE
@pytest.mark.parametrize("kind", [kind for kind, policy in POLICIES.items() if policy.has_end and not policy.hold_ms])
async def test_g17_a_trouble_of_a_second_is_not_told_and_one_of_seconds_is(
    database: Database, clock: Clock, teller: Teller, owner: int, kind: IncidentKind
) -> None:
    """While the planner did not look: what ended within five seconds by then is not reported, whatever its kind."""
    await a_channel(database, owner)

    def trouble() -> Opening:
        subject = account_subject("shop")
        return Opening(subject=subject, kind=kind, at_ms=clock(), account_id="shop", detail="risk_control")

    for seconds in (1, 4):
        begun = trouble()
        await teller.happens(begun)
        clock.now += seconds * 1000
        await teller.ends(begun)
        await teller.after(HOUR, every=MINUTE)
        assert teller.transport.messages == [], seconds
    begun = trouble()
    await teller.happens(begun)
    clock.now += 6_000
    await teller.ends(begun)
    await teller.after(HOUR, every=MINUTE)
    assert await teller.states() == [("begin", "sent")], "its end stands in it"
