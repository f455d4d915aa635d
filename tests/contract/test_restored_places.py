"""What a restore ends, and how it knows whose data is there, alike on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, func, insert, select

from contract.test_backups import backed_up, filled, goal_of, restored
from shoal.maintenance.backup.place import Place as Goal
from shoal.maintenance.backup.place import differences, origin_here, origin_of, origin_of_copy
from shoal.maintenance.backup.restoring import put_back
from shoal.storage.database import Database
from shoal.storage.user_tables import api_tokens, invitations, sessions, users
from shoal.storage.vault import Vault
from support.databases.store_steps import Place

ENDED = (sessions, api_tokens, invitations)


async def entries(database: Database) -> dict[str, list[str]]:
    """The hashes by which somebody may enter, of each table."""

    def job(connection: Connection) -> dict[str, list[str]]:
        return {str(table.name): sorted(connection.scalars(select(table.c.token_hash))) for table in ENDED}

    return await database.read(job)


@pytest.mark.slow
async def test_g17_sessions_tokens_and_invitations_end_at_a_restore_and_when_it_is_undone(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    await filled(database, vault, place)
    given = {"created_at_ms": 1, "expires_at_ms": 2**50}

    def enter(connection: Connection) -> int:
        user_id = connection.scalar(select(func.max(users.c.id)))
        connection.execute(insert(api_tokens).values(token_hash="token", user_id=user_id, **given))
        for name, used in (("open", None), ("used", 5), ("for a password", None)):
            whose = {"for_user_id": user_id} if "password" in name else {}
            row = {"id": name, "token_hash": name, "role": "user", "used_at_ms": used, **whose, **given}
            connection.execute(insert(invitations).values(row))
        return 0

    await database.write(enter)
    all_there = {"sessions": ["h"], "api_tokens": ["token"], "invitations": ["for a password", "open", "used"]}
    none_left = {"sessions": [], "api_tokens": [], "invitations": ["used"]}
    assert await entries(database) == all_there
    made = await backed_up(place, tmp_path)
    await database.close()

    done = await restored(made.path, goal_of(place))
    again = await place.open_again()
    assert await entries(again) == none_left
    await again.close()
    await asyncio.to_thread(put_back, done.kept, goal_of(place))
    last = await place.open_again()
    assert await entries(last) == none_left, "what was put aside had them all"
    await last.close()


async def test_g23_whose_data_is_at_a_place_is_known_of_both_databases(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    await filled(database, vault, place)
    await database.remember_site("wss://site.example")
    made = await backed_up(place, tmp_path)
    offered, here = origin_of(made.header), origin_here(goal_of(place))
    assert (offered.store, offered.site, offered.signer) == (here.store, here.site, here.signer)
    assert "" not in {here.mark, here.store, here.site, here.signer}
    assert here.mark.encode() not in made.path.read_bytes(), "no backup shows the mark itself"
    assert differences(offered, here) == []
    nobody = msgspec.structs.replace(offered, signer="")
    assert differences(nobody, here) == ["signer"], "a store that is only named proves nothing"
    assert differences(nobody, here, is_ours=True) == []
    assert differences(nobody, msgspec.structs.replace(here, signer="")) == ["signer"]
    assert differences(msgspec.structs.replace(offered, store="0", site="x"), here) == ["store", "site"]
    nowhere = origin_here(Goal(data_dir=tmp_path / "nowhere"))
    assert differences(offered, nowhere) == ["signer"], "nothing there tells"
    if not place.url:
        copy = tmp_path / "copy.db"
        with closing(sqlite3.connect(place.data_dir / "shoal.db")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        (place.data_dir / "shoal.db").rename(tmp_path / "lost.db")
        assert origin_here(goal_of(place)).store == here.store, "the directory's own mark"
        assert differences(origin_of_copy(copy), origin_here(goal_of(place))) == []
