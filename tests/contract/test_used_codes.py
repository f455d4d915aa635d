"""Codes of two-step verification after a restore: none that was used since the backup counts, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyotp
import pytest

from shoal.auth.totp import Factor, Totp
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import Role, User
from shoal.maintenance.backup.locks import PRIVATE, PUBLIC, lock_to_key, new_key_pair, read_key
from shoal.maintenance.backup.making import Made, Secret, make_backup
from shoal.maintenance.backup.place import Place as Goal
from shoal.maintenance.backup.restoring import Restored, restore_backup
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from shoal.storage.vault import Vault
from support.databases.store_steps import Clock, Place
from support.orders.goods_steps import an_owner

PRIVATE_KEY, PUBLIC_KEY = new_key_pair()


async def factor_of(database: Database, place: Place, clock: Clock) -> Totp:
    return Totp(UserReplica(database), await open_vault(database, place.data_dir / "secret.key"), now_ms=clock)


async def set_up(factor: Totp, database: Database, clock: Clock) -> tuple[int, pyotp.TOTP, list[str]]:
    """Switch it on for a new user. Return the user, the app and the recovery codes."""
    user = User(
        id=await an_owner(database), username="ann", email=None, role=Role.OWNER, active=True, created_at_ms=1,
        updated_at_ms=1, leaving=False, has_totp=False, signed_in_at_ms=None,
    )  # fmt: skip
    app = pyotp.TOTP((await factor.begin(user)).secret)
    return user.id, app, await factor.confirm(user.id, app.at(clock.now // 1000))


async def backed_up(place: Place, target: Path) -> Made:
    public = read_key(PUBLIC_KEY, PUBLIC)
    return await asyncio.to_thread(
        make_backup, place.data_dir, target, url=place.url, lock=lambda file_key: lock_to_key(file_key, public)
    )


async def restored(made: Made, goal: Goal) -> Restored:
    return await asyncio.to_thread(
        restore_backup, made.path, goal, Secret(private_key=read_key(PRIVATE_KEY, PRIVATE))
    )  # fmt: skip


@pytest.mark.slow
async def test_a_code_that_was_used_or_replaced_since_the_backup_opens_nothing_after_its_restore(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    clock = Clock()
    factor = await factor_of(database, place, clock)
    ann, app, of_ann = await set_up(factor, database, clock)
    bob, _, of_bob = await set_up(factor, database, clock)
    made = await backed_up(place, tmp_path / "one")
    clock.now += 60_000
    code = app.at(clock.now // 1000)
    assert await factor.accept(ann, code) is Factor.TOTP
    assert await factor.accept(ann, of_ann[0]) is Factor.RECOVERY
    renewed = await factor.renew_recovery_codes(bob)
    await database.close()

    done = await restored(made, Goal(data_dir=place.data_dir, url=place.url))
    assert done.life.without_codes == 1, "bob"
    again = await place.open_again()
    factor = await factor_of(again, place, clock)
    assert await factor.accept(ann, of_ann[0]) is None, "it was used"
    assert await factor.accept(ann, code) is None, "so was that of the app"
    assert await factor.codes_left(ann) == 9
    assert await factor.accept(ann, of_ann[1]) is Factor.RECOVERY
    for replaced in (of_bob[0], renewed[0]):  # no code is taken over: a thief may have made it
        assert await factor.accept(bob, replaced) is None
    clock.now += 60_000
    assert await factor.accept(ann, app.at(clock.now // 1000)) is Factor.TOTP, "the app opens as before"
    await again.close()


@pytest.mark.slow
async def test_where_nothing_tells_which_codes_were_used_all_end_and_the_app_goes_on(
    database: Database, vault: Vault, place: Place, tmp_path: Path
) -> None:
    clock = Clock()
    factor = await factor_of(database, place, clock)
    ann, app, codes = await set_up(factor, database, clock)
    made = await backed_up(place, tmp_path / "one")
    goal = Goal(data_dir=tmp_path / "new")
    for _ in range(2):  # the second time another database is there, which knows nothing of this one's codes
        done = await restored(made, goal)
        assert done.life.without_codes == 1
        async with Database(goal.data_dir) as other:
            there = await factor_of(other, Place(data_dir=goal.data_dir, url="", open_again=Database.open), clock)
            assert await there.codes_left(ann) == 0
            assert await there.accept(ann, codes[0]) is None
            clock.now += 60_000
            assert await there.accept(ann, app.at(clock.now // 1000)) is Factor.TOTP
            fresh = await there.renew_recovery_codes(ann)
            assert await there.accept(ann, fresh[0]) is Factor.RECOVERY
