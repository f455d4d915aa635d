"""Files of xianyu-auto-reply: its SQLite file, its backup and its MySQL dump say the same; what is none says so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.errors import InvalidInput
from shoal.maintenance.moving.contract import contract_of
from shoal.maintenance.moving.legacy import TABLES
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.plan import KIND_OF
from shoal.maintenance.moving.upload_parts import parts_of
from support.moving.old_database import an_old_shop, dump_of, write_json, write_sqlite
from support.site.standins import cookie_of


def refused(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_old_file(path)
    return caught.value.code


def test_the_sqlite_file_and_the_backup_say_the_same(tmp_path: Path) -> None:
    rows = an_old_shop()
    first = read_old_file(write_sqlite(tmp_path / "xianyu_data.db", rows))
    assert first == read_old_file(write_json(tmp_path / "backup.json", rows))
    assert [account.id for account in first.accounts] == ["afu", "bei", "lan1"]
    assert [account.was_on for account in first.accounts] == [True, False, True]
    assert [rule.keyword for rule in first.accounts[0].rules] == ["价格", "包邮"]
    assert first.version == "1.5"
    assert not first.oddities


def test_columns_that_an_older_version_lacks_have_their_defaults(tmp_path: Path) -> None:
    lacking = frozenset({"pause_duration", "remark", "type", "image_url", "reply_once", "is_multi_spec", "user_id"})
    old = read_old_file(write_sqlite(tmp_path / "old.db", an_old_shop(), without=lacking))
    assert old.accounts[0].pause_duration is None
    assert old.accounts[0].user_id == ""
    assert [rule.reply for rule in old.accounts[0].rules] == ["{send_user_name} 不议价", "包邮的"]


def test_a_dump_of_the_mysql_form_says_the_same_of_accounts_rules_cards_and_orders(tmp_path: Path) -> None:
    said = "引号 ' 和 \\ 还有\n换行；), ("
    tables = {
        "xy_users": [{"id": 1, "username": "admin", "email": "a@b.c", "password_hash": "$2b$12$x", "status": "ACTIVE"}],
        "xy_accounts": [
            {"id": 31, "owner_id": 1, "account_id": "afu", "cookie": cookie_of(701), "status": "active",
             "remark": None, "pause_duration": 10, "auto_confirm": 1},
            {"id": 32, "owner_id": 1, "account_id": "bei", "cookie": cookie_of(702), "status": "disabled",
             "remark": "贝", "pause_duration": 0, "auto_confirm": 0},
        ],
        "xy_keyword_rules": [
            {"id": 1, "account_id": 31, "keyword": "价格", "reply_content": said, "reply_type": "text", "item_id": None,
             "is_active": 1},
            {"id": 2, "account_id": 31, "keyword": "包邮", "reply_content": "是", "reply_type": "text",
             "item_id": "10001", "is_active": 0},
        ],
        "xy_default_replies": [
            {"id": 1, "account_id": "afu", "item_id": None, "enabled": 1, "reply_content": "稍等", "reply_once": 0},
            {"id": 2, "account_id": "afu", "item_id": "10001", "enabled": 1, "reply_content": "现货", "reply_once": 0},
        ],
        "xy_cards": [
            {"id": 7, "user_id": 1, "item_id": "10003", "name": "月卡", "type": "data", "data_content": "A-1\nA-2",
             "enabled": 1, "delay_seconds": 0},
        ],
        "xy_card_item_relations": [{"id": 1, "user_id": 1, "card_id": 7, "item_id": "10002"}],
        "xy_catalog_items": [{"id": 1, "account_id": "afu", "item_id": "10001", "title": "手机壳"}],
        "xy_orders": [{"id": 1, "owner_id": 1, "order_no": "9001", "status": "pending_ship", "account_id": "afu"}],
    }  # fmt: skip
    path = tmp_path / "dump.sql"
    path.write_text(dump_of(tables), encoding="utf-8")
    old = read_old_file(path)
    afu, bei = old.accounts
    assert (afu.was_on, bei.was_on, afu.auto_confirm, bei.pause_duration) == (True, False, True, 0)
    assert [(rule.keyword, rule.reply, rule.item_id, rule.is_on) for rule in afu.rules] == [
        ("价格", said, "", True), ("包邮", "是", "10001", False)
    ]  # fmt: skip
    assert afu.default_reply is not None
    assert (afu.default_reply.text, afu.item_replies[0].text) == ("稍等", "现货")
    assert [(rule.card_id, rule.item_id) for rule in old.delivery_rules] == [("7", "10002"), ("7", "10003")]
    assert old.cards[0].content == "A-1\nA-2"
    assert [order.order_id for order in afu.orders] == ["9001"]
    assert [(item.item_id, item.title) for item in afu.items] == [("10001", "手机壳")]
    assert old.users[0].password_hash == "$2b$12$x"
    assert {odd.code for odd in old.oddities} == {"columns_unused", "general_cards"}


def test_d2_files_that_are_none_of_these_are_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data, code in (
        (b"", "moving_empty_file"),
        (b"PK\x03\x04 no archive", "moving_unknown_file"),
        (b'{"data": ', "moving_not_json"),
        (b'{"version": 1}', "moving_no_tables"),
        (b'{"data": {"other": {}}}', "moving_other_database"),
        (b"CREATE TABLE x (a int);\nINSERT INTO `keywords` VALUES (1,'cut", "moving_dump_cut_off"),
        (b"SQLite format 3\x00" + b"\xff" * 4000, "moving_damaged"),
    ):
        path.write_bytes(data)
        assert refused(path) == code
    with closing(sqlite3.connect(tmp_path / "other.db")) as made:
        made.execute("CREATE TABLE things (a)")
    assert refused(tmp_path / "other.db") == "moving_other_database"
    assert refused(tmp_path / "missing") == "moving_unreadable"


def test_a_damaged_page_loses_the_rest_of_its_table_and_says_so(tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["keywords"] = [{"cookie_id": "afu", "keyword": f"词{number}", "reply": "x" * 300} for number in range(400)]
    path = write_sqlite(tmp_path / "damaged.db", rows)
    data = bytearray(path.read_bytes())
    where = data.rfind("词200".encode()) // 4096 * 4096
    data[where : where + 4096] = b"\xee" * 4096
    path.write_bytes(bytes(data))
    old = read_old_file(path)
    (odd,) = [odd for odd in old.oddities if odd.code == "table_damaged"]
    assert odd.table == "keywords"
    assert 0 < len(old.accounts[0].rules) < 400


def test_newer_rows_in_a_log_count_when_it_came_and_are_missed_aloud_when_not(tmp_path: Path) -> None:
    path = write_sqlite(tmp_path / "x.db", an_old_shop())
    with closing(sqlite3.connect(path)) as living:
        living.execute("PRAGMA journal_mode=WAL")
        living.execute("PRAGMA wal_autocheckpoint=0")
        living.execute("INSERT INTO keywords (cookie_id, keyword, reply) VALUES ('bei', '新', '新的')")
        living.commit()
        alone = tmp_path / "alone.db"
        alone.write_bytes(path.read_bytes())
        both = tmp_path / "both.db"
        both.write_bytes(path.read_bytes())
        both.with_name("both.db-wal").write_bytes(path.with_name("x.db-wal").read_bytes())
    missed = read_old_file(alone)
    assert [odd.code for odd in missed.oddities] == ["log_not_seen"]
    assert not missed.accounts[1].rules
    whole = read_old_file(both, with_log=True)
    assert [rule.keyword for rule in whole.accounts[1].rules] == ["新"]
    assert replace(whole, oddities=()) != replace(missed, oddities=())


def test_one_file_is_its_own_part(tmp_path: Path) -> None:
    path = write_sqlite(tmp_path / "x.db", an_old_shop())
    assert parts_of(path).main == path


def test_what_a_database_has_beyond_and_what_no_text_is_are_named(tmp_path: Path) -> None:
    file = write_sqlite(tmp_path / "old.db", an_old_shop())
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE weird (x)")
        made.execute("INSERT INTO weird VALUES (1), (2)")
        made.execute("INSERT INTO keywords (cookie_id, keyword, reply) VALUES ('afu', x'fffe', 'x')")
        made.commit()
    odd = {(one.table, one.code): one for one in read_old_file(file).oddities}
    assert odd["weird", "table_unknown"].params == {"count": 2}
    assert odd["keywords", "text_not_utf8"].row == "keyword=��"


def test_the_rows_of_each_table_are_counted_but_those_that_say_something_of_another_ones() -> None:
    assert set(TABLES) - KIND_OF.keys() == {
        "cookie_status", "default_reply_records", "message_notifications", "xy_message_filter_rules",
        "xy_personal_blacklist",
    }  # fmt: skip
    assert KIND_OF.keys() <= {*TABLES, *contract_of("mysql").tables}
