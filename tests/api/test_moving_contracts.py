"""Moving in a database of today's xianyu-auto-reply: each column is taken, reported, or reported as not needed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from shoal.accounts.account import Account
from shoal.goods.goods import GoodsKind
from shoal.goods.stock_history import By
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_states import UnitState
from shoal.storage.order_tables import orders
from shoal.storage.schema import once_replies
from support.moving.today_database import MODELS, OTHERS, a_full_database, a_small_database, account, as_dump
from support.servers.doors import Door, in_shell, open_door, served


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path / "data") as opened:
        yield opened


@dataclass
class MovedIn:
    """What an import by the command brought, and its report."""

    door: Door
    run: dict[str, Any]

    @property
    def shop(self) -> Account:
        return self.door.server.manager.account("afu")

    def reports(self, code: str, words: str = "") -> bool:
        """Whether a line of the report has the code, and these words in its sentence."""
        return any(row["code"] == code and words in row["detail"] for row in self.run["rows"])

    def names(self, table: str, column: str) -> bool:
        """Whether the report names a column of a table."""
        whole_word = re.compile(rf"(?<![\w.]){re.escape(column)}(?!\w|\.\w)")
        mine = (row for row in self.run["rows"] if row["table"] == table)
        return any(whole_word.search(f"{row['row']} {row['detail']}") for row in mine)


async def moved(door: Door, tmp_path: Path, rows: Any) -> MovedIn:
    file = tmp_path / "shop.sql"
    file.write_text(as_dump(rows), encoding="utf-8")
    token = await door.server.sessions.open(1, 3600)
    async with served(door) as url:
        code, said = await in_shell(url, token, "import", "legacy", str(file), "--json")
    assert code == 0, said
    return MovedIn(door, json.loads(said))


Check = Callable[[MovedIn], bool]
SHOP: dict[str, Check] = {
    "id": lambda here: bool(here.shop.keywords),  # the rule names its shop by this number
    "owner_id": lambda here: here.shop.owner_id == 1,
    "account_id": lambda here: here.shop.id == "afu",
    "display_name": lambda here: here.shop.name == "阿福数码",
    "cookie": lambda here: here.shop.cookie.startswith("unb=2200000000701"),
    "status": lambda here: here.run["was_on"][0]["id"] == "afu",
    "remark": lambda here: here.shop.remark == "备注一",
    "pause_duration": lambda here: here.shop.pause_duration == 7,
    "auto_confirm": lambda here: here.shop.auto_confirm is False,  # only_send_card forbids it
    "only_send_card": lambda here: not here.shop.auto_confirm and here.reports("never_confirmed"),
    "delivery_disabled": lambda here: not here.shop.delivery and here.reports("delivery_disabled_for"),
    "delivery_disabled_reason": lambda here: here.reports("delivery_disabled_for", "等补货"),
    "disable_reason": lambda here: here.reports("was_off_because", "密码错误"),
    "reply_delay_seconds": lambda here: here.shop.debounce_seconds == 4,
    "metadata": lambda here: here.names("xy_accounts", "metadata.colour"),
    **dict.fromkeys(
        ("proxy_type", "proxy_host", "proxy_port", "proxy_user", "proxy_pass"),
        lambda here: here.shop.proxy == "socks5://u%401:canary%3Apass@192.0.2.7:1080",
    ),
}
"""What becomes of the columns of an account that the report does not name."""
ELSEWHERE: dict[str, dict[str, Check]] = {
    "xy_users": {
        "id": lambda here: here.shop.owner_id == 1,
        "username": lambda here: here.reports("administrator_is_you", "admin"),
        "email": lambda here: here.reports("administrator_is_you"),  # the caller's own stays
        "password_hash": lambda here: here.reports("administrator_is_you"),
        "status": lambda here: here.reports("administrator_is_you"),
        "role": lambda here: here.reports("administrator_is_you"),
        "expire_at": lambda here: here.reports("user_ends", "2026-08-01"),
    },
    "xy_accounts": SHOP,
    "xy_keyword_rules": {
        "id": lambda here: True,  # names nothing but itself
        "owner_id": lambda here: True,
        "account_id": lambda here: len(here.shop.keywords) == 3,
        "keyword": lambda here: here.shop.keywords[-1].words == ("价格", "多少钱"),
        "reply_content": lambda here: here.shop.keywords[-1].reply == "九块九",
        "reply_type": lambda here: here.shop.keywords[-1].kind == "text",
        "image_url": lambda here: not here.shop.keywords[-1].image_url,  # it answers with a text
        "item_id": lambda here: here.shop.keywords[-1].item_ids == ("10001",),
        "is_active": lambda here: here.shop.keywords[-1].active,
    },
    "xy_default_replies": {
        "id": lambda here: True,
        "account_id": lambda here: here.shop.default_reply == "稍等",
        "item_id": lambda here: [item.item_id for item in here.shop.items] == ["10001"],
        "enabled": lambda here: here.shop.default_reply_enabled,
        "reply_type": lambda here: here.shop.default_reply_enabled,
        "reply_content": lambda here: [item.reply for item in here.shop.items] == ["现货"],
        "reply_image": lambda here: here.reports("default_reply_picture") and here.reports("item_reply_picture"),
        "reply_once": lambda here: here.shop.default_reply_once,
        "updated_at": lambda here: [item.reply for item in here.shop.items] == ["现货"],
    },
    "xy_catalog_items": {
        "account_id": lambda here: here.reports("items_from_site"),
        "item_id": lambda here: here.reports("items_from_site"),
        "title": lambda here: here.reports("items_from_site"),
        "price": lambda here: [item.floor_fen for item in here.shop.items] == [891],
        "metadata": lambda here: here.names("xy_catalog_items", "metadata.shelf"),
    },
    "xy_cards": {
        "id": lambda here: bool(here.shop.deliveries),
        "user_id": lambda here: bool(here.shop.deliveries),
        "item_id": lambda here: {rule.item_id for rule in here.shop.deliveries} == {"10001", "10009"},
        "description": lambda here: here.shop.deliveries[0].parts[0].text == "码：{codes}",
        "delay_seconds": lambda here: here.shop.deliveries[0].delay_seconds == 3,
        **dict.fromkeys(
            ("is_multi_spec", "spec_name", "spec_value"), lambda here: here.shop.deliveries[0].spec == "时长:月卡"
        ),
        **dict.fromkeys(("name", "type", "enabled", "data_content"), lambda here: True),  # see the goods below
        **dict.fromkeys(("api_config", "text_content", "image_url"), lambda here: True),  # of other types of cards
        "image_urls": lambda here: here.reports("pictures_beyond"),
        "created_at": lambda here: True,  # tells two cards of one id apart
    },
    "xy_card_item_relations": {
        "id": lambda here: True,
        **dict.fromkeys(
            ("user_id", "card_id", "item_id", "source", "dock_record_id"),
            lambda here: "10001" in {rule.item_id for rule in here.shop.deliveries},
        ),
    },
    "xy_message_filters": {
        "id": lambda here: True,
        **dict.fromkeys(
            ("account_id", "keyword", "filter_type", "enabled"),
            lambda here: [rule.words for rule in here.shop.keywords[:2]] == [("发票",)] * 2
            and here.reports("filter_is_rule", "发票"),
        ),
    },
    "xy_delivery_block_rules": dict.fromkeys(
        ("account_id", "rule_code", "enabled"),
        lambda here: not here.shop.delivery and here.reports("block_rule", "buyer_credit_zero"),
    ),
    "xy_system_settings": dict.fromkeys(
        ("key", "value"), lambda here: here.reports("setting_unknown_here")
    ),
    "xy_user_settings": {"key": lambda here: here.reports("setting_unknown_here")},
}  # fmt: skip
STORED = {
    "xy_orders": "order_no status buyer_id item_id spec_name spec_value quantity amount account_id placed_at "
    "created_at",
    "xy_notification_channels": "id owner_id name channel_type config enabled created_at",
    "xy_message_notifications": "id account_pk account_identifier channel_id enabled",
    "xy_default_reply_records": "id account_id user_id",
}
"""Columns whose values the test looks up in the database."""


async def test_g1_a_database_with_a_value_in_each_column_is_silent_about_none(empty: Door, tmp_path: Path) -> None:
    rows = a_full_database()
    assert len(MODELS["xy_accounts"].split()) == 43
    here = await moved(empty, tmp_path, rows)
    silent = []
    for table, columns in MODELS.items():
        assert {frozenset(row) for row in rows[table]} == {frozenset(columns.split())}, table
        for column in columns.split():
            checked = ELSEWHERE.get(table, {}).get(column)
            if checked is not None:
                assert checked(here), (table, column)
            elif column not in STORED.get(table, "").split() and not here.names(table, column):
                silent.append(f"{table}.{column}")
    assert not silent
    assert {row["table"] for row in here.run["rows"]} >= set(OTHERS), "a table is silent"
    await _stored(empty)
    for row in here.run["rows"]:
        assert row["detail"], row
        assert "canary" not in str(row), "a secret stands in the report"


async def _stored(door: Door) -> None:
    query = select(orders.c.order_id, orders.c.status, orders.c.buyer_id, orders.c.item_id, orders.c.amount)
    found = await door.server.database.read(lambda connection: connection.execute(query).all())
    assert [tuple(row) for row in found] == [("9001", "pending_ship", "77", "10001", "9.90")]
    said = await door.server.database.read(lambda connection: set(connection.scalars(select(once_replies.c.chat_id))))
    assert said == {"55501", "55502"}
    (goods,) = await door.server.goods.store.list(1)
    assert (goods.name, goods.kind.value, goods.active) == ("月卡", "stock", True)
    assert sum((await door.server.goods.store.counts([goods.id]))[goods.id].values()) == 2
    (channel,) = await door.server.notices.channels.list(1)
    assert (channel.name, channel.service, channel.active) == ("群", "bark", False)
    assert (await door.server.notices.channels.subscription(channel.id)).accounts == ("afu",)


async def test_g1_a_shop_that_has_no_counterpart_for_a_ban_stays_off_when_the_rest_is_turned_on(
    empty: Door, tmp_path: Path
) -> None:
    rows = a_small_database(
        account(1),
        account(2, proxy_type="socks4", proxy_host="192.0.2.9", proxy_port=1080),
        account(3, proxy_type="http", proxy_host="192.0.2.9", proxy_port=3128),
        account(4, owner_id=2),
    )
    end = {"expire_at": "2027-01-01 00:00:00"}
    rows["xy_users"] = [
        {**rows["xy_users"][0], "expire_at": None},
        {**rows["xy_users"][0], "id": 2, "username": "lan", "email": "lan@example.com", **end},
    ]
    here = await moved(empty, tmp_path, rows)
    stays = {one["id"]: one["stays_off"] for one in here.run["was_on"]}
    assert [name for name, why in stays.items() if why is None] == ["shop1", "shop3"]
    assert "proxy" in stays["shop2"]
    assert here.reports("proxy_unusable")
    assert here.reports("owner_ends")
    assert here.run["rows"][0]["code"] in {"proxy_unusable", "owner_ends"}, "what forbids stands first"
    token = await empty.server.sessions.open(1, 3600)
    async with served(empty) as url:
        code, said = await in_shell(url, token, "import", "start", str(here.run["id"]), "--yes")
    assert code == 0, said
    assert "shop2" in said
    accounts = empty.server.manager.accounts
    assert {name for name, one in accounts.items() if one.enabled} == {"shop1", "shop3"}
    assert accounts["shop2"].proxy == ""
    again = await moved(empty, tmp_path, rows)
    assert {one["id"]: one["stays_off"] for one in again.run["was_on"]}["shop2"] == stays["shop2"]
    started = await empty.call("POST", f"/imports/{again.run['id']}/start", json={"old_system_stopped": True})
    assert {one["id"]: one["outcome"] for one in started["items"]} == {"shop2": "stays_off", "shop4": "stays_off"}
    await empty.call("PUT", "/cookies/shop2/status", json={"enabled": True})  # its owner decides
    assert empty.server.manager.account("shop2").enabled


async def test_g1_a_code_that_other_goods_here_have_waits_also_when_its_first_card_is_gone(
    empty: Door, tmp_path: Path
) -> None:
    store, imports = empty.server.goods.store, empty.server.goods.imports
    mine = await store.create(1, {"name": "手工", "kind": GoodsKind.STOCK}, By(actor="user:admin", op_id="1"))
    for number, code in enumerate(("H-1", "V-1")):
        await imports.run(mine, lines_of_list([code]), By(actor="user:admin", op_id=f"lines {number}"))
    units = await empty.server.goods.units.list(mine)
    by = By(actor="user:admin", op_id="void")
    await empty.server.goods.units.move(mine, units[1].id, UnitState.VOID, by, reason="sold elsewhere")
    card = {"user_id": 1, "type": "data", "enabled": 1, "is_multi_spec": 0, "item_id": None}
    cards = [
        {"id": 7, "name": "甲", "data_content": "A-1\nS-1\nH-1", **card},
        {"id": 8, "name": "乙", "data_content": "S-1\nB-1\nV-1", **card},
    ]
    here = await moved(empty, tmp_path, a_small_database(xy_cards=cards))
    waiting = {row["row"]: row["detail"] for row in here.run["rows"] if row["code"] == "unit_twice"}
    assert list(waiting) == ["id=7 甲 line 3", "id=8 乙 line 1"]
    assert "手工" in waiting["id=7 甲 line 3"]

    async def free() -> dict[str, int]:
        goods = await store.list(1)
        counts = await store.counts([one.id for one in goods])
        return {one.name: counts[one.id].get(UnitState.FREE, 0) for one in goods}

    assert await free() == {"手工": 1, "甲": 2, "乙": 2}
    again = await moved(empty, tmp_path, a_small_database(xy_cards=[{**cards[0], "enabled": 0}, cards[1]]))
    assert {row["row"] for row in again.run["rows"] if row["code"] == "unit_twice"} == set(waiting)
    alone = await moved(empty, tmp_path, a_small_database(xy_cards=[cards[1]]))
    assert [row["row"] for row in alone.run["rows"] if row["code"] == "unit_twice"] == ["id=8 乙 line 1"]
    assert await free() == {"手工": 1, "甲": 2, "乙": 2}
