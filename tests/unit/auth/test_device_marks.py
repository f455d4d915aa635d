"""What a browser keeps of earlier sign-ins: signed, of few people, for a while; it opens nothing."""

from __future__ import annotations

import pytest

from shoal.auth.device_marks import LIFETIME_SECONDS, MOST_USERS, DeviceMarks

NOW = 1_900_000_000.0


def marks(at: float = NOW, secret: bytes = b"a secret") -> DeviceMarks:
    return DeviceMarks(secret, now=lambda: at)


def test_f12_a_mark_is_of_one_person_however_the_name_is_typed_and_names_nobody() -> None:
    kept = marks().with_user("", "Ann")
    assert marks().knows(kept, " ａｎｎ ")
    assert not marks().knows(kept, "bob")
    assert "ann" not in kept.lower()


def test_f12_nobody_makes_a_mark_up_and_none_lasts_for_ever() -> None:
    kept = marks().with_user("", "ann")
    person, moment, signature = kept.split(".")
    assert not marks(secret=b"another").knows(kept, "ann")
    assert not marks(NOW + LIFETIME_SECONDS + 1).knows(kept, "ann")
    other = marks().with_user("", "bob").partition(".")[0]
    for forged in (
        f"{other}.{moment}.{signature}", f"{person}.{int(moment) + 9}.{signature}", f"{person}.{moment}.",
        f"{person}..", "", "~", "....", "é.1.x", "x" * 5_000,
    ):  # fmt: skip
        assert not any(marks().knows(forged, name) for name in ("ann", "bob"))


@pytest.mark.parametrize("rubbish", ["", "nonsense", "a.b.c~d"])
def test_f12_a_browser_of_several_people_knows_the_newest_few(rubbish: str) -> None:
    kept = rubbish
    for number in range(MOST_USERS + 1):
        kept = marks(NOW + number).with_user(kept, f"person {number}")
        kept = marks(NOW + number).with_user(kept, f"person {number}")  # again: it takes no second place
    later = marks(NOW + 10)
    assert [later.knows(kept, f"person {number}") for number in range(MOST_USERS + 1)] == [
        False,
        *[True] * MOST_USERS,
    ]
