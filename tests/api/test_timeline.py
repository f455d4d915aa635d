"""The time line of an account's states."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.accounts.account import AccountState, StateMove
from shoal.api.schemas.responses import rfc3339
from support.servers.doors import Door, another_person
from support.site.standins import until

NOW = 1_800_000_000_000
HOUR = 3_600_000


@pytest.fixture
def _told(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """``shop`` has a past: up 20 h ago, down 10 h ago for 2 h, switched off 4 h ago for 3 h."""
    past = [
        (30 * 24, AccountState.STOPPED, ""),
        (20, AccountState.RUNNING, ""),
        (10, AccountState.RETRYING, "temporary_failure"),
        (8, AccountState.RUNNING, ""),
        (4, AccountState.STOPPED, ""),
        (1, AccountState.RUNNING, ""),
    ]
    moves = [
        StateMove(account_id="shop", state=state, reason=reason, at_ms=NOW - hours * HOUR)
        for hours, state, reason in past
    ]

    async def timeline(account_id: str, *, since_ms: int = 0, limit: int | None = None) -> list[StateMove]:
        before = [place for place, move in enumerate(moves) if move.at_ms < since_ms]
        return moves[before[-1] if before else 0 :]

    monkeypatch.setattr(door.server.store, "timeline", timeline)
    monkeypatch.setattr("shoal.api.routes.timeline.now_ms", lambda: NOW)


@pytest.mark.usefixtures("_told")
async def test_states_are_listed_newest_first_with_the_uptime(door: Door) -> None:
    body = await door.call("GET", "/cookies/shop/timeline")
    assert [row["state"] for row in body["items"]] == [
        "running", "stopped", "running", "retrying", "running", "stopped",
    ]  # fmt: skip
    assert body["items"][0] == {"state": "running", "reason": "", "since": rfc3339(NOW - HOUR), "until": None}
    assert body["items"][3] == {
        "state": "retrying", "reason": "temporary_failure", "since": rfc3339(NOW - 10 * HOUR),
        "until": rfc3339(NOW - 8 * HOUR),
    }  # fmt: skip
    assert body["uptime"] == {"day": round(15 / 17, 4), "week": round(15 / 17, 4)}
    assert body["next"] is None


@pytest.mark.usefixtures("_told")
async def test_it_is_read_in_pages_from_a_moment_on(door: Door) -> None:
    params: dict[str, Any] = {"since": rfc3339(NOW - 9 * HOUR), "limit": 2}
    first = await door.call("GET", "/cookies/shop/timeline", params=params)
    assert [row["state"] for row in first["items"]] == ["running", "stopped"]
    rest = await door.call("GET", "/cookies/shop/timeline", params={"cursor": first["next"], "limit": 2})
    assert [row["state"] for row in rest["items"]] == ["running", "retrying"], "the state at that moment is known"
    assert rest["items"][0]["until"] == rfc3339(NOW - 4 * HOUR)
    assert rest["next"] is None
    late = await door.call("GET", "/cookies/shop/timeline", params={"since": "2100-01-01T00:00:00Z"})
    assert late["items"] == []
    assert late["uptime"] == first["uptime"]


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00", "", "2026", "0.5", "1767225600", "NaN", "1e400"])
async def test_a_moment_is_written_out_and_has_a_zone(door: Door, since: str) -> None:
    for path in ("/cookies/shop/timeline", "/history", "/messages", "/activity"):
        await door.call("GET", path, 422, params={"since": since})
    for path in ("/history", "/messages"):
        await door.call("GET", path, 422, params={"until": since})


async def test_what_really_happened_is_told_to_the_owner_only(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    seen: list[str] = []

    async def look() -> None:
        seen[:] = [row["state"] for row in (await door.call("GET", "/cookies/shop/timeline"))["items"]]

    await look()
    for _ in range(100):
        if seen and seen[0] == "stopped":
            break
        await until(lambda: not door.server.manager._task_manager._dirty)
        await look()
    assert seen[0] == "stopped"
    assert "running" in seen
    async with another_person(door) as bob:
        await bob.call("GET", "/cookies/shop/timeline", 404)
