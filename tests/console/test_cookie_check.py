"""A pasted cookie is judged at once, and kept nowhere."""

from __future__ import annotations

from support.servers.doors import Door
from support.site.standins import cookie_of, unb_of


async def test_it_says_whose_cookie_it_is_and_what_is_missing(door: Door) -> None:
    found = await door.call("POST", "/console/cookie-check", json={"value": f"Cookie: unb={unb_of(9)}; x=1"})
    assert found["unb"] == unb_of(9)
    assert found["missing_required"] == ["cookie2"]
    assert found["missing_renewable"] == ["_m_h5_tk", "_m_h5_tk_enc"]
    whole = await door.call("POST", "/console/cookie-check", json={"value": cookie_of(9)})
    assert whole["missing_required"] == whole["missing_renewable"] == []


async def test_what_is_no_cookie_is_refused_with_a_sentence_that_does_not_repeat_it(door: Door) -> None:
    problem = await door.call("POST", "/console/cookie-check", 422, json={"value": "private words"})
    assert problem["code"] == "malformed_cookie"
    assert "private" not in str(problem)


async def test_only_who_is_signed_in_may_ask(door: Door) -> None:
    door.client.headers.pop("Authorization")
    await door.call("POST", "/console/cookie-check", 401, json={"value": cookie_of(9)})
