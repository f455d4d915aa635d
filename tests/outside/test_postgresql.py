"""The same server on a real PostgreSQL: it answers, it is killed, and it has lost nothing."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from support.databases.earlier_copies import earlier_copy
from support.databases.postgres_server import Postgres

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


async def test_a_server_ends_with_a_sentence_when_postgresql_has_lost_what_it_committed(
    sandbox: SandboxProcess, tmp_path: Path, postgres: Postgres
) -> None:
    """So that its service manager starts it again, and it reads everything again."""
    with postgres.database(migrated=True) as url:
        server = await ServerProcess(tmp_path / "data", sandbox.url, SHOAL_DATABASE_URL=url).start()
        try:
            with earlier_copy(postgres, url) as go_back:

                async def goods_are_made() -> bool:
                    return (await server.http.post("/goods", json={"name": "教程", "kind": "fixed"})).is_success

                await soon(goods_are_made)  # its connections have ended, and nothing was lost
                go_back()
                child = server.child

                async def has_ended() -> bool:
                    with suppress(httpx.TransportError):
                        again = await server.http.post("/goods", json={"name": "second", "kind": "fixed"})
                        assert again.status_code == 503, again.text
                    return child.returncode is not None

                await soon(has_ended)
                assert child.returncode == 1
            assert "does not have the last changes of this server any more" in server.log_file.read_text()
        finally:
            await server.close()
