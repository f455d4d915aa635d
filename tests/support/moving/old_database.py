"""Databases of xianyu-auto-reply for tests: its SQLite file, its JSON backup and a dump of its MySQL form."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from support.site.standins import cookie_of

Rows = dict[str, list[dict[str, Any]]]
COLUMNS: dict[str, str] = {
    "users": "id username email password_hash is_active created_at updated_at",
    "cookies": "id value user_id auto_confirm remark pause_duration username password show_browser created_at",
    "cookie_status": "cookie_id enabled updated_at",
    "keywords": "cookie_id keyword reply item_id type image_url",
    "default_replies": "cookie_id enabled reply_content reply_once created_at updated_at",
    "default_reply_records": "id cookie_id chat_id replied_at",
    "item_replay": "id item_id cookie_id reply_content created_at updated_at",
    "item_info": "id cookie_id item_id item_title item_price is_multi_spec multi_quantity_delivery",
    "cards": "id name type api_config text_content data_content image_url description enabled delay_seconds "
    "is_multi_spec spec_name spec_value user_id created_at updated_at",
    "delivery_rules": "id keyword card_id delivery_count enabled description delivery_times user_id",
    "orders": "order_id item_id buyer_id spec_name spec_value quantity amount order_status cookie_id created_at",
    "ai_reply_settings": "cookie_id ai_enabled model_name api_key base_url max_discount_percent max_discount_amount "
    "max_bargain_rounds custom_prompts",
    "notification_channels": "id name user_id type config enabled created_at",
    "message_notifications": "id cookie_id channel_id enabled",
    "system_settings": "key value description",
    "user_settings": "id user_id key value description",
}
"""The columns of version 1.5 that are read, and some beside them."""


def sha256(password: str) -> str:
    """The hash that the old system keeps of a password."""
    return hashlib.sha256(password.encode()).hexdigest()


def an_old_shop() -> Rows:
    """Two users, three shops, and something of everything; nothing in it is odd, but what is always said."""
    return {
        "users": [
            {"id": 1, "username": "admin", "email": "admin@localhost", "password_hash": sha256("admin123")},
            {"id": 2, "username": "lan", "email": "lan@example.com", "password_hash": sha256("a long word")},
        ],
        "cookies": [
            {"id": "afu", "value": cookie_of(701), "user_id": 1, "auto_confirm": 0, "remark": "阿福",
             "pause_duration": 5},
            {"id": "bei", "value": cookie_of(702), "user_id": 1, "auto_confirm": 0, "pause_duration": 10},
            {"id": "lan1", "value": cookie_of(703), "user_id": 2, "auto_confirm": 0},
        ],
        "cookie_status": [{"cookie_id": "bei", "enabled": 0}],
        "keywords": [
            {"cookie_id": "afu", "keyword": "价格", "reply": "{send_user_name} 不议价", "type": "text"},
            {"cookie_id": "afu", "keyword": "包邮", "reply": "包邮的", "item_id": "10001", "type": None},
            {"cookie_id": "lan1", "keyword": "在吗", "reply": "在的", "item_id": ""},
        ],
        "default_replies": [{"cookie_id": "afu", "enabled": 1, "reply_content": "稍等", "reply_once": 1}],
        "default_reply_records": [{"id": 1, "cookie_id": "afu", "chat_id": "55501"}],
        "item_replay": [{"id": 1, "item_id": "10001", "cookie_id": "afu", "reply_content": "现货"}],
        "cards": [
            {"id": 1, "name": "网盘", "type": "text", "text_content": "链接 abc", "enabled": 1, "user_id": 1},
            {"id": 2, "name": "月卡", "type": "data",
             "data_content": "A-1\nA-2\nA-3",
             "description": "卡密：{DELIVERY_CONTENT}", "enabled": 1, "delay_seconds": 3, "user_id": 1,
             "created_at": "2026-01-01 00:00:00"},
        ],
        "delivery_rules": [
            {"id": 1, "keyword": "资料", "card_id": 1, "delivery_count": 1, "enabled": 1, "user_id": 1},
            {"id": 2, "keyword": "月卡", "card_id": 2, "delivery_count": 2, "enabled": 1, "user_id": 1},
        ],
        "orders": [
            {"order_id": "9001", "item_id": "10001", "buyer_id": "77", "quantity": "1", "amount": "9.90",
             "order_status": "pending_ship", "cookie_id": "afu", "created_at": "2026-02-01 10:00:00"},
        ],
        "notification_channels": [
            {"id": 1, "name": "群", "user_id": 1, "type": "bark", "enabled": 1,
             "config": json.dumps({"device_key": "k" * 22, "server_url": "https://api.day.app"})},
        ],
        "message_notifications": [{"id": 1, "cookie_id": "afu", "channel_id": 1, "enabled": 1}],
        "system_settings": [{"key": "db_version", "value": "1.5"}],
    }  # fmt: skip


def write_sqlite(path: Path, rows: Rows, *, without: frozenset[str] = frozenset()) -> Path:
    """Write the SQLite file. ``without``: columns that an older version lacks."""
    with closing(sqlite3.connect(path)) as made:
        for table, names in COLUMNS.items():
            columns = [name for name in names.split() if name not in without]
            made.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            for row in rows.get(table, ()):
                values = [row.get(name) for name in columns]
                marks = ", ".join("?" * len(columns))
                made.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608
        made.commit()
    return path


def write_json(path: Path, rows: Rows) -> Path:
    """Write the backup that its console makes."""
    data = {
        table: {
            "columns": names.split(),
            "rows": [[row.get(name) for name in names.split()] for row in rows.get(table, ())],
        }
        for table, names in COLUMNS.items()
    }
    path.write_text(
        json.dumps({"version": "1.0", "timestamp": 1.0, "data": data}, ensure_ascii=False), encoding="utf-8"
    )
    return path


def literal(value: Any) -> str:
    """A value as ``mysqldump`` writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    for plain, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0"), ("\x1a", "\\Z")):
        text = text.replace(plain, escaped)
    return f"'{text}'"


def dump_of(tables: Rows) -> str:
    """A dump of tables: one of them without the names of its columns in its INSERT."""
    parts = ["-- MySQL dump 10.13\n/*!40101 SET NAMES utf8mb4 */;\n"]
    for number, (table, rows) in enumerate(tables.items()):
        columns = list(rows[0])
        kinds = ",\n".join(f"  `{name}` text COMMENT 'a, (b)'" for name in columns)
        parts.append(
            f"DROP TABLE IF EXISTS `{table}`;\nCREATE TABLE `{table}` (\n{kinds},\n"
            f"  PRIMARY KEY (`{columns[0]}`)\n) ENGINE=InnoDB;\n"
        )
        named = "" if number % 2 else f" ({', '.join(f'`{name}`' for name in columns)})"
        values = ",\n".join(f"({','.join(literal(row.get(name)) for name in columns)})" for row in rows)
        parts.append(f"LOCK TABLES `{table}` WRITE;\nINSERT INTO `{table}`{named} VALUES {values};\nUNLOCK TABLES;\n")
    parts.append("-- Dump completed on 2026-01-01  0:00:00\n")
    return "".join(parts)
