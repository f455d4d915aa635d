"""Starts the real sandbox and server as an owner would, for benchmarks and for tests from outside."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import json
import os
import random
import signal
import socket
import ssl
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

START_SECONDS = 180.0
"""A process that has not started by then never will: a busy machine needs half a minute."""
PASSWORD = "correct horse 9 staple"
QUICK_ENVIRONMENT = {
    "SHOAL_STARTS_PER_SECOND": "500",
    "SHOAL_RECONNECTS_PER_SECOND": "500",
    "SHOAL_TOKEN_CALLS_PER_SECOND": "500",
    "SHOAL_REPLY_DEBOUNCE_SECONDS": "0",
}


KEPT = httpx.Limits(keepalive_expiry=30.0)
"""For clients of the server and the sandbox, which keep idle connections for 75 seconds. httpx closes what is kept too
long even when another request has just begun on it: after a second without a turn on a busy machine, many at once were
lost."""
_WITHOUT_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients without TLS. By default httpx reads all authorities for each client: 0.005 s."""
_TAKEN_BY_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OURS = 12_000
"""So many ports below those of the kernel are tried."""
_PORTS_KEPT = 64
_kept = deque[socket.socket](maxlen=_PORTS_KEPT)
"""Keeps the last chosen ports from other callers, also from those of other processes, until this process ends.

A socket that is bound and does not listen stops ``free_port`` alone: a server that listens reuses the address.
"""


@atexit.register
def _give_ports_back() -> None:
    while _kept:
        _kept.pop().close()


def free_port() -> int:
    """Return a port that is free now, and that neither the kernel nor ``free_port`` gives to anybody else.

    Between the choice and the start of the server, which takes seconds, every connection of the machine takes a port,
    and other tests choose theirs.
    """
    lowest = int(_TAKEN_BY_THE_KERNEL.read_text().split()[0]) if _TAKEN_BY_THE_KERNEL.exists() else 0
    for _ in range(100):
        port = random.randrange(max(lowest - _OURS, 1024), lowest) if lowest > _OURS else 0  # noqa: S311  (no secret)
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            continue
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from now on, for the server
        if len(_kept) == _PORTS_KEPT:
            _kept.popleft().close()
        _kept.append(probe)
        chosen: int = probe.getsockname()[1]
        return chosen
    raise OSError("no port is free")


def clean_environment(**values: str) -> dict[str, str]:
    """Return this environment without Shoal's own settings, plus ``values``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **values}


async def soon(what: Callable[[], Awaitable[bool]], *, seconds: float = 60.0, every_seconds: float = 0.05) -> None:
    """Wait until a condition is true. Fail the test after the limit. Each question is work for who must answer it."""
    async with asyncio.timeout(seconds):
        while not await what():
            await asyncio.sleep(every_seconds)


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def end_with_the_parent() -> None:
    """Make the kernel kill this process when its parent ends in any way."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child process that is always ended, by its id; on Linux also when this process is killed."""

    apart = False
    """Whether the child is in its own session, so that a Ctrl-C at this process does not reach it."""

    def __init__(self, log_file: Path) -> None:
        self.log_file = log_file
        self._child: asyncio.subprocess.Process | None = None

    def adopt(self, child: Any) -> None:
        """Take over a child process that other code started."""
        self._child = child

    async def spawn(self, *arguments: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
        """Start ``python`` with arguments; its stderr goes to the log file."""
        with self.log_file.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                preexec_fn=end_with_the_parent,
                start_new_session=self.apart,
            )
        return self._child

    @property
    def child(self) -> asyncio.subprocess.Process:
        """Return the running child."""
        assert self._child is not None, "not started"
        return self._child

    @property
    def is_running(self) -> bool:
        """Return whether it was started, and has not ended."""
        return self._child is not None and self._child.returncode is None

    async def end_at_once(self) -> None:
        """Kill it, also when it is frozen."""
        if self._child is not None:
            await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 60.0) -> int:
        """Send a signal and wait; kill the child after the limit."""
        if self._child is None:
            return 0
        child, self._child = self._child, None
        with suppress(ProcessLookupError):
            child.send_signal(number)
        drain = asyncio.create_task(child.communicate())
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(drain)
        except TimeoutError:
            child.kill()
            await drain
            raise
        code = child.returncode
        assert code is not None
        return code


class SandboxProcess(Process):
    """The sandbox process: the local site."""

    url = ""
    authority = ""
    """The file of the certificate authority to trust, when the sandbox uses TLS."""
    _http: httpx.AsyncClient

    async def start(self, *, shops: int = 3, seed: int = 0, tls: Path | None = None) -> Self:
        """Start it on a free port and wait until it is ready. ``tls``: a directory for its certificate."""
        options = ["--shops", str(shops), "--seed", str(seed), "--quiet", *(["--tls", str(tls)] if tls else [])]
        child = await self.spawn("-m", "shoal.sandbox", *options, environment=clean_environment())
        assert child.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = (await child.stdout.readline()).decode()
        assert line.startswith("SANDBOX "), line
        facts = json.loads(line.removeprefix("SANDBOX "))
        self.url, self.authority = facts["url"], facts.get("authority", "")
        trust = ssl.create_default_context(cafile=self.authority) if tls else _WITHOUT_AUTHORITIES
        self._http = httpx.AsyncClient(base_url=f"{self.url}/_sandbox/", verify=trust, timeout=60, limits=KEPT)
        return self

    async def do(self, action: str, **body: Any) -> dict[str, Any]:
        """POST a control route."""
        response = await self._http.post(action, json=body)
        assert response.status_code < 300, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def get(self, what: str, **query: str) -> dict[str, Any]:
        """GET a control route."""
        response = await self._http.get(what, params=query)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def end(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 60.0) -> int:
        """End the process. Close the client first, so that no open connection delays the end."""
        if self.url:
            await self._http.aclose()
        return await super().end(number, seconds=seconds)

    async def seen(self, account: str, buyer: str) -> list[str]:
        """Return what a shop sent in a chat, as the buyer sees it."""
        return [line["text"] for line in (await self.get(f"chats/{account}/{buyer}"))["seen"]]

    async def sockets(self, account: str) -> dict[str, Any]:
        """Return the socket counts of an account."""
        counts: dict[str, Any] = (await self.get("sockets", account=account)).get(account, {})
        return {"now": 0, "max": 0, "total": 0, **counts}


class ServerProcess(Process):
    """``shoal serve`` on a data directory, against a sandbox."""

    command: tuple[str, ...] = ("-m", "shoal")
    options: tuple[str, ...] = ()
    """Of ``shoal serve``."""

    def __init__(self, data_dir: Path, sandbox_url: str, **environment: str) -> None:
        super().__init__(data_dir.parent / f"{data_dir.name}.log")
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = clean_environment(
            SHOAL_DATA_DIR=str(data_dir),
            SHOAL_PORT=str(self.port),
            SHOAL_SESSION_CALLS_PER_MINUTE="0",  # tests decide how much they ask of the server
            SHOAL_ADMIN_PASSWORD=PASSWORD,
            SHOAL_ALLOW_PRIVATE_TARGETS="127.0.0.1",
            SHOAL_SITE_MTOP_URL=sandbox_url,
            SHOAL_SITE_PASSPORT_URL=sandbox_url,
            SHOAL_SITE_UPLOAD_URL=sandbox_url,
            SHOAL_SITE_WS_URL=sandbox_url.replace("http", "ws", 1) + "/",
            **{**QUICK_ENVIRONMENT, **environment},
        )
        self.http = httpx.AsyncClient(base_url=self.url, verify=_WITHOUT_AUTHORITIES, timeout=120, limits=KEPT)

    async def start(self) -> Self:
        """Start it, wait until it is ready, sign in."""
        child = await self.spawn(*self.command, "serve", *self.options, environment=self.environment)

        async def ready() -> bool:
            assert child.returncode is None, self.log_file.read_text()[-2000:]
            try:
                return (await self.http.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await soon(ready, seconds=START_SECONDS, every_seconds=0.1)  # each question slows the start
        self.http.headers["Authorization"] = f"Bearer {await self.sign_in()}"
        return self

    async def sign_in(self) -> str:
        """Sign in and return the token. Ask again after each 503: the database of a busy machine may be slow to answer.

        What was answered then is printed, and is in the failure.
        """
        async with asyncio.timeout(START_SECONDS):
            while True:
                answer = await self.http.post("/login", json={"username": "admin", "password": PASSWORD})
                if answer.status_code != 503:
                    break
                sys.stderr.write(f"{self.url}/login: 503 {answer.text}\n")
                await asyncio.sleep(0.5)
        outcome = f"/login: {answer.status_code} {answer.text}"
        assert answer.status_code == 200, outcome
        assert answer.json()["success"], outcome
        return str(answer.json()["token"])

    async def close(self) -> None:
        """End the server and the client."""
        await self.http.aclose()
        await self.end()

    async def add(self, account_id: str, cookie: str, *, wait: float = 60) -> dict[str, Any]:
        """Add an account."""
        answer: dict[str, Any] = await self.ok("POST", f"/cookies?wait={wait}", {"id": account_id, "value": cookie})
        return answer

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request that must succeed, and return its body.

        Ask again after a 503 that says that nothing was changed: PostgreSQL ends a transaction of a process to which a
        busy machine gives no time. What was answered then is printed, and is in the failure.
        """
        async with asyncio.timeout(START_SECONDS):
            while (response := await self.http.request(method, path, json=body)).status_code == 503:
                if '"not_applied"' not in response.text:
                    break
                sys.stderr.write(f"{self.url}{path}: 503 {response.text}\n")
                await asyncio.sleep(0.5)
        assert response.status_code in {200, 207}, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    async def state(self, account_id: str) -> str:
        """Return the state of an account."""
        return str((await self.ok("GET", f"/cookies/{account_id}"))["state"])
