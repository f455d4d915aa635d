"""What a dump of a PostgreSQL or MySQL database of Ydisks-Xianyu-Helper says is what its SQLite file says.

The dumps of PostgreSQL are made by its own ``pg_dump``.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from shoal.errors import InvalidInput
from shoal.maintenance.moving.contract import COLUMNS_UNUSED, TABLE_UNUSED
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import OldShop, Source
from support.databases.postgres_server import Postgres
from support.moving.old_database import Rows, dump_of
from support.site.standins import cookie_of

NASTY = "引号 ' 和 \" 和 \\ 和 \\N 和 \\.\n换行\r\n\t制表；$$ ), (-- x \x0b\u2028“价”"
COPY = "COPY x (a) FROM stdin;"
TABLES: Rows = {
    "users": [{"id": 1, "username": "admin", "email": "a@example.com", "password_hash": "$2a$10$x", "is_admin": 1}],
    "cookies": [
        {"id": "afu", "value": cookie_of(701), "user_id": 1, "auto_confirm": 1, "remark": NASTY, "pause_duration": 5},
        {"id": "bei", "value": cookie_of(702), "user_id": 1, "auto_confirm": 0, "remark": "", "pause_duration": 0},
    ],
    "cookie_status": [{"cookie_id": "bei", "enabled": 0}],
    "keywords": [
        {"id": 1, "cookie_id": "afu", "keyword": "\\N", "reply": NASTY, "item_id": None, "type": "text"},
        {"id": 2, "cookie_id": "afu", "keyword": "\\.", "reply": COPY, "item_id": "", "type": "text"},
    ],
    "cards": [
        {"id": 7, "name": "月卡", "type": "data", "data_content": "A-1\nB\\2\n", "text_content": None, "enabled": 1,
         "user_id": 1},
    ],
    "automation_rules": [
        {"id": 1, "user_id": 1, "cookie_id": "afu", "item_id": "7001", "name": "规则", "trigger_type": "order_paid",
         "enabled": 1, "priority": -5, "deleted_at": None},
    ],
    "automation_rule_actions": [
        {"id": 1, "rule_id": 1, "action_type": "send_card", "card_id": 7, "delivery_count": 2, "delay_seconds": 30,
         "config_json": json.dumps({"spec_name": "时长", "spec_value": "月'卡"}, ensure_ascii=False), "enabled": 1,
         "sort_order": 1},
    ],
    "item_info": [{"id": 1, "cookie_id": "afu", "item_id": "7001", "item_title": "会员", "deleted_at": None}],
    "orders": [{"order_id": "9001", "cookie_id": "afu", "order_status": "pending_ship", "amount": "1.50"}],
    "ws_messages": [{"id": 1, "raw_text": NASTY}, {"id": 2, "raw_text": "x"}],
}  # fmt: skip
"""As that system has them, with numbers for yes and no."""


def from_sqlite(path: Path) -> OldShop:
    with closing(sqlite3.connect(path)) as opened:
        for table, rows in TABLES.items():
            opened.execute(f"CREATE TABLE {table} ({', '.join(rows[0])})")
            marks = ", ".join("?" * len(rows[0]))
            opened.executemany(f"INSERT INTO {table} VALUES ({marks})", [tuple(row.values()) for row in rows])  # noqa: S608
        opened.commit()
    return read_old_file(path)


def fill(postgres: Postgres, name: str) -> None:
    with postgres.administrator(name) as connection:
        for table, rows in TABLES.items():
            kinds = {column: "bigint" if isinstance(value, int) else "text" for column, value in rows[0].items()}
            columns = [sql.SQL("{} {}").format(sql.Identifier(one), sql.SQL(kind)) for one, kind in kinds.items()]
            connection.execute(
                sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), sql.SQL(", ").join(columns))
            )
            for row in rows:
                values = sql.SQL(", ").join(map(sql.Literal, row.values()))
                connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), values))
        connection.execute("CREATE TABLE empty_there (a text)")
        connection.execute(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ begin INSERT INTO keywords VALUES ('$'); end $$"
        )
        connection.execute("CREATE TRIGGER t BEFORE INSERT ON keywords FOR EACH ROW EXECUTE FUNCTION f()")
        connection.execute("GRANT INSERT, SELECT ON keywords TO PUBLIC")


def same(found: OldShop) -> OldShop:
    """Without the order of what is told about it."""
    return replace(found, oddities=tuple(sorted(found.oddities, key=repr)))


def test_the_dump_of_pg_dump_in_each_of_its_forms_says_what_the_sqlite_file_says(
    postgres: Postgres, tmp_path: Path
) -> None:
    expected = same(from_sqlite(tmp_path / "x.db"))
    assert expected.source is Source.YDISKS
    assert [rule.reply for rule in expected.accounts[0].rules] == [NASTY, COPY]
    (messages,) = [one for one in expected.oddities if one.code != COLUMNS_UNUSED]
    assert (messages.table, messages.code, messages.params["count"]) == ("ws_messages", TABLE_UNUSED, 2)
    with postgres.database() as url:
        fill(postgres, url.split("@/")[1].split("?")[0])
        for options in (
            (),
            ("--inserts",),
            ("--column-inserts",),
            ("--inserts", "--rows-per-insert=2"),
            ("--data-only",),
        ):
            path = tmp_path / "shop.sql"
            whole = postgres.dump(url, *options)
            path.write_bytes(whole)
            assert same(read_old_file(path)) == expected, options
            path.write_bytes(whole.decode().encode("utf-16"))  # as PowerShell writes it
            assert same(read_old_file(path)) == expected, options
            for part in (3, 7, 9):
                path.write_bytes(whole[: len(whole) * part // 10])
                with pytest.raises(InvalidInput) as refused:
                    read_old_file(path)
                assert refused.value.code == "moving_dump_cut_off"
        path.write_bytes(postgres.dump(url, "--exclude-table-data=ws_messages", "--exclude-table-data=chat_messages"))
        without = tuple(one for one in expected.oddities if one != messages)
        assert same(read_old_file(path)) == replace(expected, oddities=without)
        path.write_bytes(postgres.dump(url, "-Fc"))
        with pytest.raises(InvalidInput) as refused:
            read_old_file(path)
        assert refused.value.code == "moving_pg_archive"
        path.write_bytes(postgres.dump(url, "--schema-only"))
        with pytest.raises(InvalidInput) as refused:
            read_old_file(path)
        assert refused.value.code == "moving_no_inserts"


def test_the_dump_of_mysql_says_what_the_sqlite_file_says(tmp_path: Path) -> None:
    expected = same(from_sqlite(tmp_path / "x.db"))
    path = tmp_path / "shop.sql"
    path.write_text(dump_of(TABLES), encoding="utf-8", newline="")
    assert same(read_old_file(path)) == expected
    whole = dump_of(TABLES)
    path.write_text(whole[: whole.index("-- Dump completed")], encoding="utf-8", newline="")
    with pytest.raises(InvalidInput) as refused:
        read_old_file(path)
    assert refused.value.code == "moving_dump_cut_off"
