"""Kept pictures are shown as pictures and as nothing else."""

from __future__ import annotations

import pytest

from doors import Door, client_of
from picture_files import a_png
from shoal.pictures import URL_PREFIX


async def test_whoever_knows_the_random_name_sees_the_picture(door: Door) -> None:
    url = await door.server.pictures.keep(a_png())
    async with client_of(door.app) as anybody:
        answer = await anybody.get(url)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", a_png())
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("name", ["0" * 32 + ".png", "..%2f..%2f..%2fsecret.key", "x"])
async def test_any_other_name_is_not_found(door: Door, name: str) -> None:
    async with client_of(door.app) as anybody:
        answer = await anybody.get(URL_PREFIX + name)
    assert answer.status_code == 404
    assert answer.json()["code"] in {"picture_missing", "not_found"}
