"""Kept pictures are shown as pictures and as nothing else."""

from __future__ import annotations

import pytest
from limits import RateLimitItemPerDay

from shoal.auth.users import Role
from shoal.pictures.pictures import URL_PREFIX
from support.files.picture_files import a_png
from support.servers.doors import Door, another_person, client_of


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


async def test_a_picture_is_kept_by_its_content_and_then_answers_for_a_rule(door: Door) -> None:
    file = {"image": ("whatever.txt", a_png(30, 20), "text/plain")}
    kept = await door.call("POST", "/pictures", files=file)
    assert (kept["width"], kept["height"]) == (30, 20)
    await door.call("POST", "/cookies/shop/rules", json={"words": ["图"], "parts": [{"image_url": kept["image_url"]}]})
    (part,) = door.account().keywords[0].parts
    assert (part.image_url, part.width, part.height) == (kept["image_url"], 30, 20)


async def test_pictures_are_for_who_has_a_shop_to_reply_for_and_so_many_in_a_day(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = head + a_png() + b"\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    async with another_person(door, role=Role.STAFF) as bob:
        refused = await bob.call("POST", "/pictures", 403, content=body, headers=kind)
        assert refused["code"] == "right_missing"
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "reply"})
        await bob.call("POST", "/pictures", content=body, headers=kind)
    monkeypatch.setitem(door.server.rate_limits._limits, "picture", RateLimitItemPerDay(2))
    key = {**kind, "Idempotency-Key": "once"}
    for status in (200, 200, 429):
        answer = await door.call("POST", "/pictures", status, content=body, headers=key if status == 429 else kind)
    assert answer["code"] == "too_many_pictures"
    assert answer["params"]["retry_after"] >= 1
    monkeypatch.setitem(door.server.rate_limits._limits, "picture", None)
    await door.call("POST", "/pictures", content=body, headers=key)  # such a refusal is none for ever


async def test_what_is_no_picture_or_comes_from_nobody_is_not_kept(door: Door) -> None:
    for data, status, code in (
        (b"<svg onload=alert(1)>", 422, "bad_picture"),
        (a_png(tail=b"x" * 5_400_000), 413, "body_too_large"),
        (a_png(tail=b"x" * 5_242_880), 422, "picture_too_large"),
    ):
        body = await door.call("POST", "/pictures", status, files={"image": ("a.png", data, "image/png")})
        assert body["code"] == code
    async with client_of(door.app) as anybody:
        answer = await anybody.post("/pictures", files={"image": ("a.png", a_png(), "image/png")})
    assert answer.status_code == 401
    directory = door.server.settings.data_dir / "uploads" / "images"
    assert not directory.exists() or not list(directory.iterdir())
