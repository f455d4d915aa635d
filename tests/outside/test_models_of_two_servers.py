"""Two servers on one PostgreSQL ask one provider: its money, its rest and its drafts are the same for both."""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, insert, select

from benchmarks.processes import ServerProcess, soon
from outside.node_pair import SELDOM, Pair, a_pair
from shoal.storage.assistant_tables import ai_runs, ai_usage
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]

DEFAULT = "稍等，马上回复您"
SAID: dict[str, Any] = {"action": "reply", "text": "在的，有货", "offered_fen": None, "facts": []}


async def ready(pair: Pair, **provider: Any) -> int:
    """Both run some of the shops, which all ask one provider whose owner agreed; return its id."""
    await pair.one.start()
    for name, seller in pair.sellers.items():
        await pair.one.add(name, seller["cookie"])
        await pair.one.ok("PUT", f"/default-replies/{name}", {"enabled": True, "reply_content": DEFAULT})
    await pair.all_at(pair.one)
    url = f"{pair.site.url}/v1"
    host = f"http://{url.split('/')[2]}"
    values = {"name": "m", "base_url": url, "key": "k", "model": "tiny", "consented_host": host, **provider}
    made = await pair.one.ok("POST", "/ai-providers", values)
    await pair.two.start()
    await pair.shared_out()
    return int(made["id"])


async def say(pair: Pair, shop: str, buyer: str, text: str = "在吗") -> None:
    """A buyer writes to a shop."""
    await pair.site.do("say", account=pair.sellers[shop]["unb"], buyer=buyer, text=text)


async def seen(pair: Pair, shop: str, buyer: str) -> list[str]:
    """What a buyer has seen of a shop."""
    return list(await pair.site.seen(pair.sellers[shop]["unb"], buyer))


async def calls(pair: Pair) -> int:
    """How often the provider was asked."""
    return len((await pair.site.get("model"))["calls"])


async def turned_on(pair: Pair, shops: list[str]) -> None:
    """Let a model answer by itself in these shops; both servers know it."""
    for shop in shops:
        await pair.one.ok("PUT", f"/ai-reply-settings/{shop}", {"ai_enabled": True, "model_name": "tiny"})

    async def is_known() -> bool:
        known = await pair.two.ok("GET", "/ai-reply-settings")
        return [shop for shop in shops if not known[shop]["ai_enabled"]] == []

    await soon(is_known, every_seconds=SELDOM)


async def test_the_money_of_a_day_is_never_exceeded_and_a_rest_holds_for_both_servers(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres, lease_seconds="300") as pair:
        number = await ready(pair, price_in_fen=1_000_000, price_out_fen=1_000_000, fen_per_day=6_000)
        url = pair.one.environment["SHOAL_DATABASE_URL"]
        shops = list(pair.sellers)
        await turned_on(pair, shops)
        await pair.site.do("model", outputs=[SAID], cycles=True)
        buyers = ("小鱼", "豆豆妈")
        await asyncio.gather(*(say(pair, shop, buyer) for shop in shops for buyer in buyers))

        async def answered() -> bool:
            for shop, buyer in product(shops, buyers):
                if len(await seen(pair, shop, buyer)) != 1:
                    return False
            return True

        await soon(answered, every_seconds=SELDOM)
        engine = create_engine(url)
        with engine.connect() as connection:
            spent = connection.scalar(select(func.sum(ai_usage.c.cost_microfen)))
        assert spent is not None
        assert 0 < spent <= 6_000 * 1_000_000
        asked = await calls(pair)
        assert 0 < asked < len(shops) * len(buyers), "some were refused for want of money"
        engine.dispose()

        # the limit is lifted; five failures at one server, and the other asks nothing
        await pair.one.ok("PUT", f"/ai-providers/{number}", {"fen_per_day": None})
        here, there = sorted(await pair.run_at(pair.one)), sorted(await pair.run_at(pair.two))
        await pair.site.do("model", fault="500", times=100)
        for turn in range(5):
            await say(pair, here[turn % len(here)], f"买家{turn}")

            async def has_failed(turn: int = turn) -> bool:
                found = await pair.one.ok("GET", "/ai-runs?state=failed&limit=100")
                return [one["why"] for one in found["items"]].count("status") > turn

            await soon(has_failed, every_seconds=SELDOM)
        asked = await calls(pair)
        await say(pair, there[0], "晚来的")

        async def is_default() -> bool:
            return await seen(pair, there[0], "晚来的") == [DEFAULT]

        await soon(is_default, every_seconds=SELDOM)
        assert await calls(pair) == asked, "the other server knows of the rest"
        shown = await pair.two.ok("GET", f"/ai-providers/{number}")
        assert shown["resting_until"] is not None


async def approve(server: ServerProcess, run: int, key: str) -> tuple[int, dict[str, Any]]:
    """Send a draft at a server."""
    answer = await server.http.post(f"/ai-runs/{run}/approve", json={}, headers={"Idempotency-Key": key})
    return answer.status_code, answer.json()


async def test_a_draft_is_sent_once_whichever_server_is_asked(tmp_path: Path, postgres: Postgres) -> None:
    async with a_pair(tmp_path, postgres, lease_seconds="300") as pair:
        number = await ready(pair)
        shop = min(await pair.run_at(pair.two))
        await say(pair, shop, "小鱼")

        async def greeted() -> bool:
            return await seen(pair, shop, "小鱼") == [DEFAULT]

        await soon(greeted, every_seconds=SELDOM)
        (chat,) = (await pair.one.ok("GET", f"/chats?cid={shop}"))["items"]
        engine = create_engine(pair.one.environment["SHOAL_DATABASE_URL"])
        row = {"account_id": shop, "chat_id": chat["chat_id"], "buyer_id": chat["buyer_id"], "state": "drafted"}
        with engine.begin() as connection:
            made = connection.execute(
                insert(ai_runs).values(**row, text="在的", created_at_ms=1).returning(ai_runs.c.id)
            )
            run = int(made.scalar_one())
        engine.dispose()
        answers = await asyncio.gather(
            *(approve(server, run, f"k{number}") for number, server in enumerate([pair.one, pair.two] * 4))
        )
        assert sorted(status for status, _ in answers) == [200] + [409] * 7, answers
        assert {answer["code"] for status, answer in answers if status == 409} == {"run_closed"}
        assert await seen(pair, shop, "小鱼") == [DEFAULT, "在的"]
        for server in (pair.one, pair.two):
            shown = await server.ok("GET", f"/ai-runs/{run}")
            assert (shown["state"], shown["outbox_id"] is not None) == ("answered", True)
        winner = next(number for number, (status, _) in enumerate(answers) if status == 200)
        status, again = await approve([pair.two, pair.one][winner % 2], run, f"k{winner}")
        assert (status, again["outcome"]) == (200, "sent"), "the same request at the other server: the same answer"
        assert await seen(pair, shop, "小鱼") == [DEFAULT, "在的"]
        await _trial_elsewhere(pair, shop, number)
        await _rules_elsewhere(pair, shop)


async def _trial_elsewhere(pair: Pair, shop: str, provider: int) -> None:
    """A trial at a server that does not run the shop knows the prices: the page is read by the one that does."""
    seller = pair.sellers[shop]
    item = seller["items"][0]["id"]
    specs = {"specs": ["时长:月卡", "时长:年卡"], "spec_prices": [2_500, 20_000]}
    await pair.site.do("item", account=seller["unb"], item=item, **specs)
    await pair.one.ok("PUT", f"/cookies/{shop}/ai", {"ai_provider_id": provider})
    output = {"action": "reply", "text": "25元哦", "offered_fen": 2_500, "facts": []}
    await pair.site.do("model", outputs=[output], cycles=True)
    for server in (pair.one, pair.two):
        tried = await server.ok("POST", f"/cookies/{shop}/ai/try", {"text": "多少钱？", "item_id": item})
        assert [spec["price_fen"] for spec in tried["item"]["specs"]] == [2_500, 20_000]
        assert (tried["decision"], tried["text"]) == ("reply", "25元哦")
        page = await server.ok("POST", f"/cookies/{shop}/items/{item}/page")
        assert (page["prices_hold"], page["why"]) == (True, "")


async def _rules_elsewhere(pair: Pair, shop: str) -> None:
    """Both servers compare delivery rules with the specs of an item that only the shop's own server can read."""
    seller = pair.sellers[shop]
    item = seller["items"][1]["id"]
    await pair.site.do("item", account=seller["unb"], item=item, specs=["时长:月卡", "时长:年卡"])
    rules = [{"item_id": item, "spec": spec, "parts": [{"text": "卡"}]} for spec in ("月卡", "时长:季卡")]
    await pair.one.ok("PUT", f"/cookies/{shop}/deliveries", {"rules": rules})
    compared = {"时长:月卡": None, "时长:年卡": "unknown_spec", "时长:季卡": "no_such_spec"}
    for server in (pair.one, pair.two):

        async def is_compared(server: ServerProcess = server) -> bool:
            found = (await server.ok("GET", f"/cookies/{shop}/deliveries/check"))["items"]
            return {line["spec"]: line["obstacle"] for line in found if line["item_id"] == item} == compared

        await soon(is_compared, every_seconds=SELDOM)
    (told,) = (await pair.one.ok("GET", f"/incidents?open=1&cid={shop}"))["items"]
    assert told["kind"] == "no_such_spec"
