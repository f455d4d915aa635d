"""Files of other systems are read within bounds: piece by piece, and no further than there is memory for."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from benchmarks.foreign_files import computed_columns, computed_view, endless_table, many_names, unpacks_into
from shoal.errors import InvalidInput, ShoalError
from shoal.maintenance.moving import archives, dump_text, plan_pictures, tables, uploads
from shoal.maintenance.moving.kept_plans import MOST_BYTES, KeptPlans, UnknownPlan
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import Source
from shoal.maintenance.moving.plan import Plan
from shoal.maintenance.moving.plan_pictures import Pictures
from shoal.maintenance.moving.shop_parts import parts_of_shop, shop_of_parts
from shoal.maintenance.moving.upload_job import read_upload
from shoal.maintenance.moving.uploads import Uploads
from support.moving.old_database import an_old_shop, dump_of, write_json, write_sqlite

PG = """-- PostgreSQL database dump
\\restrict abc
CREATE SCHEMA other;
CREATE TABLE public.keywords (cookie_id text, keyword text, reply text);
COMMENT ON COLUMN public.keywords.copy IS 'it''s; copy me';
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $tag$ begin COPY x FROM stdin; end $tag$;
INSERT INTO public.cookies (id, value) VALUES ('afu', E'unb=1\\\\; a\\'b');
COPY public.keywords (cookie_id, "keyword", reply) FROM stdin;
afu\t价格\t不\\n议价\\t\\\\.
afu\t包邮\t\\N
\\.
COPY public.elsewhere (a) FROM stdin;
1
\\.
-- PostgreSQL database dump complete
"""


def refusal(path: Path) -> str:
    with pytest.raises(ShoalError) as refused:
        read_upload(path)
    return refused.value.code


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_g6_a_dump_says_the_same_wherever_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    rows = an_old_shop()
    rows["keywords"][0]["reply"] = "it's a \\ \"quote\" /* no comment */ -- nor this\n# nor that\t\x1a 0x41 N'x'"
    files = {tmp_path / "mysql.sql": dump_of(rows), tmp_path / "postgres.sql": PG}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="")
    whole = [read_old_file(path) for path in files]
    assert [rule.reply for rule in whole[1].accounts[0].rules] == ["不\n议价\t\\.", ""]
    assert whole[1].accounts[0].cookie == "unb=1\\; a'b"
    monkeypatch.setattr(dump_text, "_PIECE", piece)
    assert [read_old_file(path) for path in files] == whole
    for path in files:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        assert refusal(path) == "moving_dump_cut_off"


def test_g6_a_word_without_end_and_rows_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dump.sql"
    monkeypatch.setattr(dump_text, "_LONGEST", 3 << 20)
    path.write_text("INSERT INTO keywords VALUES ('" + "x" * (9 << 20) + "');", encoding="utf-8")
    assert refusal(path) == "moving_too_much"
    monkeypatch.setattr(tables, "MOST_BYTES", 20_000)
    rows = an_old_shop()
    rows["keywords"] = [{"cookie_id": "afu", "keyword": f"词{number}", "reply": "x"} for number in range(50)]
    path.write_text(dump_of(rows), encoding="utf-8")
    assert refusal(path) == "moving_too_much"
    assert refusal(write_sqlite(tmp_path / "x.db", rows)) == "moving_too_much"
    assert refusal(write_json(tmp_path / "x.json", rows)) == "moving_too_much"


def test_g6_what_is_computed_and_what_unpacks_into_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data, code in (
        (computed_columns(path), "moving_computed"),
        (computed_view(path), "moving_computed"),
        (unpacks_into(100 << 20), "moving_unpacks_large"),
        (many_names(20_001), "moving_many_names"),
        (_with_wrong_count(many_names(200_000)), "moving_many_names"),
    ):
        path.write_bytes(data)
        assert refusal(path) == code
    assert sorted(tmp_path.iterdir()) == [path]


def _with_wrong_count(archive: bytes) -> bytes:
    """The archive with an end that says that it has one name."""
    at = archive.rindex(b"PK\x06\x06") + 24
    return archive[:at] + struct.pack("<2Q", 1, 1) + archive[at + 16 :]


def test_g6_a_disk_without_room_takes_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(write_sqlite(tmp_path / "x.db", an_old_shop()), "x.db")
    assert read_upload(path)[0].accounts
    (tmp_path / "data").unlink()
    monkeypatch.setattr(archives, "LEAST_FREE_BYTES", 1 << 60)
    assert refusal(path) == "moving_no_room"
    assert not (tmp_path / "data").exists() or not (tmp_path / "data").stat().st_size


def test_g6_a_shop_crosses_between_two_processes_whole(tmp_path: Path) -> None:
    rows = an_old_shop()
    rows["keywords"] += [{"cookie_id": "bei", "keyword": f"词{number}", "reply": "x"} for number in range(1203)]
    rows["orders"] += [{"order_id": f"o{number}", "cookie_id": "lan1"} for number in range(501)]
    rows["cookies"] += [{"id": f"shop{number}", "value": "unb=1", "user_id": 1} for number in range(700)]
    shop = read_old_file(write_sqlite(tmp_path / "x.db", rows))
    parts = list(parts_of_shop(shop))
    assert len(parts) > 7
    assert shop_of_parts(parts) == shop
    assert not parts
    nothing = replace(shop, accounts=(), users=(), cards=(), delivery_rules=(), channels=(), oddities=())
    assert shop_of_parts(list(parts_of_shop(nothing))) == nothing
    with pytest.raises(EOFError):
        shop_of_parts(list(parts_of_shop(shop))[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["cpu_seconds", "memory_bytes", "answer_bytes"])
async def test_g6_a_file_that_goes_beyond_a_bound_is_given_up_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    least = {"cpu_seconds": 1, "memory_bytes": 130 << 20, "answer_bytes": 500}
    monkeypatch.setattr(uploads, "BOUNDS", _bounded(bound, least[bound]))
    path = tmp_path / "file"
    costly = {
        "cpu_seconds": lambda: endless_table(path),
        "memory_bytes": lambda: b"INSERT INTO keywords VALUES ('" + b"x" * (30 << 20) + b"');",
        "answer_bytes": lambda: write_sqlite(tmp_path / "x.db", an_old_shop()).read_bytes(),
    }
    path.write_bytes(costly[bound]())
    reading = Uploads(tmp_path, most_mib=1)
    try:
        with pytest.raises(InvalidInput) as given_up:
            await reading.read(path)
        assert given_up.value.code == "moving_too_costly"
        path.write_text("COOKIES_STR=unb=7; a=b\n", encoding="utf-8")
        if bound != "answer_bytes":
            assert (await reading.read(path)).shop.accounts[0].id == "7"
    finally:
        await reading.close()


def _bounded(name: str, value: int) -> object:
    return msgspec.structs.replace(uploads.BOUNDS, **{name: value})


def test_g6_plans_and_their_pictures_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptPlans()
    plan = Plan(source=Source.LEGACY)
    small = kept.keep(1, "small", plan, size=1_000)
    large = kept.keep(2, "large", plan, size=MOST_BYTES // 2)
    newest = kept.keep(3, "newest", plan, size=MOST_BYTES // 2)
    assert (kept.get(1, small.id), kept.get(3, newest.id)) == (small, newest)
    with pytest.raises(UnknownPlan):
        kept.get(2, large.id)

    picture = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s2I", 13, b"IHDR", 2, 2)
    files = {}
    for number in range(3):
        files[f"{number}.png"] = tmp_path / str(number)
        files[f"{number}.png"].write_bytes(picture + bytes([number]) * 1_000)
    monkeypatch.setattr(plan_pictures, "MOST_BYTES", 2_500)
    pictures = Pictures(files)
    found = [pictures.part(f"/static/{name}") for name in (*files, "0.png")]
    assert [one is not None for one in found] == [True, True, False, True]
    assert found[0] == found[3]
    assert len(pictures.taken) == 2
