"""The services of notices as the sandbox plays them, reached under their own names by a real guard."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shoal.network.guarded_proxy import GuardedProxy
from shoal.network.outbound import Outbound
from shoal.notices.apprise_process import AppriseProcess
from shoal.notices.service_sender import ServiceSender
from shoal.notices.services import SERVICES
from shoal.sandbox import World, build_sandbox
from shoal.sandbox.receivers import ReceiverBody, Receivers
from shoal.sandbox.server import site_protocols
from support.servers.served import served

FIELDS: dict[str, dict[str, str]] = {
    "dingtalk": {"token": "abc123dingtalk", "secret": "SECdingtalksecret"},
    "feishu": {"token": "https://open.feishu.cn/open-apis/bot/v2/hook/1b2c-feishu"},
    "lark": {"token": "1b2c-lark-token"},
    "wecom": {"key": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693axxx6-wecom"},
    "bark": {"device_key": "barkDeviceKey1"},
    "pushplus": {"token": "0123456789abcdef0123456789abcdef"},
    "serverchan": {"token": "SCT123456serverchan"},
    "wxpusher": {"app_token": "AT_wxpusherToken", "target": "UID_wxpusherUser"},
    "telegram": {"bot_token": "123456:telegram-Token_1", "chat_id": "-100200300"},
    "qq": {"token": "qqtoken0123456789abcdefgh"},
    "ntfy": {"topic": "my-shop-topic"},
    "gotify": {"server": "http://gotify.home.example:8080", "token": "gotifyToken1"},
    "webhook": {"url": "https://hooks.shop.example/hook/shoal?a=1", "authorization": "Bearer webhookSecret"},
}
"""Fields of every service that Apprise reaches, some as people paste them."""
HOSTS = {
    "dingtalk": "oapi.dingtalk.com", "feishu": "open.feishu.cn", "lark": "open.larksuite.com",
    "wecom": "qyapi.weixin.qq.com", "bark": "api.day.app", "pushplus": "www.pushplus.plus",
    "serverchan": "sctapi.ftqq.com", "wxpusher": "wxpusher.zjiecode.com", "telegram": "api.telegram.org",
    "qq": "qmsg.zendee.cn", "ntfy": "ntfy.sh", "gotify": "gotify.home.example", "webhook": "hooks.shop.example",
}  # fmt: skip
FORMS: dict[str, tuple[str, dict[str, str], str]] = {
    "plain dingtalk": ("dingtalk", {"token": "abc123plain"}, "oapi.dingtalk.com"),
    "signed feishu": ("feishu", {"token": "1b2c-signed", "secret": "signedFeishu"}, "open.feishu.cn"),
    "signed lark": ("lark", {"token": "1b2c-lark-signed", "secret": "signedLark"}, "open.larksuite.com"),
    "newer serverchan": ("serverchan", {"token": "sctp77tserverchan"}, "77.push.ft07.com"),
    "one reader of wxpusher": ("wxpusher", {"app_token": "SPT_wxpusherReader"}, "wxpusher.zjiecode.com"),
}
"""Other forms of services."""
SECRETS = {
    (name, SERVICES[name].checked(fields)["token"]): fields["secret"]
    for name, fields in [*FIELDS.items(), *((name, fields) for name, fields, _ in FORMS.values())]
    if "secret" in fields
}
"""What the bots among them sign with."""
PUBLIC = "8.8.8.8"


def certificate_for(directory: Path, names: list[str]) -> Path:
    """A certificate for all the names that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = directory / "services.pem"
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file


@dataclass
class Services:
    """``asked``: every host and port for which a connection was wanted; ``moved``: what a name means instead."""

    receivers: Receivers
    ports: dict[int, int]
    outbound: Outbound
    asked: list[tuple[str, int]] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    async def connect(self, host: str, port: int) -> socket.socket:
        """Ask the real guard, and then connect to the sandbox instead of the address that it permitted."""
        self.asked.append((host, port))
        await self.outbound.addresses(host, port)
        if host in self.gone:
            raise ConnectionRefusedError(host)
        opened = socket.socket()
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self.ports.get(port, port)))
        return opened

    def fault(self, kind: Any, service: str | None = None, **more: Any) -> None:
        """Lay a fault out; ``none`` takes it away."""
        self.receivers.lay(ReceiverBody(kind=kind, service=service, **more))


@dataclass
class Sending:
    """A sender with its process and proxy, and the services that it reaches."""

    sender: ServiceSender
    apprise: AppriseProcess
    proxy: GuardedProxy
    services: Services


@asynccontextmanager
async def sending(directory: Path, monkeypatch: pytest.MonkeyPatch, **limits: float) -> AsyncIterator[Sending]:
    """All of it, running."""
    pem = certificate_for(
        directory, [*HOSTS.values(), *(host for _, _, host in FORMS.values()), "mail.shop.example", "localhost"]
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    app = build_sandbox(World(shops=1))
    moved: dict[str, str] = {}

    async def resolve(host: str, _: int) -> list[str]:
        return [moved.get(host, PUBLIC)]

    async with served(app) as url:
        make = site_protocols(app)
        encrypted = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context)
        ports = {443: encrypted.sockets[0].getsockname()[1], 8080: int(url.rpartition(":")[2])}
        services = Services(app.state.site.receivers, ports, Outbound(resolve=resolve), moved=moved)
        services.receivers.secrets |= SECRETS
        proxy = GuardedProxy(services.connect)
        apprise = AppriseProcess(proxy, **{"ready_seconds": 60.0, **limits})
        try:
            sender = ServiceSender(services.connect, apprise, context=ssl.create_default_context(cafile=str(pem)))
            yield Sending(sender, apprise, proxy, services)
        finally:
            await apprise.close()
            await proxy.close()
            encrypted.close()
