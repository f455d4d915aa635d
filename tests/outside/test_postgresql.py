"""The same server on a real PostgreSQL: it answers, it is killed, and it has lost nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from postgres_server import Postgres

pytestmark = pytest.mark.outside


async def test_a_shop_on_postgresql_answers_and_survives_a_kill(
    sandbox: SandboxProcess, tmp_path: Path, postgres: Postgres
) -> None:
    seller = (await sandbox.get("sellers"))["items"][0]
    with postgres.database(migrated=True) as url:
        server = await ServerProcess(tmp_path / "data", sandbox.url, SHOAL_DATABASE_URL=url).start()
        try:
            await server.add("shop", seller["cookie"])
            await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "在的"}})
            await sandbox.do("say", account=seller["unb"], buyer="小鱼", text="在吗")

            async def answered() -> bool:
                return await sandbox.seen(seller["unb"], "小鱼") == ["在的"]

            await soon(answered)
            changed = await server.ok("PUT", "/cookies/shop/remark", {"remark": "kept"})
            await server.end(signal.SIGKILL)
            await server.start()
            shop = await server.ok("GET", "/cookies/shop")
            assert shop["generation"] == changed["generation"]
            assert shop["remark"] == "kept"

            async def running() -> bool:
                return await server.state("shop") == "running"

            await soon(running)
            assert not (server.data_dir / "shoal.db").exists()
        finally:
            await server.close()
