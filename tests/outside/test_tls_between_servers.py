"""Two servers that call each other over TLS: each must prove itself by an authority that the other trusts."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from outside.node_pair import Pair, a_pair
from outside.test_asked_nodes import ready, send
from shoal.sandbox.certificate import make_certificate
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.cold, pytest.mark.long, pytest.mark.timeout(600)]
"""``cold``: authorities are read from the environment at import. ``test_node_calls.py`` is the shorter form."""


@asynccontextmanager
async def _pair(tmp_path: Path, postgres: Postgres, *, trusts: bool) -> AsyncIterator[Pair]:
    """Two servers with certificates; the browser's side trusts them in any case."""
    made = make_certificate(tmp_path / "tls")
    trusted = ssl.create_default_context(cafile=str(made.authority))
    async with a_pair(tmp_path, postgres, lease_seconds="60") as pair:
        for server in (pair.one, pair.two):
            await server.http.aclose()
            server.url = server.url.replace("http:", "https:")
            server.http = httpx.AsyncClient(base_url=server.url, timeout=120, verify=trusted)
            server.environment |= {
                "SHOAL_NODE_ADDRESS": server.url,
                "SHOAL_TLS_CERT": str(made.site),
                "SHOAL_TLS_KEY": str(made.site),
            }
            if trusts:
                server.environment["SSL_CERT_FILE"] = str(made.authority)
        yield pair


async def test_each_is_asked_over_tls_by_the_other(tmp_path: Path, postgres: Postgres) -> None:
    async with _pair(tmp_path, postgres, trusts=True) as pair:
        await ready(pair)
        for server in (pair.one, pair.two):
            for shop in pair.sellers:
                status, answer = await send(server, shop, server.url, f"{shop}-{server.port}")
                assert status == 200, answer
        assert await pair.answers() == [["在的", pair.one.url, pair.two.url]] * len(pair.sellers)


async def test_one_that_the_other_does_not_trust_is_told_nothing(tmp_path: Path, postgres: Postgres) -> None:
    async with _pair(tmp_path, postgres, trusts=False) as pair:
        await ready(pair)
        for shop in pair.sellers:
            asked = [await send(server, shop, "有", f"{shop}-{server.port}") for server in (pair.one, pair.two)]
            assert max((status, answer.get("code", "")) for status, answer in asked) == (503, "owner_untrusted")
        assert await pair.answers() == [["在的", "有"]] * len(pair.sellers)
