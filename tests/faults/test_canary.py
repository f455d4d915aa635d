"""The canary: what must stay secret was used everywhere, and stands in no answer, event, log or byte of a file."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyotp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess, soon
from faults.canaries import (
    ADDED,
    BAD_PROXY_PASSWORD,
    CHANNEL_TOKEN,
    CONTROL,
    METRICS_TOKEN,
    MISPLACED,
    NEXT_PASSWORD,
    PROVIDER_KEY,
    PROXY_PASSWORD,
    PROXY_USER,
    RENEWED,
    ROTATED,
    SECRET_COOKIES,
    SITE_TOKEN,
    THEIR_PASSWORD,
    UPLOADED,
    WEBHOOK_SECRET,
    WRONG_CODE,
    WRONG_PASSWORD,
    read_everything,
)
from faults.durable import KEY_FILE
from support.files.picture_files import a_png
from support.network.proxies import small_proxy

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]
GIVEN = {"/tokens", "/me/totp", "/me/totp/confirm", "/me/recovery-codes", "/invitations", "/console/session"}
"""What answers a POST to these holds a secret that is for its reader, this once."""


def shapes_of(secret: str) -> Iterator[bytes]:
    """A secret as it is, and as it would look in hex or in base64 at any offset."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + raw)
        yield encoded[4 if lead else 0 : -4]  # the ends depend on what stands beside it


def without_code(content: bytes) -> bytes:
    """The answer of a QR login without the code, which is for its owner: it must stand nowhere else."""
    body = json.loads(content)
    for login in body.get("items", [body]):
        for name in ("content", "picture", "qr_code_url"):
            login.pop(name, None)
    return json.dumps(body).encode()


class Evidence:
    """Everything that left the server."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, bytes]] = []
        self.paths: set[tuple[str, str, int]] = set()

    async def take(self, response: httpx.Response) -> None:
        """Keep an answer whole; a stream is kept by who reads it, a sign-in gives its token to whom it belongs."""
        request = response.request
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return
        await response.aread()
        if request.url.path == "/login" and response.status_code == 200 and response.json()["success"]:
            return
        if request.method == "POST" and request.url.path in GIVEN and response.status_code == 200:
            return
        head = response.headers.multi_items()
        self.note(request.method, request.url.path, response.status_code, head, response.content)

    def note(self, method: str, path: str, status: int, head: list[tuple[str, str]], content: bytes) -> None:
        """Keep an answer, but for the code of a QR login."""
        self.paths.add((method, path, status))
        if path.startswith("/qr-login"):
            content = without_code(content)
        self.pieces.append((f"{method} {path} {status}", repr(head).encode() + content))

    def take_files(self, when: str, server: ServerProcess) -> None:
        """Keep every byte of the data directory but the key, and of the log."""
        for path in [*server.data_dir.rglob("*"), server.log_file]:
            if path.is_file() and path.name != KEY_FILE:
                self.pieces.append((f"{path.name} {when}", path.read_bytes()))

    def take_process(self, server: ServerProcess) -> None:
        """Keep the command line that everybody on the machine can read, and all that its children were told."""
        process = psutil.Process(server.child.pid)
        self.pieces.append(("the command line", "\0".join(process.cmdline()).encode()))
        for child in process.children(recursive=True):
            told = child.cmdline()
            with contextlib.suppress(psutil.AccessDenied):  # of a process that allows no core only root is told
                told += [f"{name}={value}" for name, value in child.environ().items()]
            self.pieces.append(("a child process", "\0".join(told).encode()))

    def finds(self, secrets: dict[str, str]) -> list[str]:
        """Where any secret stands."""
        return [
            f"{name} stands in {where}"
            for name, secret in secrets.items()
            for shape in set(shapes_of(secret))
            for where, content in self.pieces
            if shape in content
        ]


async def listen(http: httpx.AsyncClient, evidence: Evidence) -> None:
    """Keep all that the stream tells, until the server goes."""
    told = bytearray()
    try:
        async with http.stream("GET", "/events") as response:
            async for chunk in response.aiter_bytes():
                told += chunk
    except httpx.TransportError:
        pass
    evidence.pieces.append(("GET /events", bytes(told)))


async def follow(server: ServerProcess, token: str, evidence: Evidence) -> None:
    """Keep all that the console's socket tells, until the server or the sign-in goes."""
    headers = {"Cookie": f"shoal_session={token}"}
    where = server.url.replace("http", "ws", 1) + "/console/live"
    async with connect(where, origin=Origin(server.url), additional_headers=headers, open_timeout=60) as socket:
        with contextlib.suppress(ConnectionClosed):
            while True:
                told = await socket.recv()
                evidence.pieces.append(("the console's socket", told.encode() if isinstance(told, str) else told))


async def open_console(server: ServerProcess) -> str:
    """Sign a browser in; returns its token."""
    said = {"name": "admin", "password": PASSWORD}
    answer = await server.http.post("/console/session", json=said, headers={"Origin": server.url})
    assert answer.status_code == 200, answer.text
    token: str = answer.cookies["shoal_session"]
    server.http.cookies.clear()
    return token


async def meet_somebody(server: ServerProcess, evidence: Evidence) -> dict[str, str]:
    """Another person comes in by a link, has a second factor and a token. Returns what must stay secret of them."""
    invitation = (await server.ok("POST", "/invitations", {"role": "owner"}))["token"]
    hooks = {"response": [evidence.take]}
    async with httpx.AsyncClient(base_url=server.url, timeout=60, event_hooks=hooks) as http:

        async def post(path: str, body: Any, status: int = 200, key: str = "") -> Any:
            headers = {"Idempotency-Key": key} if key else {}
            answer = await http.post(path, json=body, headers=headers)
            assert answer.status_code == status, (path, answer.text)
            return answer.json()

        await post("/join/look", {"token": invitation})
        await post("/join", {"token": invitation, "username": "bob", "password": THEIR_PASSWORD})
        await post("/join", {"token": invitation, "username": "bob2", "password": THEIR_PASSWORD}, 404)
        said = {"username": "bob", "password": THEIR_PASSWORD}
        first = (await post("/login", said))["token"]
        http.headers["Authorization"] = f"Bearer {first}"
        api = (await post("/tokens", {"name": "canary", "scope": "manage"}, key="once"))["token"]
        seed = (await post("/me/totp", {"password": THEIR_PASSWORD}, key="twice"))["secret"]
        app = pyotp.TOTP(seed)
        codes = (await post("/me/totp/confirm", {"code": app.now()}))["recovery_codes"]
        del http.headers["Authorization"]
        second = (await post("/login", {**said, "totp": codes[0]}))["token"]
        http.headers["Authorization"] = f"Bearer {api}"
        for path in ("/cookies", "/me", f"/cookies/{api}", f"/cookies/{invitation}/history", f"/nowhere?token={api}"):
            await http.get(path)
        http.headers["Authorization"] = f"Bearer {second}"
        await http.request("DELETE", "/me/totp", json={"password": THEIR_PASSWORD, "code": WRONG_CODE})
    return {
        "an invitation": invitation, "another's password": THEIR_PASSWORD, "another's session": first,
        "their second session": second, "an API token": api, "a seed": seed, "a wrong code": WRONG_CODE,
        **{f"recovery code {number}": one for number, one in enumerate(codes)},
    }  # fmt: skip


async def live(server: ServerProcess, sandbox: SandboxProcess, seller: dict[str, Any]) -> None:
    """A shop's life: it is added, answers, sells, has its cookie rotated and renewed."""
    unb, cookie = seller["unb"], seller["cookie"]
    await server.add("shop", f"{cookie}; extra={ADDED}")
    await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "在的", "包邮吗": "包邮"}})
    await server.ok("PUT", "/cookies/shop/auto-confirm", {"auto_confirm": True})
    await server.ok("PUT", "/cookies/shop/remark", {"remark": CONTROL})
    item = seller["items"][0]["id"]
    await server.ok("PUT", f"/cookies/shop/items/{item}", {"paid_message": "谢谢", "reply": "在的"})
    await sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value=ROTATED, times=1)
    await sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await sandbox.do("pay", account=unb, buyer="小鱼", item=item)  # the confirmation's answer rotates the cookie

    async def shipped() -> bool:
        return [order["status"] for order in (await sandbox.get("orders", account=unb))["items"]] == ["shipped"]

    await soon(shipped)
    assert await sandbox.seen(unb, "小鱼")
    picture = {"image": ("x.png", a_png(), "image/png")}
    added = await server.http.post("/keywords/shop/image", data={"keyword": "图"}, files=picture)
    assert added.status_code == 200, added.text
    await sandbox.do("fault", account=unb, kind="rotate_cookie", which="upload", name="csg", value=UPLOADED, times=1)
    await sandbox.do("say", account=unb, buyer="小虾", text="有图吗")

    async def shown() -> bool:
        return any(line.startswith("[图片]") for line in await sandbox.seen(unb, "小虾"))

    await soon(shown)
    await server.http.get(added.json()["image_url"])
    renewed = f"{cookie}; extra={RENEWED}"
    await server.ok("PUT", "/cookies/shop", {"id": "shop", "value": renewed})
    await server.ok("POST", "/cookie/shop/account-info", {"value": f"{renewed}; more=1", "password": NEXT_PASSWORD})


async def be_parked(server: ServerProcess, sandbox: SandboxProcess, unb: str) -> None:
    """Its login ends."""
    await sandbox.do("expire", account=unb, what="login")
    await server.ok("PUT", "/cookies/shop/status", {"enabled": False})
    await server.http.put("/cookies/shop/status", json={"enabled": True})
    await server.http.post("/cookies/shop/resume?wait=1")


async def go_by_proxies(server: ServerProcess) -> None:
    """The account goes through a proxy, is refused by it, and is given a password that it does not know."""
    async with small_proxy("socks5", f"{PROXY_USER}:{PROXY_PASSWORD}") as proxy:
        answer = await server.ok("PATCH", "/cookies/shop/settings", {"proxy": proxy.url})
        assert (answer["state"], len(proxy.passed) > 0) == ("running", True), answer
        wrong = proxy.url.replace(PROXY_PASSWORD, BAD_PROXY_PASSWORD)
        await server.ok("PATCH", "/cookies/shop/settings", {"proxy": wrong})

        async def refused() -> bool:
            seen: dict[str, Any] = await server.ok("GET", "/cookies/shop")
            return bool(seen["reason"] == "proxy_refused")

        await soon(refused)
        assert (await server.ok("GET", "/cookies/shop/diagnosis"))["replying"] is False
        for broken in (f"{wrong}/path", f"ftp://{PROXY_USER}:{BAD_PROXY_PASSWORD}@h:1", [wrong], {wrong: wrong}):
            response = await server.http.patch("/cookies/shop/settings", json={"proxy": broken})
            assert response.status_code == 422
        await server.ok("PATCH", "/cookies/shop/settings", {"proxy": None})


async def log_in_by_qr(server: ServerProcess, sandbox: SandboxProcess) -> dict[str, str]:
    """A second seller scans a code twice: the account is added, then renewed. Returns what must stay secret of it."""
    seller = (await sandbox.get("sellers"))["items"][1]
    secrets: dict[str, str] = {}
    for time in ("first", "second"):
        login = await server.ok("POST", "/qr-logins", {"account": "scanned"})
        secrets[f"the {time} code"] = login["content"].partition("lgToken=")[2].partition("&")[0]
        await sandbox.do("qr", status="SCANNED")
        await sandbox.do("qr", status="CONFIRMED", account=seller["unb"])

        async def over(login_id: str = login["id"]) -> bool:
            seen = await server.ok("GET", f"/qr-logins/{login_id}")
            assert seen["state"] in {"waiting", "scanned", "done"}, seen
            return bool(seen["state"] == "done")

        await soon(over, every_seconds=0.2)
        cookie = (await sandbox.get("sellers"))["items"][1]["cookie"]
        parts = dict(part.split("=", 1) for part in cookie.split("; "))
        secrets |= {f"the {time} {name}": parts[name] for name in SECRET_COOKIES & set(parts)}
    await server.ok("DELETE", f"/qr-logins/{(await server.ok('POST', '/qr-logins', {}))['id']}")
    return secrets


async def misuse(server: ServerProcess, cookie: str) -> None:
    """Secrets where they do not belong: every refusal is an answer too."""
    for method, path, body in [
        ("POST", "/cookies", {"id": "shop2", "value": f"nothing={MISPLACED}"}),
        ("POST", "/cookies", {"id": 5, "value": [f"{cookie}; extra={MISPLACED}"]}),
        ("POST", "/cookies", {"id": "x" * 80, "value": f"{cookie}; extra={MISPLACED}"}),
        ("POST", "/cookies", {"id": "shop3", "value": f"{cookie}; extra={MISPLACED}"}),  # the same seller
        ("PUT", "/cookies/shop", {"id": "shop", "value": f"{cookie}; extra={MISPLACED}".replace("unb=2", "unb=3")}),
        ("PUT", "/cookies/nobody", {"id": "nobody", "value": f"{cookie}; extra={MISPLACED}"}),
        ("PUT", "/cookies/shop/status", {"enabled": MISPLACED}),
        ("POST", "/login", {"username": "admin", "password": WRONG_PASSWORD}),
        ("POST", "/login", {"username": "admin", "password": [WRONG_PASSWORD]}),
        ("POST", "/change-admin-password", {"current_password": WRONG_PASSWORD, "new_password": NEXT_PASSWORD}),
        ("POST", "/change-admin-password", {"current_password": PASSWORD, "new_password": {"is": NEXT_PASSWORD}}),
    ]:
        response = await server.http.request(method, path, json=body)
        assert response.status_code >= 400 or not response.json().get("success", True), (path, response.text)
    broken = f'{{"id": "shop", "value": "{MISPLACED}'
    assert (await server.http.post("/cookies", content=broken)).status_code == 422


async def test_d7_no_secret_stands_in_any_answer_event_log_or_file(sandbox: SandboxProcess, tmp_path: Path) -> None:
    seller = (await sandbox.get("sellers"))["items"][0]
    server = ServerProcess(tmp_path / "data", sandbox.url, SHOAL_LOG_LEVEL="DEBUG", SHOAL_METRICS_TOKEN=METRICS_TOKEN)
    evidence = Evidence()
    await server.start()
    try:
        server.http.event_hooks["response"] = [evidence.take]
        tokens = [server.http.headers["Authorization"].removeprefix("Bearer ")]
        listening = asyncio.create_task(listen(server.http, evidence))
        tokens.append(await open_console(server))
        following = asyncio.create_task(follow(server, tokens[-1], evidence))
        await live(server, sandbox, seller)
        theirs = await meet_somebody(server, evidence)
        await go_by_proxies(server)
        scanned = await log_in_by_qr(server, sandbox)
        await be_parked(server, sandbox, seller["unb"])
        await misuse(server, seller["cookie"])
        await server.ok("POST", "/change-admin-password", {"current_password": PASSWORD, "new_password": NEXT_PASSWORD})
        said = {"username": "admin", "password": NEXT_PASSWORD}
        tokens.append((await server.http.post("/login", json=said)).json()["token"])
        server.http.headers["Authorization"] = f"Bearer {tokens[-1]}"
        second = asyncio.create_task(listen(server.http, evidence))
        await read_everything(server, seller["items"][0]["id"], evidence.note)
        evidence.take_files("while it runs", server)  # a crash would leave just this
        evidence.take_process(server)
        await server.ok("DELETE", "/cookies/shop")
        evidence.take_files("after the removal", server)
        child = server.child
        os.kill(child.pid, signal.SIGTERM)
        assert child.stdout is not None
        evidence.pieces.append(("stdout", await child.stdout.read()))
        await child.wait()
        await asyncio.gather(listening, second, following)
        evidence.take_files("after the end", server)
    finally:
        await server.close()
    key = (server.data_dir / KEY_FILE).read_text().splitlines()[-1]
    parts = dict(part.split("=", 1) for part in seller["cookie"].split("; "))
    secrets = {
        "the added cookie": ADDED, "the renewed cookie": RENEWED, "the rotated cookie": ROTATED,
        "the cookie that an upload rotated": UPLOADED,
        "a misplaced secret": MISPLACED, "the password": PASSWORD, "the next password": NEXT_PASSWORD,
        "a channel's token": CHANNEL_TOKEN, "a webhook's secret": WEBHOOK_SECRET,
        "a model provider's key": PROVIDER_KEY, "the token for figures": METRICS_TOKEN,
        "the proxy's user": PROXY_USER, "the proxy's password": PROXY_PASSWORD,
        "a proxy's wrong password": BAD_PROXY_PASSWORD,
        "a wrong password": WRONG_PASSWORD, "the key": key, "a token of the site": SITE_TOKEN,
        **{f"session {number}": token for number, token in enumerate(tokens)},
        **scanned,
        **theirs,
        **{f"cookie {name}": parts[name] for name in SECRET_COOKIES & set(parts)},
    }  # fmt: skip
    assert not evidence.finds(secrets)
    found = {where for where, content in evidence.pieces if CONTROL.encode() in content}
    assert found >= {"GET /events", "GET /cookies/shop 200", "shoal.db-wal while it runs", "shoal.db after the end"}
    assert "the console's socket" in found
    assert {status for method, _, status in evidence.paths if method == "GET"} >= {200, 401}
    files = dict(evidence.pieces)
    assert b"debug" in files["data.log after the end"]
    assert "shoal.db-shm while it runs" in files
