"""Contracts with other systems: what they say is what is read, and what they do not name is reported."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shoal.maintenance.moving import legacy, mysql_form, ydisks_form
from shoal.maintenance.moving.contract import CONTRACTS, Contract, contract_of
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import Oddity
from shoal.maintenance.moving.tables import OldRow, OldTables
from support.moving.old_database import Rows, an_old_shop, dump_of, write_sqlite
from support.moving.today_database import a_small_database
from support.site.standins import cookie_of

READERS: Mapping[str, Callable[[OldTables], object]] = {
    "sqlite": legacy.old_shop_of,
    "mysql": lambda tables: legacy.old_shop_of(mysql_form.as_sqlite_form(tables)),
    "ydisks": lambda tables: legacy.old_shop_of(ydisks_form.as_sqlite_form(tables)),
}
VALUES: Mapping[str, Any] = {
    "value": cookie_of(1), "cookie": cookie_of(1), "type": "text", "reply_type": "text", "username": "admin",
    "trigger_type": "order_paid", "action_type": "send_card", "config_json": "{}", "config": "{}", "source": "own",
    "deleted_at": None, "filter_type": "skip_reply", "paused_until": 1, "dock_record_id": 0, "image_urls": "[]",
    "proxy_type": "http",
}  # fmt: skip
"""Values by which a reader looks at all of a row; others are 1."""
VARIANTS: Mapping[str, list[dict[str, Any]]] = {
    "keywords": [{"type": "image"}],
    "xy_keyword_rules": [{"reply_type": "image"}, {"account_id": None}],
    "cards": [{"type": kind} for kind in ("data", "image", "api")],
    "default_replies": [{"item_id": ""}, {"item_id": "", "reply_image": ""}, {"reply_once": 0}],
    "xy_accounts": [{"only_send_card": 0}],
    "xy_orders": [{"placed_at": None}],
    "xy_message_notifications": [{"account_identifier": None}],
    "xy_personal_blacklist": [{"cookie_id": None}],
    "xy_message_filter_rules": [{"cookie_id": None}],
}
"""More rows of tables in which one value decides which others count."""


@pytest.mark.parametrize("name", READERS)
def test_g1_each_column_that_a_contract_takes_is_read_and_no_other_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = contract_of(name)
    tables, owner = OldTables(), dict[int, tuple[str, Mapping[str, Any]]]()
    for table, columns in contract.tables.items():
        for more in ({}, *VARIANTS.get(table, ())):
            number, values = 1000 + len(owner), {column: VALUES.get(column, "1") for column in columns.named} | more
            owner[number] = table, values
            tables.rows.setdefault(table, []).append(OldRow(number, values))
    read: set[tuple[str, str]] = set()
    text = OldRow.text

    def noting(row: OldRow, column: str) -> str:
        table, values = owner.get(row.number, ("", {}))
        if column in values and row.values.get(column) == values[column]:  # not what a form puts in its place
            read.add((table, column))
        return text(row, column)

    monkeypatch.setattr(Contract, "apply", lambda _, given: given)
    monkeypatch.setattr(OldRow, "text", noting)
    READERS[name](tables)
    taken = {(table, column): what for table, one in contract.tables.items() for column, what in one.taken.items()}
    needed = {place for place, what in taken.items() if what != "row of the report"}
    assert needed - read == set(), "the contract takes what nobody reads"
    others = {(table, column) for table, one in contract.tables.items() for column in one.named} - taken.keys()
    assert read & others == set(), "what is read is not taken by the contract"


@pytest.mark.parametrize("name", CONTRACTS)
def test_g1_a_contract_says_one_thing_of_each_column(name: str) -> None:
    contract = contract_of(name)
    for table, columns in contract.tables.items():
        said = [*columns.taken, *columns.reported, *columns.unused.split()]
        assert len(said) == len(set(said)), table
        assert set(columns.row.split()) <= set(said), table
        assert set(columns.usual) <= set(columns.reported), table
    assert not set(contract.unused.split()) & {*contract.reported, *contract.tables}


def with_more(rows: Rows) -> Rows:
    """The rows with a column and a table that no version has; the column says 0."""
    return {
        **{table: [{**row, "may_deliver": 0} for row in found] for table, found in rows.items()},
        "bans": [{"id": 1, "buyer": "77"}, {"id": 2, "buyer": "78"}],
    }


@pytest.mark.parametrize("name", READERS)
def test_a_value_that_is_usual_is_not_reported_and_another_one_is(name: str) -> None:
    contract = contract_of(name)
    for table, columns in contract.tables.items():
        for column, usual in columns.usual.items():
            for value, is_said in ((usual, False), (f"not {usual}", True)):
                tables = OldTables()
                tables.rows[table] = [OldRow(1, {column: value})]
                found = contract.apply(tables)
                assert (columns.reported[column] in {odd.code for odd in found.oddities}) is is_said, (column, value)


def in_sqlite(path: Path, rows: Rows) -> Path:
    with closing(sqlite3.connect(path)) as made:
        for table, found in rows.items():
            made.execute(f"CREATE TABLE {table} ({', '.join(found[0])})")
            marks = ", ".join("?" * len(found[0]))
            made.executemany(f"INSERT INTO {table} VALUES ({marks})", [tuple(row.values()) for row in found])  # noqa: S608
        made.commit()
    return path


def in_json(path: Path, rows: Rows) -> Path:
    data = {
        table: {"columns": list(found[0]), "rows": [list(row.values()) for row in found]}
        for table, found in rows.items()
    }
    path.write_text(json.dumps({"version": "1.0", "data": data}), encoding="utf-8")
    return path


def in_dump(path: Path, rows: Rows) -> Path:
    path.write_text(dump_of(rows), encoding="utf-8")
    return path


PAID_RULE = {"id": 1, "name": "r", "cookie_id": "afu", "trigger_type": "order_paid"}


def old_rows(**more: list[dict[str, Any]]) -> Rows:
    return {"cookies": [{"id": "afu", "value": cookie_of(1), "user_id": 1}], **more}


@pytest.mark.parametrize(
    ("write", "rows"),
    [
        (in_sqlite, old_rows(keywords=[{"cookie_id": "afu", "keyword": "a", "reply": "b"}])),
        (in_json, old_rows(keywords=[{"cookie_id": "afu", "keyword": "a", "reply": "b"}])),
        (in_dump, a_small_database()),
        (in_sqlite, old_rows(automation_rules=[PAID_RULE])),
        (in_dump, old_rows(automation_rules=[PAID_RULE])),
    ],
    ids=["sqlite", "json", "mysql", "ydisks-sqlite", "ydisks-mysql"],
)  # fmt: skip
def test_g1_a_column_and_a_table_that_a_contract_does_not_name_are_reported(
    tmp_path: Path, write: Callable[[Path, Rows], Path], rows: Rows
) -> None:
    found = reported(read_old_file(write(tmp_path / "old", with_more(rows))).oddities)
    for table, lines in rows.items():
        odd = found[table, "column_unknown"]
        assert odd.row.startswith("may_deliver: "), odd
        assert odd.params["count"] == len(lines)
    assert found["bans", "table_unknown"].params == {"count": 2}


def reported(oddities: tuple[Oddity, ...]) -> dict[tuple[str, str], Oddity]:
    return {(one.table, one.code): one for one in oddities}


def test_g1_tables_that_are_known_say_what_they_are(tmp_path: Path) -> None:
    rows = old_rows(
        token_cache=[{"id": 1}], xy_platform_blacklist=[{"id": 1, "user_id": 1}],
        data_card_reservations=[{"id": 1, "card_id": 1}, {"id": 2, "card_id": 1}],
    )  # fmt: skip
    found = reported(read_old_file(in_sqlite(tmp_path / "old.db", rows)).oddities)
    assert found["token_cache", "table_unused"].params == {"count": 1}
    assert found["data_card_reservations", "reserved_codes"].params == {"count": 2}
    assert ("xy_platform_blacklist", "site_blacklist") in found


def test_g1_what_a_descendant_forbids_keeps_the_shops_off_for_which_it_counts(tmp_path: Path) -> None:
    rows = old_rows(
        xy_personal_blacklist=[
            {"id": 1, "user_id": 2, "cookie_id": None, "buyer_id": "77", "is_enabled": 1},
            {"id": 2, "user_id": 9, "cookie_id": "bei", "buyer_id": "78", "is_enabled": 1},
            {"id": 3, "user_id": 1, "cookie_id": None, "buyer_id": "79", "is_enabled": 0},
        ],
        xy_message_filter_rules=[{"id": 1, "user_id": 1, "cookie_id": "cai", "name": "f", "is_enabled": 1}],
    )
    rows["cookies"] = [
        {"id": name, "value": cookie_of(number), "user_id": user}
        for number, (name, user) in enumerate((("afu", 1), ("bei", 1), ("cai", 1), ("dan", 2)), 1)
    ]
    shops = read_old_file(in_sqlite(tmp_path / "old.db", rows)).accounts
    assert {shop.id: shop.holds for shop in shops} == {
        "afu": (), "bei": ("blacklist_there",), "cai": ("filters_there",), "dan": ("blacklist_there",),
    }  # fmt: skip


def test_g1_replies_of_items_among_the_default_replies_of_the_sqlite_form_are_the_items_own(tmp_path: Path) -> None:
    same = {"cookie_id": "afu", "enabled": 1, "reply_once": 0, "reply_image_url": None}
    rows = old_rows(
        default_replies=[
            {"id": 1, "item_id": None, "reply_content": "稍等", **same},
            {"id": 2, "item_id": "10001", "reply_content": "现货", **same},
            {"id": 3, "item_id": "10002", "reply_content": "一次", **same, "reply_once": 1},
            {"id": 4, "item_id": "10003", "reply_content": "停", **same, "enabled": 0},
        ]
    )
    old = read_old_file(in_sqlite(tmp_path / "old.db", rows))
    (shop,) = old.accounts
    assert shop.default_reply is not None
    assert (shop.default_reply.text, [reply.text for reply in shop.item_replies]) == ("稍等", ["现货"])
    assert {odd.code for odd in old.oddities} >= {"item_reply_once", "item_reply_off"}


def test_g1_of_a_proxy_that_was_switched_off_the_report_says_so_and_a_second_spec_counts(tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["cards"] = [
        {"id": 1, "name": "双", "type": "data", "data_content": "A", "user_id": 1, "is_multi_spec": 1,
         "spec_name": "时长", "spec_value": "月卡"},
    ]  # fmt: skip
    path = write_sqlite(tmp_path / "old.db", rows)
    with closing(sqlite3.connect(path)) as made:
        for table, columns in (
            ("cookies", ("proxy_type", "proxy_host", "proxy_port")),
            ("cards", ("spec_name_2", "spec_value_2")),
        ):
            for column in columns:
                made.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        made.execute("UPDATE cookies SET proxy_type = 'none', proxy_host = '192.0.2.1' WHERE id = 'afu'")
        made.execute(
            "UPDATE cookies SET proxy_type = 'http', proxy_host = '192.0.2.1', proxy_port = 80 WHERE id = 'bei'"
        )
        made.execute("UPDATE cards SET spec_name_2 = '颜色', spec_value_2 = '红'")
        made.commit()
    old = read_old_file(path)
    assert [shop.proxy for shop in old.accounts] == ["", "http://192.0.2.1:80", ""]
    assert ("cookies", "proxy_was_off") in reported(old.oddities)
    assert (old.cards[0].spec_name, old.cards[0].spec_value) == ("时长", "月卡;颜色:红")
