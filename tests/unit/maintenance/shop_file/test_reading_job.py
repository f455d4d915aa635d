"""A file of shops says the same when another process reads it, and one that costs much is given up."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from shoal.accounts.account import Account
from shoal.errors import InvalidInput
from shoal.maintenance.shop_file import file_reader
from shoal.maintenance.shop_file.file_reader import SMALL, ShopFileReader
from shoal.maintenance.shop_file.reading import ReadFile, read_file
from shoal.maintenance.shop_file.reading_job import file_of, read
from shoal.maintenance.shop_file.yaml_values import FileFault, UnusableFile
from support.moving.shop_file_steps import accounts, exported

FAULTY = """\
version: 1
accounts:
  one:
    remark: 不在这里
    rules:
      - words: [a]
      - wrong: 1
      - words: [b]
    staff: {ann: king, bob: reply}
  two:
    settings: {remark: 好, pause_duration: x}
"""


def told(faults: object) -> list[tuple[int, str, str, dict[str, object]]]:
    assert isinstance(faults, list | tuple)
    assert all(isinstance(one, FileFault) for one in faults)
    return sorted((one.line, one.place, one.error.code, dict(one.error.params)) for one in faults)


def alike(one: ReadFile, two: ReadFile) -> None:
    assert one.shops == two.shops
    assert {name: part.model_fields_set for name, part in one.shops.items()} == {
        name: part.model_fields_set for name, part in two.shops.items()
    }
    assert told(one.faults) == told(two.faults)
    assert one.rows == two.rows
    for name in one.shops:
        for path in (
            (name,),
            (name, "rules"),
            (name, "rules", 0),
            (name, "rules", 1, "words"),
            (name, "settings", "x"),
        ):
            error = InvalidInput("x", code="x")
            assert told([one.fault(error, *path)]) == told([two.fault(error, *path)])


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(accounts)
def test_g6_a_file_says_the_same_when_another_process_reads_it(account: Account) -> None:
    text = exported(account)
    alike(read_file(text), file_of(list(read(text.encode()))))


def test_g6_the_faults_of_a_file_are_the_same_too() -> None:
    alike(read_file(FAULTY), file_of(list(read(FAULTY.encode()))))
    for text in ("a: [", "version: 2\naccounts: {}", "accounts: 1", "version: 1\naccounts: {a: *x}"):
        with pytest.raises(UnusableFile) as here:
            read_file(text)
        with pytest.raises(UnusableFile) as there:
            file_of(list(read(text.encode())))
        assert told(here.value.faults) == told(there.value.faults)
    with pytest.raises(UnusableFile) as many:
        file_of(list(read(b"version: 1\n" + b"x: 1\n" * 5_000)))
    assert len(many.value.faults) == 1_000


@pytest.mark.slow
async def test_g6_a_large_file_of_shops_is_read_in_a_process_of_its_own_and_one_that_costs_much_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = "".join(f"      - {{words: [词{number}], parts: [{{text: 回复}}]}}\n" for number in range(2_000))
    text = f"version: 1\naccounts:\n  shop:\n    rules:\n{rules}"
    costly = f"version: 1\naccounts:\n  a:\n    rules: [{'a,' * 1_800_000}a]\n"
    assert min(len(text), len(costly)) > SMALL
    reader = ShopFileReader()
    monkeypatch.setattr(file_reader, "BOUNDS", msgspec.structs.replace(file_reader.BOUNDS, memory_bytes=140 << 20))
    hasty = ShopFileReader()
    try:
        alike(await reader.read(text), read_file(text))
        with pytest.raises(InvalidInput) as given_up:
            await hasty.read(costly)
        assert given_up.value.code == "shop_file_too_costly"
    finally:
        await reader.close()
        await hasty.close()
