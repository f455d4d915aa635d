"""What a shop said between a backup and its restore comes from the site's history: units in it are masked."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from contract.message_steps import a_message
from shoal.goods.bindings import bind_units
from shoal.goods.imports import Imports
from shoal.goods.sent_units import SentUnits
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_messages import UnitMessages
from shoal.goods.units_in_history import MOST_PARTS, parts_of
from shoal.messages.message_log import Direction, MessageLog
from shoal.storage.chat_tables import chats
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.goods_tables import bindings, units
from shoal.storage.schema import messages
from shoal.storage.vault import Vault
from support.databases.store_steps import an_account, created
from support.orders.goods_steps import an_owner, by, changed, some_goods, unit_texts

UNB = "2200000000001"
CODES = ["KAMI-7f3a-0001", "https://example.com/s/1?pwd=x1 提取码: ab12", "账号abc 密码xyz9"]


async def said_in(database: Database) -> list[str]:
    query = select(messages.c.text).order_by(messages.c.created_at_ms)
    return list(await database.read(lambda connection: connection.scalars(query).all()))


@pytest.mark.parametrize("file", ["the file of units", "no file", "imported after the backup"])
async def test_a_unit_that_left_since_the_backup_is_masked_in_what_the_site_has_of_it(
    database: Database, vault: Vault, tmp_path: Path, file: str
) -> None:
    await created(DBManager(database, vault), an_account("shop"))
    goods = await some_goods(database, await an_owner(database))
    texts = await unit_texts(database, vault)
    await Imports(database, texts).run(goods, lines_of_list(CODES), by())
    sent = SentUnits(database, texts, tmp_path / "units.log")
    await sent.note()
    await database.write(
        lambda connection: bind_units(connection, goods, unb=UNB, order_id="o1", count=len(CODES), by=by())
    )
    await sent.note()
    await changed(database, delete(bindings))  # the backup comes back
    await changed(database, update(units).values(state="free", uses=0))
    if file == "imported after the backup":
        await changed(database, delete(units))
    if file == "no file":
        (tmp_path / "units.log").unlink()
    now = time.time_ns() // 1_000_000
    await SentUnits(database, texts, tmp_path / "units.log").open()

    log = MessageLog(database, sealed=UnitMessages(texts, restored_at_ms=now))
    first, link, login = CODES
    texts_of_site = [
        f"您的卡密：\n{first}\n{link}\n{login}", f"卡密是{first}，请查收。", f"Your code: {first}.", "在的，亲", first,
    ]  # fmt: skip
    ours = [
        replace(a_message(number, text), direction=Direction.OUT, created_at_ms=now - 1_000 + number)
        for number, text in enumerate(texts_of_site)
    ]
    theirs = replace(a_message(50, first), created_at_ms=now - 500)
    later = replace(a_message(60, f"新的 {first}"), direction=Direction.OUT, created_at_ms=now + 500)
    await log.store_incoming("shop", [*ours, theirs, later], pulled=True)
    assert await said_in(database) == [
        "您的卡密：\nKA…01\nht…12\n账号…z9",
        "卡密是KA…01，请查收。",
        "Your code: KA…01.",
        "在的，亲",
        "KA…01",
        first,  # the buyer's own words are the buyer's
        f"新的 {first}",  # after the restore the database knows what it sends
    ]
    spoken = replace(ours[0], message_id="m70", chat_id="d")  # as it came: what sent it is forgotten
    await log.store_incoming("shop", [spoken], pulled=True)
    await log.mark_human("shop", spoken, pause_minutes=0)
    query = select(chats.c.last_text).where(chats.c.chat_id == "d")
    assert await database.read(lambda connection: connection.scalar(query)) == "您的卡密：\nKA…01\nht…12\n账号…z9"


def test_a_long_text_is_compared_in_whole_lines_and_never_without_end() -> None:
    long = "\n".join("a b c d e f g" for _ in range(100))
    parts = list(parts_of(long))
    assert len(parts) <= MOST_PARTS
    assert (0, 13) in parts
    assert len(list(parts_of("、a" * 50_000))) <= MOST_PARTS
    assert list(parts_of(" \n ")) == []


@pytest.mark.parametrize(("text", "unit"), [("您的码，密码。", "密码"), ("卡号AB12-CD34，勿外传", "AB12-CD34")])
def test_a_part_ends_at_a_mark_and_where_the_script_changes(text: str, unit: str) -> None:
    assert unit in {text[first:end] for first, end in parts_of(text)}
