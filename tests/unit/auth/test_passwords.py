"""Which passwords are taken: by how hard they are to guess, never by which kinds of letters they have."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

from shoal.auth import passwords as module
from shoal.auth.passwords import MAX_PASSWORD_CHARACTERS, MIN_PASSWORD_CHARACTERS, Passwords, made_up_password
from shoal.auth.users import Users
from shoal.errors import InvalidInput
from shoal.storage.database import Database
from support.databases.store_steps import Clock
from support.runs.quick_start import blank_database, cheap_hasher

LONG = "多云 correct staple, 电池 horse! "


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    opened = Passwords(cheap_hasher())
    yield opened
    await opened.close()


async def refusal(passwords: Passwords, password: str, *about: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        await passwords.new(password, about=about)
    return caught.value.code


@pytest.mark.parametrize("length", [10, 64, 65, 200, MAX_PASSWORD_CHARACTERS])
async def test_long_ones_are_taken_and_every_letter_counts(passwords: Passwords, length: int) -> None:
    password = ("Xq7#vß多z" + LONG * 40)[:length]
    stored = await passwords.new(password)
    assert await passwords.matches(stored, password)
    for other in (password[:-1], password + " ", password.swapcase(), " " + password, password[:-1] + "\0"):
        assert not await passwords.matches(stored, other)


async def test_the_word_lists_stay_no_longer_than_a_password_is_judged(passwords: Passwords) -> None:
    assert await refusal(passwords, "correct horse", "correct horse") == "weak_password"
    assert [name for name in sys.modules if name.startswith("zxcvbn")] == []


async def test_too_short_and_endless_ones_are_not(passwords: Passwords) -> None:
    assert await refusal(passwords, "Xq7#vß多") == "bad_password"
    assert await refusal(passwords, "x" * (MAX_PASSWORD_CHARACTERS + 1)) == "bad_password"


@pytest.mark.parametrize(
    "password",
    [
        "lanternoxbowvelvetquill",
        "83920175649302817465",
        "Ω≈ç√∫˜µ≤Ωå∂ƒ",
        "海阔凭鱼跃天高任鸟飞",
        "     q   w z     p  7   ",
        "!?#*/+~%$&(=)§,;:",
    ],
)
async def test_any_kind_of_letters_will_do(passwords: Passwords, password: str) -> None:
    assert await passwords.new(password)
    assert await passwords.new(made_up_password())


@pytest.mark.slow
async def test_what_many_people_choose_is_refused(passwords: Passwords) -> None:
    """Of the list of common passwords those that are long enough, which are more than 3,000."""
    listed = FREQUENCY_LISTS["passwords"]
    common = [word for word in listed if len(word) >= MIN_PASSWORD_CHARACTERS]
    assert len(common) > 3_000
    for word in (*common[:300], *common[300::40]):
        assert await refusal(passwords, word) == "weak_password", word
        assert await refusal(passwords, word.capitalize()) == "weak_password", word


async def test_the_names_of_this_program_and_of_the_person_are_no_password(passwords: Passwords) -> None:
    for word in module._OURS:
        assert await refusal(passwords, f"{word}{word}2026"[:12].ljust(8, "1")) == "weak_password", word
    for word in ("shoalshoal", "goofish123", "xianyu2026", "Sh0al2026!"):
        assert await refusal(passwords, word) == "weak_password", word
    assert await refusal(passwords, "annabergstrom1", "annabergstrom", "anna@bergstrom.example") == "weak_password"


async def test_what_is_stored_costs_a_thief_64_mib_and_three_passes_a_guess() -> None:
    passwords = Passwords()
    made = extract_parameters(await passwords.new("lanternoxbowvelvetquill"))
    await passwords.close()
    assert made.type is Type.ID
    assert (made.memory_cost, made.time_cost, made.parallelism) >= (65_536, 3, 4)
    assert (made.salt_len, made.hash_len) >= (16, 32)


async def test_a_password_does_not_grow_old(passwords: Passwords, tmp_path: Path) -> None:
    await blank_database(tmp_path)
    database = await Database(tmp_path).open()
    clock = Clock()
    users = Users(database, passwords, now_ms=clock)
    await users.create("ann", "lanternoxbowvelvetquill")
    clock.now += 10 * 366 * 24 * 3_600_000
    assert await users.verify("ann", "lanternoxbowvelvetquill") is not None
    await database.close()
