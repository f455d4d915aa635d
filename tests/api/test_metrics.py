"""Figures for Prometheus: who may read them, what they tell, and that they name nobody and nothing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.api.metrics import stored_figures
from shoal.api.metrics.collector import _stored
from shoal.api.metrics.stored_figures import StoredFigures
from shoal.clock import now_ms
from shoal.errors import ActionRequired
from shoal.storage.assistant_tables import ai_provider_states
from shoal.storage.database_stats import DatabaseStats
from support.models.model_runs import a_run
from support.models.model_steps import served_model, settings_for
from support.servers.doors import Door, another_person, open_door
from support.site.standins import until

TOKEN = "a token of the operator's monitoring"
WORDS = re.compile(r"[a-z0-9_.+]{0,40}|\+Inf", re.IGNORECASE)
"""What the value of a label may look like: a word of the program, a bound, a version."""
LABELS = {
    "kind", "outcome", "state", "reason", "enabled", "decision", "status", "step", "problem", "le", "version", "python",
    "database", "generation", "rail",
}  # fmt: skip


async def scraped(door: Door, token: str = TOKEN) -> dict[str, Metric]:
    """Scrape as Prometheus does. The families by name."""
    answer = await door.client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Metric], sample: str, **labels: str) -> float:
    found = [
        one.value
        for family in families.values()
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    ]
    assert found, (sample, labels)
    return sum(found)


async def test_without_the_setting_there_is_no_such_route(door: Door) -> None:
    body = await door.call("GET", "/metrics", 404)
    assert body == await door.call("GET", "/nothing-is-here", 404)


async def test_only_the_bearer_of_the_token_reads_the_figures(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", metrics_token=TOKEN) as door:
        for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Basic {TOKEN}"}):
            answer = await door.client.get("/metrics", headers={"authorization": "", **headers})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), headers
        assert await scraped(door)


async def test_the_figures_tell_what_happened(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", metrics_token=TOKEN) as door:
        before = await scraped(door)
        assert value(before, "shoal_accounts") == 0
        await door.add("one", 1)
        await door.add("two", 2)
        await door.call("PUT", "/cookies/two/status", json={"enabled": False})
        await door.call("PUT", "/cookies/two/status", json={"enabled": False})
        now = await scraped(door)
        assert value(now, "shoal_accounts", enabled="on", state="running") == 1
        assert value(now, "shoal_accounts", enabled="off", state="stopped") == 1
        assert value(now, "shoal_account_moves_total", state="running", reason="") == 2
        assert value(now, "shoal_changes_total", kind="add_cookie", outcome="changed") == 2
        assert value(now, "shoal_changes_total", kind="update_cookie_status", outcome="changed") == 1
        assert value(now, "shoal_changes_total", kind="update_cookie_status", outcome="unchanged") == 1
        assert value(now, "shoal_lock_wait_seconds_count") == 4
        assert value(now, "shoal_database_transaction_seconds_count") > value(
            before, "shoal_database_transaction_seconds_count"
        )
        assert value(now, "shoal_database_group_size_bucket", le="+Inf") == value(
            now, "shoal_database_group_size_count"
        )
        assert value(now, "shoal_build_info", database="sqlite") == 1
        assert value(now, "shoal_database_size_bytes") > 0
        assert value(now, "process_resident_memory_bytes") > 1e6
        assert value(now, "shoal_accounts_parked") == 0

        async def refuse(account: Account, link: Link) -> None:
            raise ActionRequired("risk_control")

        door.site.behave = refuse
        await door.call("POST", "/cookies/one/resume")
        await until(lambda: door.server.manager.tasks["one"].observation.reason == "risk_control")
        assert value(await scraped(door), "shoal_accounts_parked", reason="risk_control") == 1
        assert value(now, "python_gc_collections_total") > 0
        await until(lambda: sum(_lag_of(door)[:9]) > 0)  # of half a second or less


async def test_the_figures_of_models_tell_calls_money_rests_and_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_figures, "FRESH_SECONDS", 0.0)
    async with (
        served_model() as (base, model),
        open_door(tmp_path / "data", metrics_token=TOKEN, allow_private_targets="all") as door,
    ):
        await door.add()
        prices: dict[str, Any] = {"price_in_fen": 1_000, "price_out_fen": 1_000, "fen_per_day": 4}
        one = await door.call("POST", "/ai-providers", json=settings_for(base, **prices))
        before = await scraped(door)
        assert value(before, "shoal_model_calls_total") == value(before, "shoal_model_budget_used") == 0
        costs = (await door.call("POST", f"/ai-providers/{one['id']}/check"))["cost_microfen"]
        model.lay("429", times=1, seconds=0)
        await door.call("POST", f"/ai-providers/{one['id']}/check")
        await a_run(door.server.database, "shop", state="drafted")
        resting = update(ai_provider_states).values(resting_until_ms=now_ms() + 60_000)
        await door.server.database.write(lambda connection: connection.execute(resting).rowcount)
        now = await scraped(door)
        assert value(now, "shoal_model_calls_total", outcome="answered") == 1
        assert value(now, "shoal_model_calls_total", outcome="busy") == 1
        assert value(now, "shoal_model_held_back_total", rail="amount") == 0
        assert value(now, "shoal_model_budget_used") == pytest.approx(costs / 4e6)
        assert value(now, "shoal_model_providers_resting") == value(now, "shoal_drafts_waiting") == 1
        await door.call("PUT", f"/ai-providers/{one['id']}", json={"fen_per_day": 0})
        assert value(await scraped(door), "shoal_model_budget_used") == 1, "a limit of 0 is spent"


def _lag_of(door: Door) -> list[int]:
    counts: list[int] = door.app.state.metrics._lag.seconds.counts
    return counts


async def test_a_change_that_waits_too_long_for_its_lock_is_counted(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", metrics_token=TOKEN, lock_wait_seconds=0.05) as door:
        await door.add()
        hold = await door.server.manager.locks.acquire("shop", "update_keywords")
        try:
            await door.call("PUT", "/cookies/shop/status", 503, json={"enabled": False})
            now = await scraped(door)
            assert value(now, "shoal_locks_held") == 1
        finally:
            hold.release()
        assert value(now, "shoal_lock_timeouts_total") == 1


async def test_no_figure_names_a_shop_a_user_goods_or_words(tmp_path: Path) -> None:
    """Every label has a name and a shape from here, and the same families with as many samples whatever is there."""
    async with open_door(tmp_path / "data", metrics_token=TOKEN) as door:
        await door.add("canary-shop", 1)
        await door.call("PUT", "/cookies/canary-shop/remark", json={"remark": "canary remark"})
        few = await scraped(door)
        for number in range(2, 12):
            await door.add(f"canary-shop-{number}", number)
        async with another_person(door, "canaryuser"):
            pass
        goods = await door.call("POST", "/goods", json={"name": "canary goods", "kind": "stock"})
        await door.call("POST", f"/goods/{goods['id']}/units", json={"lines": ["canary-unit-1", "canary-unit-2"]})
        door.app.state.metrics._stored._newest = None  # as after FRESH_SECONDS
        many = await scraped(door)
        assert value(many, "shoal_units_free", kind="stock") == 2
        for family in many.values():
            for sample in family.samples:
                assert set(sample.labels) <= LABELS, sample
                for name, word in sample.labels.items():
                    assert WORDS.fullmatch(word), sample
                    assert "canary" not in f"{name}{word}".lower(), sample
        series = {name: len(family.samples) for name, family in many.items()}
        grown = {name for name, count in series.items() if count > len(few[name].samples)}
        assert grown == set(), "a family has a series for something that users make"


async def test_a_reason_that_is_no_word_is_shown_as_other(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", metrics_token=TOKEN) as door:
        door.server.manager.moves.add("retrying", "FAIL_SYS::2200000000001 said no")
        now = await scraped(door)
        assert value(now, "shoal_account_moves_total", state="retrying", reason="other") == 1


async def test_a_database_that_does_not_answer_hides_only_what_only_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_door(tmp_path / "data", metrics_token=TOKEN) as door:
        await scraped(door)
        kept = door.app.state.metrics._stored
        kept._newest = replace(kept._newest, read_at=kept._newest.read_at - 1_000)
        with monkeypatch.context() as patch:
            patch.setattr(stored_figures, "WAIT_SECONDS", 0.01)
            patch.setattr(type(door.server.database), "read", _never)
            now = await scraped(door)
            assert value(now, "shoal_database_figures_age_seconds") >= 1_000
            assert value(now, "shoal_accounts") == 0
            await asyncio.gather(kept.close(), door.server.database_stats.close())
        assert value(await scraped(door), "shoal_database_figures_age_seconds") < 1_000


async def _never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


def test_each_figure_of_the_database_has_its_own_name() -> None:
    one: dict[str, Any] = {
        "orders_waiting": 11,
        "oldest_order_wait_seconds": 12.5,
        "messages_waiting": 2,
        "notices_waiting": 3,
        "drafts_waiting": 4,
        "providers_resting": 5,
    }
    stored = StoredFigures(
        read_at=0.0, stats=DatabaseStats(kind="sqlite", size=9, degraded=False), outbox={("waiting",): 6}, incidents={},
        order_problems={("no_rule",): 7}, units_free={("stock",): 8}, webhooks={}, model_budget_used=0.5, **one,
    )  # fmt: skip
    shown = {family.name: sum(sample.value for sample in family.samples) for family in _stored(stored)}
    assert {name.removeprefix("shoal_"): value for name, value in shown.items() if value and "_age_" not in name} == {
        "database_size_bytes": 9, "orders_waiting": 11, "oldest_order_wait_seconds": 12.5, "messages_waiting": 2,
        "notices_waiting": 3, "drafts_waiting": 4,
        "model_providers_resting": 5, "outbox": 6, "order_problems": 7, "units_free": 8, "model_budget_used": 0.5,
    }  # fmt: skip
