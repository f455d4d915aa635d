"""The server as a process, seen from outside: what was promised holds when it is killed, starved or misused."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.processes import (
    PASSWORD,
    SandboxProcess,
    ServerProcess,
    clean_environment,
    free_port,
    soon,
)
from support.runs.warm_start import served_once

pytestmark = pytest.mark.outside


async def sellers_of(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await sandbox.get("sellers"))["items"]
    return items


async def open_shop(server: ServerProcess, sandbox: SandboxProcess, keywords: dict[str, str] | None = None) -> str:
    seller = (await sellers_of(sandbox))[0]
    answer = await server.add("shop", seller["cookie"])
    assert answer["state"] == "running", answer
    if keywords:
        await server.ok("POST", "/keywords/shop", {"keywords": keywords})
    return str(seller["unb"])


async def test_a_buyer_gets_the_reply_and_a_new_keyword_answers_the_very_next_message(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    unb = await open_shop(server, sandbox, {"在吗": "在的"})
    await sandbox.do("say", account=unb, buyer="小鱼", text="在吗")

    async def answered(count: int) -> bool:
        return len(await sandbox.seen(unb, "小鱼")) >= count

    await soon(lambda: answered(1))
    await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "新的"}})
    await sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await soon(lambda: answered(2))
    assert await sandbox.seen(unb, "小鱼") == ["在的", "新的"]
    assert (await sandbox.sockets(unb))["total"] == 1
    listed = await server.ok("GET", "/messages?cid=shop")
    assert {item["outcome"] for item in listed["items"] if item.get("outcome")} <= {"sent"}


async def test_after_a_disable_is_answered_no_frame_leaves(server: ServerProcess, sandbox: SandboxProcess) -> None:
    unb = await open_shop(server, sandbox, {"在吗": "在的"})
    talking = [sandbox.do("say", account=unb, buyer=f"买家{n}", text="在吗") for n in range(30)]
    storm = asyncio.gather(*talking)
    answer = await server.ok("PUT", "/cookies/shop/status", {"enabled": False})
    assert answer["state"] == "stopped"
    before = (await sandbox.get("frames"))["last_seq"]
    await storm
    await asyncio.sleep(1.0)
    later = (await sandbox.get("frames", after=str(before), account=unb))["items"]
    assert not [frame for frame in later if frame["direction"] == "in"]

    async def left() -> bool:
        return bool((await sandbox.sockets(unb))["now"] == 0)

    await soon(left)


async def test_a_new_cookie_reconnects_once_and_a_rotated_one_not_at_all(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    unb = await open_shop(server, sandbox)
    cookie = (await sellers_of(sandbox))[0]["cookie"]
    before = await sandbox.sockets(unb)
    await server.ok("PUT", "/cookies/shop", {"id": "shop", "value": f"{cookie}; extra=1"})
    await soon(lambda: _running(server))
    after = await sandbox.sockets(unb)
    assert (after["total"], after["max"]) == (before["total"] + 1, 1)
    generation = (await server.ok("GET", "/cookies/shop"))["generation"]
    await sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value="rotated1", times=1)
    item = next(item["id"] for item in (await sellers_of(sandbox))[0]["items"])
    await server.ok("PUT", f"/cookies/shop/items/{item}", {"nothing_to_send": True})
    await server.ok("PUT", "/cookies/shop/auto-confirm", {"auto_confirm": True})
    generation += 2
    await sandbox.do("pay", account=unb, buyer="小鱼", item=item)  # the confirmation's answer rotates the cookie

    async def shipped() -> bool:
        return [order["status"] for order in (await sandbox.get("orders", account=unb))["items"]] == ["shipped"]

    await soon(shipped)
    assert (await sandbox.sockets(unb))["total"] == after["total"]
    assert (await server.ok("GET", "/cookies/shop"))["generation"] == generation


async def _running(server: ServerProcess, account_id: str = "shop") -> bool:
    return await server.state(account_id) == "running"


async def test_a_kill_during_200_toggles_loses_nothing_acknowledged(sandbox: SandboxProcess, tmp_path: Path) -> None:
    server = await ServerProcess(tmp_path / "data", sandbox.url).start()
    try:
        sellers = await sellers_of(sandbox)
        names = [f"shop{number}" for number in range(len(sellers))]
        for name, seller in zip(names, sellers, strict=True):
            await server.add(name, seller["cookie"])
        acknowledged, unanswered = await _toggle_until_killed(server, names, toggles=200)
        assert sum(map(len, acknowledged.values())) > 0
        await server.start()
        rows = {row["id"]: row for row in await server.ok("GET", "/cookies/details")}
        for name in names:
            history = (await server.ok("GET", f"/cookies/{name}/history?limit=200"))["items"]
            durable = {entry["generation"] for entry in history}
            answered = {generation for generation, _ in acknowledged[name]}
            assert answered <= durable, f"{name}: acknowledged and lost"
            assert len(durable - answered) <= 1 + unanswered[name], f"{name}: durable and never asked for"
            last_generation, last_value = max(acknowledged[name], default=(0, True))
            if rows[name]["generation"] == last_generation:
                assert rows[name]["enabled"] is last_value

        async def in_step() -> bool:
            now = {row["id"]: row for row in await server.ok("GET", "/cookies/details")}
            sockets = [(await sandbox.sockets(seller["unb"]))["now"] for seller in sellers]
            states = [now[name]["state"] == ("running" if now[name]["enabled"] else "stopped") for name in names]
            return all(states) and sockets == [int(now[name]["enabled"]) for name in names]

        await soon(in_step, seconds=60)
    finally:
        await server.close()


async def _toggle_until_killed(
    server: ServerProcess, names: list[str], *, toggles: int
) -> tuple[dict[str, list[tuple[int, bool]]], dict[str, int]]:
    """Toggle at once, kill -9 in the middle; returns ``(generation, value)`` acknowledged, and calls unanswered."""
    chance = random.Random(11)
    acknowledged: dict[str, list[tuple[int, bool]]] = {name: [] for name in names}
    unanswered = dict.fromkeys(names, 0)
    answered = asyncio.Event()
    count = 0

    async def toggle(name: str) -> None:
        nonlocal count
        enabled = bool(chance.getrandbits(1))
        try:
            answer = await server.ok("PUT", f"/cookies/{name}/status?wait=0", {"enabled": enabled})
        except httpx.TransportError:
            unanswered[name] += 1
            return
        if answer["changed"]:
            acknowledged[name].append((answer["generation"], enabled))
        count += 1
        if count >= toggles // 2:
            answered.set()

    storm = asyncio.gather(*(toggle(chance.choice(names)) for _ in range(toggles)))
    await answered.wait()
    await server.end(signal.SIGKILL)
    await storm
    return acknowledged, unanswered


async def test_a_second_server_on_the_same_data_is_refused_with_a_sentence(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    code, out = await served_once({**server.environment, "SHOAL_PORT": str(free_port())})
    assert code != 0
    assert "Traceback" not in out
    assert str(server.data_dir) in out or "data directory" in out


async def test_a_data_directory_that_cannot_be_written_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    code, out = await served_once(clean_environment(SHOAL_DATA_DIR=str(tmp_path / "file"), SHOAL_PORT="0"))
    assert code != 0
    assert "Traceback" not in out
    assert "file" in out


async def test_a_newer_database_stops_the_start_with_a_sentence(server: ServerProcess) -> None:
    await server.end()
    with sqlite3.connect(server.data_dir / "shoal.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    code, out = await served_once(server.environment)
    assert code != 0
    assert "Traceback" not in out
    assert "newer" in out


async def test_an_unknown_setting_stops_the_start_with_a_sentence_that_names_it(tmp_path: Path) -> None:
    code, out = await served_once(clean_environment(SHOAL_DATA_DIR=str(tmp_path / "d"), SHOAL_PROT="1"))
    assert code != 0
    assert "SHOAL_PROT" in out
    assert "Traceback" not in out


async def test_d9_the_port_and_the_data_directory_of_the_environment_are_honoured(server: ServerProcess) -> None:
    assert (server.data_dir / "secret.key").is_file()
    assert (await server.http.get("/health/live")).status_code == 200


async def test_a_stop_ends_the_streams_in_good_order(server: ServerProcess) -> None:
    async with server.http.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        while not (await anext(lines)).startswith("data:"):
            pass
        assert await server.end() == 0
        assert not any([line.startswith("data:") async for line in lines])  # raises nothing: the answer has an end
    assert "Traceback" not in server.log_file.read_text()


async def test_a_ten_megabyte_body_is_refused_and_the_server_goes_on(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    await open_shop(server, sandbox)
    response = await server.http.post("/keywords/shop", content=b'{"keywords": {"a": "' + b"x" * 10_000_000 + b'"}}')
    assert response.status_code == 413
    assert response.json()["code"]
    assert await _running(server)


async def test_no_secret_stands_in_any_file_or_log(server: ServerProcess, sandbox: SandboxProcess) -> None:
    await open_shop(server, sandbox, {"在吗": "在的"})
    cookie = (await sellers_of(sandbox))[0]["cookie"]
    secrets = [part.split("=", 1)[1] for part in cookie.split("; ") if part.split("=", 1)[0] in {"cookie2", "sgcookie"}]
    await server.end()
    for file in [*server.data_dir.rglob("*"), server.log_file]:
        if file.is_file():
            content = file.read_bytes()
            for secret in [*secrets, PASSWORD]:
                assert secret.encode() not in content, f"{file.name} holds a secret"
