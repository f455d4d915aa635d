"""Moving in: what a run brings to a living server, twice as once, cut off and gone on with, and turned on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from shoal.accounts.account import FIRST_START
from shoal.accounts.change_path import Caller
from shoal.auth.users import Role, User
from shoal.errors import Conflict, StoreError
from shoal.maintenance.moving import carry_out
from shoal.maintenance.moving.moving import Moving, StartOutcome
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.run_store import Run, RunState, UnknownImport
from shoal.orders.order_store import Action, ActionState
from shoal.storage.goods_tables import batches, goods, units
from shoal.storage.history_tables import journal
from shoal.storage.moving_tables import import_oddities, imported_rows
from shoal.storage.notice_tables import channels
from shoal.storage.order_tables import order_actions, order_events, orders
from shoal.storage.schema import accounts, delivery_rules, item_settings, once_replies, rules
from shoal.storage.user_tables import users
from support.files.picture_files import a_png
from support.moving.old_database import Rows, an_old_shop, write_sqlite
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import until

TABLES = (
    users, accounts, rules, item_settings, delivery_rules, goods, units, batches, channels, orders, order_actions,
    once_replies, imported_rows, journal, order_events,
)  # fmt: skip


@pytest.fixture
async def empty(tmp_path: Path) -> Any:
    async with open_door(tmp_path / "data") as opened:
        yield opened


async def me_of(door: Door, name: str = "admin") -> User:
    me = await door.server.users.by_name(name)
    assert me is not None
    return me


async def ended(moving: Moving) -> None:
    await until(lambda: moving._task is not None and moving._task.done())


async def moved(door: Door, path: Path, name: str = "admin", pictures: Mapping[str, Path] | None = None) -> Run:
    me, moving = await me_of(door, name), door.server.moving
    plan = await moving.plan(read_old_file(path), me, pictures=pictures)
    run = await moving.begin(plan, me, file_name=path.name)
    await ended(moving)
    return await moving.run(me, run.id)


async def counted(door: Door) -> dict[str, int]:
    def job(connection: Connection) -> dict[str, int]:
        return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}

    return await door.server.database.read(job)


def starter(door: Door) -> Callable[[str], Caller]:
    return lambda account_id: Caller(actor="user:admin", op_id=f"start-{account_id}")


def old_file(tmp_path: Path, rows: Rows | None = None) -> Path:
    return write_sqlite(tmp_path / "xianyu_data.db", rows or an_old_shop())


async def test_a19_what_is_imported_is_off_until_it_is_turned_on_and_then_it_runs(empty: Door, tmp_path: Path) -> None:
    run = await moved(empty, old_file(tmp_path))
    assert (run.state, run.why, run.done) == (RunState.DONE, "", run.total)
    manager = empty.server.manager
    assert sorted(manager.accounts) == ["afu", "bei", "lan1"]
    assert not any(account.enabled for account in manager.accounts.values())
    assert not empty.site.live
    assert [one.id for one in run.was_on][:2] == ["afu", "lan1"]
    me = await me_of(empty)
    started = await empty.server.moving.start(me, run.id, caller_of=starter(empty))
    assert [one.outcome for one in started] == [StartOutcome.ON] * 3
    await until(lambda: set(empty.site.live) == {"afu", "lan1"})
    assert not manager.account("bei").enabled
    (channel,) = await empty.server.notices.channels.list(me.id)
    assert channel.active
    again = await empty.server.moving.start(me, run.id, caller_of=starter(empty))
    assert {one.outcome for one in again} == {StartOutcome.WAS_ON}


async def test_d3_all_that_belongs_to_a_shop_comes_with_it(empty: Door, tmp_path: Path) -> None:
    await moved(empty, old_file(tmp_path))
    server = empty.server
    afu = server.manager.account("afu")
    assert [(rule.keyword, rule.item_id, rule.reply) for rule in afu.keywords] == [
        ("价格", None, "{send_user_name} 不议价"), ("包邮", "10001", "包邮的")
    ]  # fmt: skip
    assert (afu.remark, afu.pause_duration, afu.default_reply, afu.default_reply_once) == ("阿福", 5, "稍等", True)
    assert [(item.item_id, item.reply) for item in afu.items] == [("10001", "现货")]
    stock = await server.goods.store.list(1)
    assert [(one.name, one.kind.value) for one in stock] == [("网盘", "fixed"), ("月卡", "stock")]
    assert {rule.title_contains: rule.goods_id for rule in afu.deliveries} == {"资料": stock[0].id, "月卡": stock[1].id}
    counts = await server.goods.store.counts([stock[1].id])
    assert sum(counts[stock[1].id].values()) == 3
    lan = await me_of(empty, "lan")
    assert server.manager.account("lan1").owner_id == lan.id
    assert not server.manager.account("lan1").deliveries
    assert (await counted(empty))["once_replies"] == 1
    assert (await server.users.verify("lan", "a long word")) is not None


async def test_a_moved_password_works_once_as_it_was_and_is_then_kept_as_all_others(
    empty: Door, tmp_path: Path
) -> None:
    await moved(empty, old_file(tmp_path))

    async def stored() -> str:
        query = select(users.c.password_hash).where(users.c.username == "lan")
        return str(await empty.server.database.read(lambda connection: connection.scalar(query)))

    assert (await stored()).startswith("sha256:$argon2id$")
    async with client_of(empty.app) as client:
        wrong = await client.post("/login", json={"username": "lan", "password": "another word"})
        assert not wrong.json()["success"]
        hashed = (await stored()).removeprefix("sha256:")
        assert not (await client.post("/login", json={"username": "lan", "password": hashed})).json()["success"]
        assert (await client.post("/login", json={"username": "lan", "password": "a long word"})).json()["success"]
    assert (await stored()).startswith("$argon2id$")
    async with client_of(empty.app) as client:
        assert (await client.post("/login", json={"username": "lan", "password": "a long word"})).json()["success"]


async def test_twice_is_once(empty: Door, tmp_path: Path) -> None:
    path = old_file(tmp_path)
    first = await moved(empty, path)
    once = await counted(empty)
    second = await moved(empty, path)
    assert await counted(empty) == once
    assert second.state is RunState.DONE
    assert second.was_on == first.was_on
    await empty.server.moving.start(await me_of(empty), second.id, caller_of=starter(empty))
    assert not (await moved(empty, path)).was_on
    assert second.counts["accounts"] == {"known": 3}
    assert second.counts["cards"] == {"known": 2}
    assert second.counts["orders"] == {"known": 1}
    assert {fate for fates in second.counts.values() for fate in fates} == {"known", "changed"}


async def test_a_rule_whose_picture_did_not_come_comes_with_it_later_and_once(empty: Door, tmp_path: Path) -> None:
    rows, keywords = an_old_shop(), empty.server.manager.account
    picture = {"cookie_id": "afu", "type": "image", "image_url": "/static/uploads/images/a.png"}
    rows["keywords"] += [{**picture, "keyword": "图"}, {**picture, "keyword": "另"}]
    path, file = old_file(tmp_path, rows), tmp_path / "a.png"
    file.write_bytes(a_png())
    before = (await moved(empty, path)).counts["rules"]
    assert (before["taken"], before["skipped"]) == (3, 2)
    again = (await moved(empty, path)).counts["rules"]
    assert (again["known"], again["skipped"]) == (3, 2), "left out again, and told again"
    await empty.call("POST", "/cookies/afu/rules", json={"words": ["另"], "parts": [{"text": "by hand"}]})
    added = [rule.id for rule in keywords("afu").keywords]
    late = await moved(empty, path, pictures={"a.png": file})
    assert late.counts["rules"] == {"taken": 1, "known": 4}
    assert [rule.id for rule in keywords("afu").keywords][:-1] == added
    came = keywords("afu").keywords[-1]
    assert (came.keyword, came.kind.value, came.active) == ("图", "image", True)
    await empty.call("DELETE", f"/cookies/afu/rules/{came.id}")
    assert (await moved(empty, path, pictures={"a.png": file})).counts["rules"] == {"known": 5}
    assert [rule.id for rule in keywords("afu").keywords] == added, "who deleted it does not get it back"


STEPS = ("_add_user", "_add_goods", "_add_account", "_add_channel")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_a_run_that_was_cut_off_goes_on_with_the_same_file(
    empty: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Ended before or after each kind of step, as if the process had died there; then the same file again."""
    path, me, moving = old_file(tmp_path), await me_of(empty), empty.server.moving
    real = getattr(carry_out.CarryOut, step)

    async def dies(self: Any, *arguments: Any) -> None:
        if after:
            await real(self, *arguments)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(carry_out.CarryOut, step, dies)
        run = await moving.begin(await moving.plan(read_old_file(path), me), me)
        await ended(moving)
    assert (await moving.run(me, run.id)).state is RunState.STOPPED
    again = await moved(empty, path)
    assert again.state is RunState.DONE
    assert [one.name for one in again.was_on] == ["阿福", "lan1", "群"]
    cut = await counted(empty)
    async with open_door(tmp_path / "whole") as other:
        await moved(other, path)
        assert await counted(other) == cut


async def test_an_order_that_was_paid_before_is_known_and_not_due(empty: Door, tmp_path: Path) -> None:
    await moved(empty, old_file(tmp_path))
    book = empty.server.order_store
    order = await book.order("afu", "9001")
    assert order is not None
    assert (order.status, order.amount) == ("pending_ship", "9.90")
    assert (order.created_at_ms, order.updated_at_ms) == (1_769_940_000_000, 1_769_940_000_000)
    actions = {one.action: (one.state, one.created_at_ms) for one in await book.order_actions("afu", "9001")}
    assert actions == dict.fromkeys(Action, (ActionState.NOT_NEEDED, 1_769_940_000_000))
    assert empty.server.manager.account("afu").orders_since_ms == FIRST_START
    await empty.server.manager.update_cookie_status("afu", True, caller=Caller(actor="user:admin"))
    assert empty.server.manager.account("afu").orders_since_ms > 0
    listed = await empty.call("GET", "/orders")
    assert "9001" in str(listed)


async def test_the_report_names_rows_and_keeps_secrets_sealed(empty: Door, tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["ai_reply_settings"] = [{"cookie_id": "afu", "ai_enabled": 1, "api_key": "sk-canary"}]
    run = await moved(empty, old_file(tmp_path, rows))
    assert run.waiting == 1
    me = await me_of(empty)
    told = [odd.code for _, odd in await empty.server.moving.oddities(me, run.id)]
    assert told == ["administrator_is_you", "ai_was_on", "provider_refused"]
    for file in (tmp_path / "data").iterdir():
        assert not file.is_file() or b"sk-canary" not in file.read_bytes()
    with pytest.raises(UnknownImport):
        async with another_person(empty) as bob:
            await empty.server.moving.run(await me_of(bob, "bob"), run.id)


async def test_a_model_comes_once_off_and_without_consent_though_the_import_was_cut_off(
    empty: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = an_old_shop()
    model = {"ai_enabled": 1, "model_name": "m", "api_key": "sk-canary", "base_url": "https://models.example.com/v1",
             "max_discount_percent": 0, "custom_prompts": "热情"}  # fmt: skip
    rows["ai_reply_settings"] = [{"cookie_id": name, **model} for name in ("afu", "bei")]
    rows["item_info"] = [{"id": 1, "cookie_id": "afu", "item_id": "10001", "item_price": "9.90"}]
    path = old_file(tmp_path, rows)
    manager = empty.server.manager

    async def full(*_: Any) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(manager, "add_account", full)
        assert (await moved(empty, path)).state is RunState.STOPPED
    assert (await moved(empty, path)).state is RunState.DONE
    assert (await moved(empty, path)).state is RunState.DONE
    me = await me_of(empty)
    (provider,) = await empty.server.moving._tools.providers.list(me.id)
    assert (provider.host, provider.model, provider.has_consent) == ("models.example.com", "m", False)
    for name in ("afu", "bei"):
        account = manager.accounts[name]
        assert (account.ai_mode, account.ai_provider_id, account.ai_persona) == ("off", provider.id, "热情")
        assert not account.enabled
    item = manager.accounts["afu"].item("10001")
    assert item is not None
    assert (item.reply, item.floor_fen) == ("现货", 990)
    for file in (tmp_path / "data").iterdir():
        assert not file.is_file() or b"sk-canary" not in file.read_bytes()


async def test_only_one_import_runs_and_none_is_turned_on_before_it_is_done(
    empty: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asyncio.Event()

    async def held(self: Any, new: Any) -> None:
        await waits.wait()

    monkeypatch.setattr(carry_out.CarryOut, "_add_channel", held)
    me, moving = await me_of(empty), empty.server.moving
    plan = await moving.plan(read_old_file(old_file(tmp_path)), me)
    run = await moving.begin(plan, me)
    with pytest.raises(Conflict) as busy:
        await moving.begin(plan, me)
    with pytest.raises(Conflict) as early:
        await moving.start(me, run.id, caller_of=starter(empty))
    assert (busy.value.code, early.value.code) == ("moving_under_way", "moving_not_done")
    waits.set()
    await ended(moving)


async def test_d1_an_import_replaces_nothing_and_ids_stay_texts(empty: Door, tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["keywords"].append({"cookie_id": "afu", "keyword": "数", "reply": "ok", "item_id": 123.0})
    rows["keywords"].append({"cookie_id": "afu", "keyword": "空", "reply": None, "item_id": None})
    path = old_file(tmp_path, rows)
    await moved(empty, path)
    afu = empty.server.manager.account("afu")
    assert [(rule.keyword, rule.item_id, rule.reply) for rule in afu.keywords][2:] == [
        ("数", "123", "ok"),
        ("空", None, ""),
    ]
    generation = afu.generation
    await moved(empty, path)
    assert empty.server.manager.account("afu").generation == generation


async def test_the_rows_of_a_report_go_with_their_user(empty: Door, tmp_path: Path) -> None:
    async with another_person(empty, "lan", Role.OWNER):
        run = await moved(empty, old_file(tmp_path), "lan")
        assert run.counts["accounts"] == {"taken": 1, "skipped": 2}
        lan = await me_of(empty, "lan")
        await empty.server.manager.remove_cookie("lan1", caller=Caller(actor="user:admin"))
        await empty.server.users.remove(lan.id)
    count = select(func.count()).select_from(import_oddities)
    assert await empty.server.database.read(lambda connection: connection.scalar(count)) == 0
