"""No upgrade turns a switch of a shop: replies, delivery, confirmation, a model, and what an answer is held back by."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shoal.accounts.model_settings import ModelMode
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from upgrades.make_fixture import KEY
from upgrades.test_upgrades import NAMES, lay

SWITCHES = {"enabled": True, "replies": True, "delivery": True, "auto_confirm": False, "free_shipping": False}
"""Each switch, and how it stood before there was one."""
OFF = {
    "opening_hours": "", "holidays": "", "away_reply": "", "handoff_words": "", "handoff_reply": "",
    "filter_contacts": False, "filter_links": False, "filter_patterns": "", "price_floor_fen": None,
}  # fmt: skip
"""What a shop of before 0022 has: nothing that its owner sends stops."""

NO_MODEL = {
    "ai_mode": ModelMode.OFF.value, "ai_provider_id": 0, "ai_persona": "", "ai_facts": "", "ai_disclosure": True,
}  # fmt: skip
"""What a shop of before 0026 has: no word goes to a language model."""


async def test_g14_a_shop_that_was_there_lets_the_links_out_that_it_did(tmp_path: Path) -> None:
    """Those of the release: nothing that their owners send stops, though a new shop holds links back."""
    lay("v0.1.0", tmp_path / "data")
    async with Database(tmp_path / "data") as database:
        vault = await open_vault(database, tmp_path / "key", secret_key=KEY)
        found = (await DBManager(database, vault).load()).accounts
    assert found
    assert {account.filter_links for account in found.values()} == {False}


@pytest.mark.parametrize("name", NAMES)
async def test_no_upgrade_turns_a_switch(name: str, tmp_path: Path) -> None:
    lay(name, tmp_path / "data")
    rng, set_to = Random(name), {}
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / DATABASE_FILE)) as connection, connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(accounts)")}
        for (account_id,) in connection.execute("SELECT id FROM accounts WHERE NOT deleted").fetchall():
            values: dict[str, Any] = {
                switch: rng.random() < 0.5 for switch in SWITCHES if switch in columns and switch != "enabled"
            }
            values |= {"enabled": False}
            if "filter_links" in columns:
                values |= {name: rng.random() < 0.5 for name in ("filter_contacts", "filter_links")}
            if "ai_mode" in columns:
                values |= {"ai_mode": rng.choice(list(ModelMode)).value, "ai_disclosure": rng.random() < 0.5}
            names = ", ".join(f"{switch} = ?" for switch in values)
            connection.execute(f"UPDATE accounts SET {names} WHERE id = ?", [*values.values(), account_id])  # noqa: S608
            set_to[account_id] = {**SWITCHES, **values, **({} if "opening_hours" in columns else OFF)}
            set_to[account_id] |= {} if "ai_mode" in columns else NO_MODEL
    database = await Database(tmp_path / "data").open()
    try:
        vault = await open_vault(database, tmp_path / "key", secret_key=KEY)
        found = (await DBManager(database, vault).load()).accounts
    finally:
        await database.close()
    assert set_to
    assert {one: {switch: getattr(found[one], switch) for switch in set_to[one]} for one in set_to} == set_to
