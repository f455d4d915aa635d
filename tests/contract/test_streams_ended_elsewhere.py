"""A stream ends soon after another server has ended its session or token, or has blocked its user."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.stream_reader import reading
from shoal.auth.users import Role
from support.servers.doors import Door, client_of, open_door, served
from support.site.standins import until

PASSWORD = "a password of theirs"


async def test_a_session_a_token_and_a_user_that_one_server_ends_end_their_streams_at_another(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No beat comes, so it is not the beat that finds out."""
    monkeypatch.setattr("shoal.api.routes.events.BEAT_SECONDS", 3600.0)
    monkeypatch.setattr("shoal.api.http.streams.ASKED_EVERY_SECONDS", 0.2)
    shared: dict[str, Any] = {"database_url": url, "secret_key": "5a" * 32, "node_lease_seconds": 300.0}
    async with (
        open_door(tmp_path / "a", node="a", **shared) as here,
        open_door(tmp_path / "b", node="b", **shared) as there,
        served(there) as address,
    ):
        await here.add()
        await until(lambda: "shop" in there.server.manager.accounts)
        bob = await here.server.users.create("bob", PASSWORD, role=Role.STAFF)
        leaving, staying = [await here.server.sessions.open(bob.id, 3600) for _ in range(2)]
        async with client_of(here.app, staying) as client:
            script = (await client.post("/tokens", json={"name": "s", "scope": "read"})).json()

            async def sign_out() -> httpx.Response:
                async with client_of(here.app, leaving) as other:
                    return await other.post("/logout")

            async def revoke() -> httpx.Response:
                return await client.delete(f"/tokens/{script['id']}")

            async def block() -> httpx.Response:
                return await here.client.patch(f"/users/{bob.id}", json={"active": False})

            for token, end in ((leaving, sign_out), (script["token"], revoke), (staying, block)):
                async with (
                    client_of(there.app, token) as reader_client,
                    reading(address, Door(there.app, reader_client, there.site)) as reader,
                ):
                    await reader.next()
                    assert (await end()).status_code == 200
                    async with asyncio.timeout(60):
                        with pytest.raises(EOFError):
                            await reader.next()
