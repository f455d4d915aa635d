"""Over TLS the site must prove itself before it is shown anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, soon

pytestmark = pytest.mark.outside


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SandboxProcess]:
    """A sandbox with TLS."""
    process = await SandboxProcess(tmp_path / "sandbox.log").start(tls=tmp_path / "tls")
    yield process
    await process.end()


@pytest.mark.parametrize("trusts", [True, False])
async def test_an_account_speaks_to_a_site_that_it_can_trust_and_shows_nothing_to_another(
    site: SandboxProcess, tmp_path: Path, trusts: bool
) -> None:
    seller = (await site.get("sellers"))["items"][0]
    trust = {"SSL_CERT_FILE": site.authority} if trusts else {}
    server = await ServerProcess(tmp_path / "data", site.url, **trust).start()
    try:
        await server.add("shop", seller["cookie"])
        if trusts:
            await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "在的"}})
            await site.do("say", account=seller["unb"], buyer="小鱼", text="在吗")

            async def answered() -> bool:
                return await site.seen(seller["unb"], "小鱼") == ["在的"]

            await soon(answered)
            assert await server.state("shop") == "running"
        else:

            async def given_up() -> bool:
                return await server.state("shop") == "retrying"

            await soon(given_up)
            assert (await site.sockets(seller["unb"]))["total"] == 0
            assert (await site.get("calls"))["items"] == []
    finally:
        await server.close()
