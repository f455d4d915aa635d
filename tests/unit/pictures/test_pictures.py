"""Pictures are known by their content, kept whole or not at all, and deleted when nothing has named them for a week."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.accounts.item_setting import ItemSetting
from shoal.errors import InvalidInput, NotApplied, TemporaryFailure
from shoal.pictures.picture_files import PictureFiles
from shoal.pictures.picture_formats import MAX_PICTURE_BYTES, MAX_SIDE_PIXELS, measure
from shoal.pictures.pictures import UNUSED_DAYS, URL_PREFIX, is_kept
from shoal.rules.rule import Rule
from support.databases.store_steps import an_account
from support.files.picture_files import a_gif, a_jpeg, a_png, a_webp

DAY = 86_400.0


def files_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (a_png(640, 480), "image/png"),
        (a_gif(640, 480), "image/gif"),
        (a_jpeg(640, 480), "image/jpeg"),
        (a_jpeg(640, 480, before=b"\xff" * 5), "image/jpeg"),
        (a_webp(b"VP8 ", 640, 480), "image/webp"),
        (a_webp(b"VP8L", 640, 480), "image/webp"),
        (a_webp(b"VP8X", 640, 480), "image/webp"),
    ],
)
def test_a_picture_is_known_by_its_content(data: bytes, media_type: str) -> None:
    found = measure(data)
    assert (found.format.media_type, found.width, found.height) == (media_type, 640, 480)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"\xff\xd8\xff\xe0 no picture at all",
        b"\xff\xd8" + b"\xff" * 5_000_000,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000,
        a_png(0, 5),
        a_png()[:20],
        a_gif(5, 0),
        a_png(MAX_SIDE_PIXELS, 1).replace(b"\x00\x00\x40\x00", b"\x00\x01\x00\x00", 1),
        a_webp(b"VP8 ").replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"),
        a_webp(b"VP8L").replace(b"VP8L", b"VP8Q"),
    ],
)
async def test_what_is_no_picture_is_refused_and_nothing_is_kept(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        await PictureFiles(tmp_path).keep(data)
    assert caught.value.code == "bad_picture"
    assert not files_in(tmp_path)


@given(st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a", a_png()[:16]]))
def test_no_bytes_are_too_strange_to_be_looked_at(tail: bytes, head: bytes) -> None:
    with suppress(InvalidInput):
        assert 1 <= measure(head + tail).width <= MAX_SIDE_PIXELS


async def test_a_picture_that_is_too_large_is_refused(tmp_path: Path) -> None:
    whole = a_png()
    assert await PictureFiles(tmp_path).keep(whole + bytes(MAX_PICTURE_BYTES - len(whole)))
    with pytest.raises(InvalidInput) as caught:
        await PictureFiles(tmp_path).keep(whole + bytes(MAX_PICTURE_BYTES - len(whole) + 1))
    assert (caught.value.code, caught.value.params) == ("picture_too_large", {"limit": MAX_PICTURE_BYTES})


async def test_a_kept_picture_is_read_back_and_nobody_else_may_read_its_file(tmp_path: Path) -> None:
    pictures, data = PictureFiles(tmp_path / "uploads" / "images"), a_png(7, 5)
    first, second = await pictures.keep(data), await pictures.keep(data)
    assert first != second, "a name tells nothing about the picture"
    assert is_kept(first)
    assert first.startswith(URL_PREFIX)
    picture = await pictures.read(first)
    assert (picture.data, picture.measured.width, picture.measured.height) == (data, 7, 5)
    assert picture.digest == hashlib.sha256(data).hexdigest()
    for path in files_in(tmp_path / "uploads" / "images"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.name.startswith(".")
    assert stat.S_IMODE((tmp_path / "uploads" / "images").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://img.example/x.jpg",
        URL_PREFIX + "0" * 32 + ".png",
        URL_PREFIX + "../../secret.key",
        URL_PREFIX + "0" * 32 + ".svg",
        URL_PREFIX + "0" * 32 + ".png\n",
    ],
)
async def test_an_address_that_is_not_ours_leads_to_no_file(url: str, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(a_png())
    with pytest.raises(InvalidInput) as caught:
        await PictureFiles(tmp_path / "a" / "b").read(url)
    assert caught.value.code == "picture_missing"


async def test_a_damaged_file_counts_as_missing_and_a_failing_disk_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = PictureFiles(tmp_path)
    url = await pictures.keep(a_png())
    (tmp_path / url.rpartition("/")[2]).write_bytes(b"rubbish")
    with pytest.raises(InvalidInput) as caught:
        await pictures.read(url)
    assert caught.value.code == "picture_missing"

    def broken(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(TemporaryFailure) as failed:
        await pictures.read(url)
    assert failed.value.code == "picture_unreadable"


@pytest.mark.parametrize("step", ["fsync", "rename"])
async def test_a_full_disk_leaves_nothing_behind(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(NotApplied) as caught:
        await PictureFiles(tmp_path).keep(a_png())
    assert caught.value.code == "picture_not_stored"
    assert "No space left" in str(caught.value)
    assert not files_in(tmp_path)


async def test_what_an_account_names_stays_and_the_rest_goes_after_a_week(tmp_path: Path) -> None:
    pictures, now = PictureFiles(tmp_path), time.time()
    ruled, in_item, own, face, orphan, young = [await pictures.keep(a_png()) for _ in range(6)]
    (tmp_path / ".left.by.a.crash").write_bytes(b"half")
    long_ago = now - (UNUSED_DAYS + 1) * DAY
    for path in files_in(tmp_path):
        if path.name not in young:
            os.utime(path, (long_ago, long_ago))
    account = an_account(
        keywords=(Rule.simple(id="r", keyword="图", image_url=ruled),),
        items=(ItemSetting(item_id="9", reply=f"见 {in_item}"),),
        picture=own,
    )
    named: list[Any] = [([account], ["", face, "https://elsewhere.example/face.png"])]

    async def naming() -> Any:
        return named[0]

    pictures.named = naming
    assert await pictures.sweep(now) == 2
    assert {URL_PREFIX + path.name for path in files_in(tmp_path)} == {ruled, in_item, own, face, young}
    assert orphan not in {ruled, in_item, own, face, young}
    named[0] = ([], [])
    assert await pictures.sweep(now + (UNUSED_DAYS - 1) * DAY) == 0, "it was in use a moment ago"
    assert await pictures.sweep(now + (UNUSED_DAYS + 1) * DAY) == 5


async def test_a_server_that_never_kept_a_picture_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert await PictureFiles(tmp_path / "none").sweep(0.0) == 0


async def test_a_disk_that_refuses_to_be_swept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = PictureFiles(tmp_path)
    await pictures.keep(a_png())

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(NotApplied):
        await pictures.sweep(time.time() + 30 * DAY)


async def test_f14_nobody_else_looks_into_the_uploads_of_a_new_server_or_of_an_old_one(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    images = uploads / "images"
    before = os.umask(0o022)
    try:
        await PictureFiles(images).keep(a_png())
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (uploads, images)] == [0o700, 0o700]
    uploads.chmod(0o755)
    images.chmod(0o770)
    await PictureFiles(images).open()
    assert [stat.S_IMODE(one.stat().st_mode) for one in (uploads, images)] == [0o700, 0o700]
    await PictureFiles(tmp_path / "not" / "there").open()
    assert not (tmp_path / "not").exists()
