"""Where an account's pictures lie on the site, on both databases."""

from __future__ import annotations

from shoal.pictures.uploaded_pictures import GOOD_FOR_DAYS, UploadedPictures
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.xianyu.uploads import UploadedPicture
from support.databases.store_steps import an_account, created

DAY_MS = 86_400_000
ONE = UploadedPicture("https://img.example.com/1.jpg", 80, 60)
TWO = UploadedPicture("https://img.example.com/2.jpg")


async def test_an_address_is_found_by_account_and_digest_until_it_is_too_old(
    database: Database, manager: DBManager
) -> None:
    now = [1_800_000_000_000]
    uploaded = UploadedPictures(database, now_ms=lambda: now[0])
    await created(manager, an_account("shop"), an_account("other"))
    await uploaded.remember("shop", "aa", TWO)
    await uploaded.remember("shop", "aa", ONE)
    assert await uploaded.find("shop", "aa") == ONE, "the newest counts"
    assert await uploaded.find("shop", "bb") is None
    assert await uploaded.find("other", "aa") is None
    now[0] += GOOD_FOR_DAYS * DAY_MS - 1
    assert await uploaded.find("shop", "aa") == ONE
    now[0] += 1
    assert await uploaded.find("shop", "aa") is None


async def test_what_is_forgotten_is_gone_and_nothing_else(database: Database, manager: DBManager) -> None:
    uploaded = UploadedPictures(database)
    await created(manager, an_account("shop"), an_account("other"))
    for account, digest in (("shop", "aa"), ("shop", "bb"), ("other", "aa")):
        await uploaded.remember(account, digest, ONE)
    await uploaded.forget("shop", "aa")
    await uploaded.forget("shop", "aa")
    found = [await uploaded.find(*key) for key in (("shop", "aa"), ("shop", "bb"), ("other", "aa"))]
    assert found == [None, ONE, ONE]


async def test_old_addresses_make_room_when_a_new_one_comes(database: Database, manager: DBManager) -> None:
    now = [1_800_000_000_000]
    uploaded = UploadedPictures(database, now_ms=lambda: now[0])
    await created(manager, an_account("shop"))
    await uploaded.remember("shop", "aa", ONE)
    now[0] += (GOOD_FOR_DAYS + 1) * DAY_MS
    await uploaded.remember("shop", "bb", ONE)
    now[0] -= 2 * DAY_MS
    assert await uploaded.find("shop", "aa") is None, "its row went"
    assert await uploaded.find("shop", "bb") == ONE
