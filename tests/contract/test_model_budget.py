"""Budget, pace and breaker on both databases: never over the limit, whoever asks at once; a rest with one try."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, func, insert, select

from shoal.assistant.breaker import FIRST_REST_MS, LONGEST_REST_MS, TRY_MS, WINDOW_MS, note_failure, resting_until_ms
from shoal.assistant.budget import (
    MICROFEN,
    NoRoom,
    NoRoomWhy,
    Reservation,
    Spending,
    day_of,
    pace,
    reserve,
    settle,
    settle_check,
    settle_failure,
    tokens_today,
)
from shoal.assistant.model_calls import ModelFailed, WhyFailed
from shoal.assistant.provider_standing import standings
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.providers import Provider
from shoal.assistant.usage import DayUsage, Usage
from shoal.storage.assistant_tables import ai_usage
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.notice_tables import incidents
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from support.databases.store_steps import an_account, created
from support.models.model_steps import settings_for

DAY, NOW = "2026-11-28", 1_000_000_000


@pytest.fixture
async def provider(database: Database, vault: Vault, manager: DBManager) -> Provider:
    """A provider with prices, of the owner of two shops."""
    row = {"username": "mei", "name_key": "mei", "password_hash": "-"}
    await database.write(lambda connection: connection.execute(insert(users).values(**row)).rowcount)
    await created(manager, an_account("shop"), an_account("other"))
    values = settings_for("https://api.example.com", price_in_fen=200, price_out_fen=800, calls_per_minute=10_000)
    return await ProviderStore(database, vault).create(1, values)


def asking(provider: Provider, *, shop: str = "shop", **more: Any) -> Callable[[Connection], Reservation | NoRoomWhy]:
    """A reservation of 300 tokens, or why there is none; caught within its transaction, as callers do."""
    values = {"tokens_in": 200, "tokens_out": 100, "tokens_per_day": 1_000, "now_ms": NOW} | more

    def job(connection: Connection) -> Reservation | NoRoomWhy:
        try:
            return reserve(connection, Spending(shop, provider, DAY), **values)
        except NoRoom as none:
            return none.why

    return job


async def reserved(database: Database, provider: Provider, **more: Any) -> Reservation:
    made = await database.write(asking(provider, **more))
    assert isinstance(made, Reservation)
    return made


async def rest_of(database: Database, provider: Provider, at: int) -> int:
    """Until when the provider rests; 0 when it does not."""
    return (
        await database.read(
            lambda connection: resting_until_ms(connection, provider.id, at, owner_id=provider.owner_id)
        )
        or 0
    )


async def settled_failure(database: Database, made: Reservation, failure: ModelFailed, at: int) -> None:
    """The end of a call without an answer."""
    await database.write(lambda connection: settle_failure(connection, made, failure, now_ms=at))


async def failed(database: Database, provider: Provider, at: int, why: str = "status") -> None:
    """A failure of the provider."""
    await database.write(lambda connection: note_failure(connection, provider.id, why, now_ms=at))


async def kinds_told(database: Database) -> list[tuple[str, str, int | None]]:
    query = select(incidents.c.kind, incidents.c.detail, incidents.c.closed_at_ms).order_by(incidents.c.id)
    return [tuple(row) for row in await database.read(lambda connection: connection.execute(query).all())]


async def test_what_is_reserved_is_spent_until_it_is_settled(database: Database, provider: Provider) -> None:
    first = await reserved(database, provider)
    for _ in range(2):
        await reserved(database, provider)
    assert await database.write(asking(provider)) is NoRoomWhy.TOKENS, "900 of 1,000 are reserved: a kill leaves them"
    cost = await database.write(lambda connection: settle(connection, first, 50, 10, now_ms=NOW))
    assert cost == 50 * 200 + 10 * 800
    assert await database.write(lambda connection: tokens_today(connection, "shop", DAY)) == 660
    await reserved(database, provider)
    (day,) = await Usage(database).days(["shop", "other"], DAY)
    assert day == DayUsage(
        day=DAY, account_id="shop", calls=4, tokens_in=650, tokens_out=310, cost_microfen=650 * 200 + 310 * 800
    )
    assert await Usage(database).days(["other"], DAY) == []
    assert await Usage(database).days(["shop"], "2026-11-29") == []


async def test_a_day_that_is_spent_is_told_once_and_other_shops_go_on(database: Database, provider: Provider) -> None:
    for _ in range(3):
        assert await database.write(asking(provider, tokens_per_day=200)) is NoRoomWhy.TOKENS
    assert [(kind, detail) for kind, detail, _ in await kinds_told(database)] == [("model_budget", "tokens")]
    await reserved(database, provider, shop="other")
    assert await database.write(lambda connection: tokens_today(connection, "shop", DAY)) == 0


async def test_the_money_of_a_day_is_that_of_all_shops_together(
    database: Database, provider: Provider, vault: Vault
) -> None:
    await ProviderStore(database, vault).change(1, provider.id, {"price_in_fen": 10_000, "price_out_fen": 10_000})
    await ProviderStore(database, vault).change(1, provider.id, {"fen_per_day": 7})
    assert 2 * 300 * 10_000 < 7 * MICROFEN < 3 * 300 * 10_000
    for shop in ("shop", "other"):
        made = await reserved(database, provider, shop=shop)
        assert made.cost_of(1, 1) == 20_000, "the prices are those of now, not those that the caller read"
    assert await database.write(asking(provider)) is NoRoomWhy.MONEY
    await ProviderStore(database, vault).change(1, provider.id, {"fen_per_day": 0})
    assert await database.write(asking(provider, tokens_in=0, tokens_out=1)) is NoRoomWhy.MONEY, "0 is a limit"
    await ProviderStore(database, vault).change(1, provider.id, {"fen_per_day": None})
    await reserved(database, provider)


async def test_a_check_needs_money_of_the_day_that_shops_left(
    database: Database, provider: Provider, vault: Vault
) -> None:
    async def why(now_ms: int = NOW) -> NoRoomWhy | None:
        try:
            made = await database.write(lambda connection: pace(connection, provider.id, 200, 100, now_ms=now_ms))
        except NoRoom as none:
            return none.why
        await database.write(lambda connection: settle_check(connection, made, 0, 0))
        return None

    def spend(spending: Spending, tokens_in: int, tokens_out: int, connection: Connection) -> Reservation:
        return reserve(connection, spending, tokens_in, tokens_out, 10**6, now_ms=NOW)

    store = ProviderStore(database, vault)
    await store.change(1, provider.id, {"price_in_fen": 10_000, "price_out_fen": 10_000, "fen_per_day": 0})
    assert await why() is NoRoomWhy.MONEY, "0 is a limit"
    await store.change(1, provider.id, {"fen_per_day": 6})
    today = day_of("", NOW)
    other = await store.create(1, settings_for("https://b.example", price_in_fen=10_000, price_out_fen=10_000))
    for asked, day in ((provider, today), (provider, "1970-01-01"), (other, today)):
        await database.write(partial(spend, Spending("shop", asked, day), 200, 100))
    assert await why() is None, "what another day or another provider cost is not of it"
    await reserved(database, provider, shop="other", tokens_in=1, tokens_out=0)
    await database.write(partial(spend, Spending("other", provider, today), 1, 0))
    assert await why() is NoRoomWhy.MONEY
    assert await why(NOW + 86_400_000) is None
    await store.change(1, provider.id, {"fen_per_day": None})
    assert await why() is None


async def test_what_a_check_cost_is_in_the_money_of_the_day_and_in_no_shops(
    database: Database, provider: Provider, vault: Vault
) -> None:
    prices = {"price_in_fen": 10_000, "price_out_fen": 10_000, "fen_per_day": 6}
    await ProviderStore(database, vault).change(1, provider.id, prices)
    today = day_of("", NOW)

    def ask_for_shop(connection: Connection) -> NoRoomWhy | None:
        try:
            reserve(connection, Spending("shop", provider, today), 200, 100, 10**6, now_ms=NOW)
        except NoRoom as none:
            return none.why
        return None

    async def cost_today(now_ms: int = NOW) -> int:
        found = await database.read(lambda connection: standings(connection, 1, now_ms))
        return found[provider.id].cost_today_microfen

    made = await database.write(lambda connection: pace(connection, provider.id, 400, 100, now_ms=NOW))
    assert await cost_today() == 500 * 10_000, "a check whose process dies stays spent"
    assert await database.write(ask_for_shop) is NoRoomWhy.MONEY
    with pytest.raises(NoRoom):
        await database.write(lambda connection: pace(connection, provider.id, 200, 0, now_ms=NOW))
    assert await database.write(lambda connection: settle_check(connection, made, 30, 20)) == 500_000
    assert await cost_today() == 500_000
    assert await database.read(lambda connection: tokens_today(connection, "shop", today)) == 0
    assert await database.write(ask_for_shop) is None
    assert await cost_today() == 3_500_000
    assert await cost_today(NOW + 86_400_000) == 0
    await database.write(lambda connection: pace(connection, provider.id, 1, 0, now_ms=NOW + 86_400_000))
    await database.write(lambda connection: settle_check(connection, made, 0, 0))
    assert await cost_today(NOW + 86_400_000) == 10_000, "a check of yesterday changes nothing today"


async def test_a_minute_has_so_many_calls_also_after_the_clock_went_back(
    database: Database, provider: Provider, vault: Vault
) -> None:
    await ProviderStore(database, vault).change(1, provider.id, {"calls_per_minute": 2})
    for _ in range(2):
        await reserved(database, provider, tokens_in=1, tokens_out=1)
    assert await database.write(asking(provider)) is NoRoomWhy.PACE
    with pytest.raises(NoRoom):
        await database.write(lambda connection: pace(connection, provider.id, 1, 1, now_ms=NOW + 1))
    await reserved(database, provider, now_ms=NOW + 60_000, tokens_in=1, tokens_out=1)
    await database.write(lambda connection: pace(connection, provider.id, 1, 1, now_ms=NOW - 99_000))
    await reserved(database, provider, now_ms=NOW - 99_000, tokens_in=1, tokens_out=1)


async def test_who_does_not_agree_any_more_or_is_gone_is_not_asked(
    database: Database, provider: Provider, vault: Vault
) -> None:
    store = ProviderStore(database, vault)
    await store.change(1, provider.id, {"consented_host": ""})
    assert await database.write(asking(provider)) is NoRoomWhy.CONSENT, "the caller's own value is out of date"
    await store.remove(1, provider.id)
    assert await database.write(asking(provider)) is NoRoomWhy.CONSENT


async def test_five_failures_in_ten_minutes_rest_then_one_tries(database: Database, provider: Provider) -> None:
    failure = ModelFailed(WhyFailed.TIMEOUT)

    async def fail(made: Reservation, at: int) -> None:
        await settled_failure(database, made, failure, at)

    small: dict[str, Any] = {"tokens_in": 1, "tokens_out": 1, "tokens_per_day": 10_000}
    late = [await reserved(database, provider, **small) for _ in range(6)]
    await fail(late.pop(), NOW - WINDOW_MS)
    for made in late[:4]:
        await fail(made, NOW)
    made = await reserved(database, provider, **small)
    await fail(made, NOW)
    assert await database.write(asking(provider, **small)) is NoRoomWhy.RESTING
    assert await kinds_told(database) == [("model_resting", "timeout", None)]
    for _ in range(5):
        await fail(late[4], NOW + 1)
    until = await rest_of(database, provider, NOW)
    assert until == NOW + FIRST_REST_MS, "those that were asked before the rest make it no longer"
    at, pauses = NOW, []
    for _ in range(4):
        at = until
        tries = await reserved(database, provider, **small, now_ms=at)
        assert tries.is_try
        assert await database.write(asking(provider, **small, now_ms=at + 1)) is NoRoomWhy.RESTING, "one at a time"
        await fail(tries, at + 5)
        until = await rest_of(database, provider, at + 5)
        pauses.append(until - at - 5)
    assert pauses == [2 * FIRST_REST_MS, 4 * FIRST_REST_MS, LONGEST_REST_MS, LONGEST_REST_MS]
    dead = await reserved(database, provider, **small, now_ms=until)
    assert dead.is_try
    tries = await reserved(database, provider, **small, now_ms=until + TRY_MS)
    assert tries.is_try, "a try whose process died keeps others away for a minute only"
    await database.write(lambda connection: settle(connection, tries, 1, 1, now_ms=until + TRY_MS))
    assert (await kinds_told(database))[0][2] == until + TRY_MS
    again = await reserved(database, provider, **small, now_ms=until + TRY_MS)
    assert not again.is_try


async def test_failures_that_are_far_apart_never_rest(database: Database, provider: Provider) -> None:
    for number in range(12):
        await failed(database, provider, NOW + number * WINDOW_MS // 3)
    assert await rest_of(database, provider, NOW) == 0


async def test_what_certainly_cost_nothing_is_given_back(database: Database, provider: Provider) -> None:
    for why, left in ((WhyFailed.NO_CONNECTION, 0), (WhyFailed.TIMEOUT, 300)):
        made = await reserved(database, provider)
        await settled_failure(database, made, ModelFailed(why), NOW)
        assert await database.write(lambda connection: tokens_today(connection, "shop", DAY)) == left


async def test_a_new_address_ends_the_rest(database: Database, provider: Provider, vault: Vault) -> None:
    for _ in range(5):
        await failed(database, provider, NOW, "key")
    assert await database.write(asking(provider)) is NoRoomWhy.RESTING
    await ProviderStore(database, vault).change(1, provider.id, {"key": "the-right-one"})
    await reserved(database, provider)
    assert (await kinds_told(database))[0][2] is not None


def test_a_day_is_that_of_the_shop() -> None:
    at = 1_795_881_600_000  # 2026-11-28T16:00Z
    assert [day_of(zone, at) for zone in ("", "Asia/Shanghai", "America/New_York")] == [
        "2026-11-29", "2026-11-29", "2026-11-28"
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_callers_at_once_never_spend_more_than_the_day_has(
    database: Database, provider: Provider, vault: Vault, seed: int
) -> None:
    """As servers on one PostgreSQL database: a connection each, and no writer between them. On SQLite one writes."""
    limit, fen = 4_000, 2
    await ProviderStore(database, vault).change(1, provider.id, {"fen_per_day": fen})
    over: list[int] = []
    errors: list[Exception] = []

    def spends(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        engine = create_engine(database.url)
        try:
            for _ in range(12):
                wanted = rng.randint(50, 400), rng.randint(20, 200)
                shop = rng.choice(["shop", "other"])
                with engine.begin() as connection:
                    made = asking(provider, shop=shop, tokens_in=wanted[0], tokens_out=wanted[1], tokens_per_day=limit)(
                        connection
                    )
                if isinstance(made, Reservation) and rng.random() < 0.7:  # the others die
                    used = rng.randint(0, wanted[0]), rng.randint(0, wanted[1])
                    with engine.begin() as connection:
                        settle(connection, made, *used, now_ms=NOW)
                with engine.begin() as connection:
                    sums = select(func.sum(ai_usage.c.cost_microfen))
                    if (connection.scalar(sums) or 0) > fen * MICROFEN:
                        over.append(number)
                    over.extend(number for name in ("shop", "other") if tokens_today(connection, name, DAY) > limit)
        except Exception as error:  # noqa: BLE001  a thread's own would be lost
            errors.append(error)
        finally:
            engine.dispose()

    if database.is_sqlite:
        rng = random.Random(seed)
        for _ in range(40):
            await database.write(asking(provider, tokens_in=rng.randint(50, 400), tokens_per_day=limit))
            assert await database.write(lambda connection: tokens_today(connection, "shop", DAY)) <= limit
        return
    threads = [threading.Thread(target=spends, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert (errors, over) == ([], [])
    row = await database.read(
        lambda connection: connection.execute(select(func.sum(ai_usage.c.cost_microfen))).scalar_one()
    )
    assert 0 < row <= fen * MICROFEN
