import random
import re

from shoal.xianyu import identity


def seeded(seed: int) -> random.Random:
    return random.Random(seed)


def test_a_device_id_has_the_shape_that_the_site_expects() -> None:
    made = identity.device_id("2200000000002", seeded(1))
    assert re.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}-2200000000002", made)
    assert made == identity.device_id("2200000000002", seeded(1))


def test_addresses_gain_and_lose_their_suffix_once() -> None:
    assert identity.address("2200000000001") == "2200000000001@goofish"
    assert identity.address("2200000000001@goofish") == "2200000000001@goofish"
    assert identity.strip_address("51000000001@goofish") == "51000000001"
    assert identity.strip_address("51000000001") == "51000000001"


def test_names_never_repeat_even_when_the_clock_stands_still_or_steps_back() -> None:
    readings = iter([1750000000123] * 500 + [1749999999000] * 1500)
    names = identity.FrameNames(seeded(2), clock_ms=lambda: next(readings))
    mids = [names.mid() for _ in range(1000)]
    uuids = [names.uuid() for _ in range(1000)]
    assert len({identity.mid_key(mid) for mid in mids}) == 1000
    assert len(set(uuids)) == 1000


def test_mid_and_uuid_look_like_the_web_clients() -> None:
    names = identity.FrameNames(seeded(3), clock_ms=lambda: 1750000000123)
    assert re.fullmatch(r"\d{1,3}1750000000123 0", names.mid())
    assert names.uuid() == "-17500000001241"
    assert names.now_ms() == 1750000000123
