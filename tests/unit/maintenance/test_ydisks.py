"""What is read of Ydisks-Xianyu-Helper: the tables of its ancestor, and its own rules of paid orders."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import CardKind, Fate, OldShop, Source
from shoal.maintenance.moving.ydisks_form import OldSecrets, StillSealed
from support.moving.sealed_there import KEY, sealed

COOKIE = "unb=2200000000001; cookie2=abc"

_COLUMNS = {
    "goose_db_version": "id version_id",
    "users": "id username email password_hash is_active is_admin",
    "cookies": "id value user_id auto_confirm remark pause_duration",
    "cookie_status": "cookie_id enabled disable_reason",
    "keywords": "id cookie_id keyword reply item_id type image_url",
    "default_replies": "cookie_id enabled reply_content reply_image_url reply_once",
    "item_info": "id cookie_id item_id item_title deleted_at",
    "cards": "id name type api_config text_content data_content image_url description enabled delay_seconds "
    "is_multi_spec spec_name spec_value user_id",
    "automation_rules": "id user_id cookie_id item_id name trigger_type enabled priority deleted_at",
    "automation_rule_actions": "id rule_id action_type card_id delivery_count delay_seconds config_json enabled "
    "sort_order",
    "notification_channels": "id name type config enabled user_id",
    "system_settings": "key value",
    "account_task_settings": "cookie_id auto_rate_enabled auto_polish_enabled",
    "chat_quick_replies": "id cookie_id content",
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    path = tmp_path / "xianyu_data.db"
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode=WAL")
        for table, columns in _COLUMNS.items():
            opened.execute(f"CREATE TABLE {table} ({', '.join(columns.split())})")
        _add(opened, "users", id=1, username="admin", email="a@example.com", password_hash="$2a$10$x", is_admin=1)
        _add(opened, "cookies", id="shop", value=COOKIE, user_id=1, auto_confirm=1, remark="r", pause_duration=5)
        yield path, opened


def _add(opened: sqlite3.Connection, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    opened.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    opened.commit()


def _read(path: Path, key: str = "") -> OldShop:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return read_old_file(path, key=key)


def _odd(shop: OldShop) -> set[tuple[str, str, str]]:
    return {(one.table, one.row, one.code) for one in shop.oddities}


def _rule(opened: sqlite3.Connection, number: int, *actions: dict[str, Any], **values: Any) -> None:
    plain = {
        "user_id": 1,
        "cookie_id": "shop",
        "item_id": "7001",
        "name": f"rule {number}",
        "enabled": 1,
        "priority": 100,
    }
    _add(opened, "automation_rules", **{"id": number, "trigger_type": "order_paid", **plain, **values})
    for place, action in enumerate(actions, 1):
        facts = {
            "rule_id": number,
            "sort_order": place,
            "enabled": 1,
            "config_json": "{}",
            "delivery_count": 1,
            **action,
        }
        _add(opened, "automation_rule_actions", **facts)


def test_shops_and_rules_come_in_the_order_in_which_they_are_checked_there(
    database: tuple[Path, sqlite3.Connection],
) -> None:
    path, opened = database
    for number, word in enumerate(("在吗", "在吗亲", "价格"), 1):
        _add(opened, "keywords", id=number, cookie_id="shop", keyword=word, reply=f"r{number}", type="text")
    _add(opened, "default_replies", cookie_id="shop", enabled=1, reply_content="hi", reply_image_url="/x.png")
    _add(opened, "item_info", id=1, cookie_id="shop", item_id="7001", item_title="会员")
    _add(opened, "item_info", id=2, cookie_id="shop", item_id="7002", item_title="旧", deleted_at="2026-01-01")
    shop = _read(path)
    (account,) = shop.accounts
    assert (shop.source, account.cookie, account.auto_confirm, account.pause_duration) == (
        Source.YDISKS,
        COOKIE,
        True,
        5,
    )
    assert [rule.keyword for rule in account.rules] == ["在吗亲", "在吗", "价格"]  # the longest word first
    assert [item.item_id for item in account.items] == ["7001"]
    assert ("item_info", "id=2", "deleted_there") in _odd(shop)
    assert account.default_reply is not None
    assert (account.default_reply.text, account.default_reply.image) == ("hi", "/x.png")


def test_of_the_rules_of_paid_orders_what_ever_ran_is_taken(database: tuple[Path, sqlite3.Connection]) -> None:
    path, opened = database
    for number, kind in enumerate(("data", "text", "image", "api"), 1):
        config = {
            "url": "https://s.example.com",
            "method": "POST",
            "body": {"o": "{order_id}"},
            "response_path": "data.code",
        }
        around = {"description": "around {DELIVERY_CONTENT}", "delay_seconds": 9}
        content = {"data_content": "A\nB", "text_content": "t", "image_url": "/i.png", "api_config": json.dumps(config)}
        _add(opened, "cards", id=number, name=kind, type=kind, user_id=1, **content, **around)
    spec = json.dumps({"spec_name": "时长", "spec_value": "月卡"})
    _rule(
        opened, 1,
        {"action_type": "send_card", "card_id": 1, "delivery_count": 2, "delay_seconds": 30},
        {"action_type": "send_card", "card_id": 2, "config_json": spec},
        {"action_type": "send_card", "card_id": 3, "config_json": spec},
        {"action_type": "send_text"},
        {"action_type": "confirm_shipment"},
    )  # fmt: skip
    _rule(opened, 2, {"action_type": "send_card", "card_id": 2}, priority=200)
    _rule(opened, 3, {"action_type": "send_card", "card_id": 4}, item_id="", enabled=0)
    _rule(opened, 4, {"action_type": "adjust_price"}, trigger_type="order_created")
    _rule(opened, 5, {"action_type": "send_text"}, trigger_type="buyer_reviewed")
    _rule(opened, 6, {"action_type": "send_card", "card_id": 1}, deleted_at="2026-01-01")
    shop = _read(path)
    taken = {
        (one.card_id, one.item_id, one.spec_value, one.count, one.delay_seconds, one.confirm, one.is_on)
        for one in shop.delivery_rules
    }
    assert taken == {
        ("1", "7001", "", 2, 30, None, True),
        ("2", "7001", "月卡", 1, 0, None, True),
        ("4", "", "", 1, 0, "no", False),
    }
    assert {one.kind: (one.description, one.delay_seconds) for one in shop.cards} == dict.fromkeys(CardKind, ("", 0))
    (call,) = (one for one in shop.cards if one.kind is CardKind.API)
    assert json.loads(call.content) == {
        "url": "https://s.example.com",
        "method": "POST",
        "params": {"o": "{order_id}"},
        "timeout": 20,
        "code_path": "data.code",
    }
    assert {code for _, _, code in _odd(shop)} >= {
        "second_card", "action_never_ran", "specs_add_up", "rule_never_ran", "price_rule", "gift_rule", "deleted_there",
        "api_card",
    }  # fmt: skip


def test_what_is_sealed_is_taken_with_the_key_and_reported_without(database: tuple[Path, sqlite3.Connection]) -> None:
    path, opened = database
    opened.execute("UPDATE cookies SET value = ?", (sealed("cookie", "shop", COOKIE),))
    _add(
        opened,
        "notification_channels",
        id=3,
        name="n",
        type="bark",
        config=sealed("notification-config", "1", "{}"),
        user_id=1,
    )
    _add(opened, "system_settings", key="ai_api_key", value=sealed("system-setting", "ai_api_key", "sk-1"))
    opened.commit()
    with_key = _read(path, KEY)
    assert [one.cookie for one in with_key.accounts] == [COOKIE]
    assert [one.config for one in with_key.channels] == ["{}"]
    assert with_key.waiting == {"ai_api_key": "sk-1"}
    for key in ("", "another key"):
        without = _read(path, key)
        assert (without.accounts, without.channels, dict(without.waiting)) == ((), (), {})
        assert {
            ("cookies", "id=shop", "sealed_there"),
            ("notification_channels", "id=3", "sealed_there"),
            ("system_settings", "key=ai_api_key", "sealed_there"),
        } <= _odd(without)


@pytest.mark.parametrize("value", ["enc:v1:", "enc:v1:!!!", "enc:v1:QUJD"])
def test_a_broken_seal_is_no_value(value: str) -> None:
    with pytest.raises(StillSealed):
        OldSecrets(KEY).opened("cookie", "shop", value)


def test_what_works_otherwise_here_is_named_row_by_row(database: tuple[Path, sqlite3.Connection]) -> None:
    path, opened = database
    _add(opened, "account_task_settings", cookie_id="shop", auto_rate_enabled=1, auto_polish_enabled=1)
    _add(opened, "chat_quick_replies", id=8, cookie_id="shop", content="x")
    _add(opened, "system_settings", key="theme_color", value="blue")
    shop = _read(path)
    assert {
        ("account_task_settings", "auto_rate_enabled: shop", "auto_rating"),
        ("account_task_settings", "auto_polish_enabled: shop", "auto_polishing"),
        ("chat_quick_replies", "", "quick_reply"),
    } <= _odd(shop)
    assert {one.fate for one in shop.oddities} <= set(Fate)
