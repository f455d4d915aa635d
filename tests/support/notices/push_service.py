"""A push service of a browser's maker on this machine, and the keys of a browser that reads what was pushed."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import http_ece
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from shoal.notices import push_subscription
from shoal.notices.push_sender import point_of
from shoal.notices.push_subscription import packed
from support.notices.notice_services import certificate_for


@dataclass
class BrowserKeys:
    """What a browser keeps of its subscription."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    def fields(self, endpoint: str, site: str = "https://console.shop.example") -> dict[str, str]:
        """The fields of the channel."""
        return {"endpoint": endpoint, "p256dh": packed(point_of(self.private)), "auth": packed(self.auth), "site": site}

    def read(self, body: bytes) -> dict[str, Any]:
        """What was pushed."""
        raw = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth, version="aes128gcm")
        told: dict[str, Any] = msgspec.json.decode(raw)
        return told


@dataclass
class PushService:
    """``answers``: the next ones, as status and headers; 0 closes the connection instead. Else 201."""

    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    pushed: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Note a push, and answer it; one that is not signed by its own key is refused."""
        self.pushed.append((dict(request.headers), await request.read()))
        status, headers = self.answers.pop(0) if self.answers else (201, {})
        if not Vapid02.verify(request.headers["Authorization"]):
            status = 403
        if not status:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 500, headers=headers, text="push" * 1_000 if status == 413 else "")


@asynccontextmanager
async def push_service(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushService]:
    """One that is known and trusted, at ``localhost``; the guard must allow this machine."""
    pem = certificate_for(directory, ["localhost"])
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setattr(push_subscription, "HOSTS", push_subscription.HOSTS | {"localhost"})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    service = PushService("")
    app = web.Application()
    app.router.add_post("/wpush/{name}", service.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    service.url = f"https://localhost:{runner.addresses[0][1]}/wpush/a"
    try:
        yield service
    finally:
        await runner.cleanup()
