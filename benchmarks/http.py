"""Speed of the HTTP API beside its limits: ``python -m benchmarks.http``.

The real server process, its site stubbed (``stub_server``), and beside it, in a process of their own (``bare_server``),
bare FastAPI and Starlette with msgspec, each also with one durable row. Each round measures all of them one after
another, for the same time and with the same callers; the figures are medians of the rounds, and so are the ratios. CPU
is that of the server's process. Where other programs run, only what is "by CPU" tells.

``--base URL`` measures another server with the same REST contract instead, signed in as ``BENCH_USER`` with
``BENCH_PASSWORD``; its accounts ``bench-…`` are created before and deleted after.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from benchmarks import PARKED
from benchmarks.figures import keep
from benchmarks.load import Figures, call, request_bytes
from benchmarks.processes import PASSWORD, Process, ServerProcess, clean_environment, free_port, soon

NOWHERE = "http://127.0.0.1:9"
CALLERS = (1, 8, 64)
ACCOUNTS = (1, 50, 500)
MAIN_ACCOUNTS = 500
RULES = 1_000
COOKIE = "unb={unb}; _m_h5_tk=0123456789abcdef0123456789abcdef_1795795041331; cookie2=0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure."""

    base: str
    token: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request, and the kind of bare requests beside which it is measured.

    ``durable``: the bare request that also stores a row.
    """

    name: str
    beside: str
    requests: Callable[[Target, Sequence[str]], list[bytes]]
    durable: str = ""

    @property
    def limits(self) -> dict[str, str]:
        """The names of the limits, and the paths of their requests."""
        durable = {f"{name} durable": f"/{name}/{self.durable}/{{}}" for name in ("lean", "bare") if self.durable}
        return {"lean": f"/lean/{self.beside}/{{}}", "bare": f"/bare/{self.beside}/{{}}", **durable}


def _put(path: str, field: str, accounts: int | None = None) -> Callable[[Target, Sequence[str]], list[bytes]]:
    """Return a builder of requests that switch each account off, then each on, and so on."""

    def build(target: Target, ids: Sequence[str]) -> list[bytes]:
        return [
            request_bytes("PUT", target.base, path.format(key), token=target.token, body={field: value})
            for value in (False, True)
            for key in ids[:accounts]
        ]

    return build


def _get(path: str) -> Callable[[Target, Sequence[str]], list[bytes]]:
    return lambda target, ids: [
        request_bytes("GET", target.base, path.format(key), token=target.token) for key in ids[:50]
    ]


def _hook(target: Target, ids: Sequence[str]) -> list[bytes]:
    body = {
        "cookie_id": ids[0], "msg_time": "2026-01-02 03:04:05", "user_url": "", "send_user_id": "2200000000009",
        "send_user_name": "小鱼", "item_id": "700000000001", "send_message": "", "chat_id": "50000000001",
    }  # fmt: skip
    return [
        request_bytes(
            "POST", target.base, "/xianyu/reply", token=target.token,
            body={**body, "send_message": f"请问词{number * 37 % RULES}x有吗"},
        )
        for number in range(100)
    ]  # fmt: skip


def _switch(accounts: int | None = None) -> Callable[[Target, Sequence[str]], list[bytes]]:
    return _put("/cookies/{}/status", "enabled", accounts)


def _parked(target: Target, ids: Sequence[str]) -> list[bytes]:
    """Switch accounts that wait for their owner: the switch is stored, and nothing starts or stops."""
    return _switch()(target, _parked_of(ids))


def _parked_of(ids: Sequence[str]) -> list[str]:
    return [f"{PARKED}{key}" for key in ids[:50]]


def _all_of(ids: Sequence[str]) -> list[str]:
    """Return the ids with those of the accounts that park."""
    return [*ids, *_parked_of(ids)]


OPERATIONS = (
    Operation("reply hook", "put", _hook),
    Operation("get an account", "read", _get("/cookies/{}")),
    Operation("list ids", "read", _get("/cookies")),
    Operation("list details", "read", _get("/cookies/details")),
    Operation("login check", "read", _get("/verify")),
    Operation("server lives", "read", _get("/health/live")),
    Operation("auto-confirm", "put", _put("/cookies/{}/auto-confirm", "auto_confirm"), durable="durable"),
    Operation("switch, running", "put", _switch(), durable="durable"),
    Operation("switch, parked", "put", _parked, durable="durable"),
    Operation("switch, one account", "put", _switch(1), durable="alone"),
)
"""What leaves accounts disabled comes last."""


class StubServer(ServerProcess):
    """``shoal serve`` with a stubbed site and the default settings, apart from the limit of calls."""

    command = ("-m", "benchmarks.stub_server")


@asynccontextmanager
async def shoal(directory: Path, **environment: str) -> AsyncIterator[Target]:
    """Run the server."""
    server = StubServer(directory / "data", NOWHERE, SHOAL_LOG_LEVEL="INFO", **environment)
    try:
        await server.start()
        token = str(server.http.headers["Authorization"]).removeprefix("Bearer ")
        yield Target(server.url, token, server.child.pid)
    finally:
        await server.close()


@asynccontextmanager
async def bare(directory: Path) -> AsyncIterator[Target]:
    """Run bare FastAPI."""
    port = free_port()
    process = Process(directory / "bare.log")
    child = await process.spawn(
        "-m", "benchmarks.bare_server", str(port), str(directory), environment=clean_environment()
    )
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base) as http:

        async def ready() -> bool:
            assert child.returncode is None, process.log_file.read_text()[-2000:]
            try:
                return (await http.get("/bare/read/x")).status_code == 200
            except httpx.TransportError:
                return False

        await soon(ready, seconds=180)
    try:
        yield Target(base, pid=child.pid)
    finally:
        await process.end()


async def add_accounts(target: Target, ids: Sequence[str], *, rules: int = RULES) -> None:
    """Add the accounts; give the first one rules."""
    headers = {"Authorization": f"Bearer {target.token}"}
    async with httpx.AsyncClient(base_url=target.base, headers=headers, timeout=120) as http:
        for number, key in enumerate(ids):
            body = {"id": key, "value": COOKIE.format(unb=2200000000001 + number)}
            (await http.post("/cookies", json=body)).raise_for_status()
        texts = {f"词{number}x": f"这是第 {number} 条回复" for number in range(rules)}
        (await http.post(f"/keywords/{ids[0]}", json={"keywords": texts})).raise_for_status()


async def remove_accounts(target: Target, ids: Sequence[str]) -> None:
    """Delete the accounts."""
    headers = {"Authorization": f"Bearer {target.token}"}
    async with httpx.AsyncClient(base_url=target.base, headers=headers, timeout=120) as http:
        for key in ids:
            await http.delete(f"/cookies/{key}")


def _median(runs: Sequence[Figures], value: Callable[[Figures], float | None]) -> float | None:
    found = [number for number in map(value, runs) if number is not None]
    return statistics.median(found) if found else None


async def measure(
    target: Target, limit: Target | None, ids: Sequence[str], *, rounds: int, seconds: float, callers: Sequence[int]
) -> list[dict[str, Any]]:
    """Measure each operation, each number of callers; the limit beside it in each round. Return a row for each."""
    rows = []
    for operation in OPERATIONS:
        ours = operation.requests(target, ids)
        for width in callers:
            found: dict[str, list[Figures]] = {name: [] for name in ("", *operation.limits)}
            for _ in range(rounds):
                found[""].append(await call(target.base, ours, callers=width, seconds=seconds, pid=target.pid))
                if limit is None:
                    continue
                for name, path in operation.limits.items():
                    requests = (
                        _get(path)(limit, ids) if operation.beside == "read" else _put(path, "enabled")(limit, ids)
                    )
                    found[name].append(await call(limit.base, requests, callers=width, seconds=seconds, pid=limit.pid))
            rows.append(_row(operation, width, len(ids), found))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def _row(operation: Operation, callers: int, accounts: int, found: dict[str, list[Figures]]) -> dict[str, Any]:
    runs = found.pop("")
    p50 = _median(runs, lambda run: run.quantile_ms(0.5))
    p99 = _median(runs, lambda run: run.quantile_ms(0.99))
    assert p50 is not None
    assert p99 is not None
    row: dict[str, Any] = {
        "request": operation.name,
        "accounts": accounts,
        "callers": callers,
        "per second": _median(runs, lambda run: run.per_second),
        "p50 ms": p50,
        "p99 ms": p99,
        "p99 of p50": p99 / p50,
        "CPU µs": _median(runs, lambda run: run.cpu_us),
    }
    for name, beside in found.items():
        ratios = [ours.per_second / limit.per_second for ours, limit in zip(runs, beside, strict=False)]
        by_cpu = [
            limit.cpu_us / ours.cpu_us
            for ours, limit in zip(runs, beside, strict=False)
            if limit.cpu_us is not None and ours.cpu_us
        ]
        its_p50 = _median(beside, lambda run: run.quantile_ms(0.5))
        row |= {
            f"{name} per second": _median(beside, lambda run: run.per_second),
            f"{name} CPU µs": _median(beside, lambda run: run.cpu_us),
            f"of {name}": statistics.median(ratios) if ratios else None,
            f"of {name} by CPU": statistics.median(by_cpu) if by_cpu else None,
            f"p50 of {name}": None if its_p50 is None else p50 / its_p50,
        }
    refused = sorted({status for run in runs for status in run.refused})
    return row | {"refused": ", ".join(map(str, refused)) or "none"}


async def measure_here(arguments: argparse.Namespace) -> None:
    """Measure this server beside its limits."""
    rows: list[dict[str, Any]] = []
    for accounts in arguments.accounts:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            async with bare(root) as limit, shoal(root) as target:
                ids = [f"bench-{number}" for number in range(accounts)]
                await add_accounts(target, _all_of(ids))
                rows += await measure(
                    target, limit, ids,
                    rounds=arguments.rounds, seconds=arguments.seconds, callers=arguments.callers,
                )  # fmt: skip
    keep("http", rows, about=_about(arguments))


async def sign_in(base: str, pid: int | None) -> Target:
    """Sign in to another server as ``BENCH_USER`` with ``BENCH_PASSWORD``."""
    body = {"username": os.environ.get("BENCH_USER", "admin"), "password": os.environ.get("BENCH_PASSWORD", PASSWORD)}
    async with httpx.AsyncClient(base_url=base, timeout=60) as http:
        answer = (await http.post("/login", json=body)).json()
    if not answer.get("success"):
        raise SystemExit(
            f"The server refused the sign-in: {answer.get('message', answer)}. Set BENCH_USER, BENCH_PASSWORD."
        )
    return Target(base, answer["token"], pid)


async def measure_there(arguments: argparse.Namespace) -> None:
    """Measure another server with the same REST contract."""
    target = await sign_in(arguments.base, arguments.pid)
    ids = [f"bench-{number}" for number in range(max(arguments.accounts))]
    try:
        await add_accounts(target, _all_of(ids))
        rows = await measure(
            target, None, ids, rounds=arguments.rounds, seconds=arguments.seconds, callers=arguments.callers
        )
    finally:
        await remove_accounts(target, _all_of(ids))
    keep("http-compare", rows, about=f"{arguments.base}: {_about(arguments)}")


def _about(arguments: argparse.Namespace) -> str:
    return f"HTTP API, {arguments.rounds} rounds of {arguments.seconds:g} s each"


def comparing_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the arguments of each benchmark that can also measure another server."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--base", default="", help="the address of another server")
    parser.add_argument("--pid", type=int, default=None, help="its process, to measure its CPU time")
    return parser


def main() -> None:
    """Read the arguments and measure."""
    parser = comparing_parser(__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=list(ACCOUNTS))
    parser.add_argument("--callers", type=int, nargs="+", default=list(CALLERS))
    arguments = parser.parse_args()
    uvloop.run(measure_there(arguments) if arguments.base else measure_here(arguments))


if __name__ == "__main__":
    main()
