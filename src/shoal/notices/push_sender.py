"""Sends a notice by web push: encrypted for one browser, to the push service of the browser's maker."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from shoal.clock import now_ms
from shoal.network.outbound import GuardedConnector, Outbound
from shoal.notices.push_subscription import is_push_service, packed
from shoal.notices.service_answers import MOST_ANSWER, Answers, shown
from shoal.notices.transport import Failure, Level, Message, Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.db_manager import PUSH_SECRET, own_secret
from shoal.storage.vault import Vault
from shoal.xianyu.site_session import open_session

CONNECT_SECONDS: Final = 8.0
SEND_SECONDS: Final = 18.0
"""The longest time for one message, from the connection on."""
KEPT_SECONDS: Final = 24 * 3600
"""How long the push service keeps a message for a browser that is not there."""
MOST_PAYLOAD: Final = 3_900
"""How many bytes push services take: 4,096 with the head of the encryption."""
_TOKEN_SECONDS: Final = 12 * 3600
"""How long our signature is valid; push services refuse more than a day."""
_GONE: Final = frozenset({404, 410})
_URGENCY: Final = {Level.INFO: "normal", Level.WARNING: "high", Level.URGENT: "high"}
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class PushSender:
    """Sends over its own session, whose every connection is asked of the guard. It keeps no connection."""

    def __init__(self, outbound: Outbound, key: PushKey) -> None:
        self._outbound = outbound
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, fields: Mapping[str, str], message: Message) -> Sent:
        """Send one message. Does not raise for what the push service did. Raises ``StoreError`` without a key."""
        host = urlsplit(fields["endpoint"]).hostname or ""
        if not is_push_service(fields["endpoint"]):  # the list is shorter than it was
            return Sent(outcome=Outcome.FAILED, failure=Failure.REFUSED, host=host)
        private = await self._key.private()
        body, headers = await asyncio.to_thread(encrypted, fields, message, private)
        try:
            return await self._posted(fields["endpoint"], body, headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Sent(outcome=Outcome.FAILED, failure=Failure.UNREACHED, host=host)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return Sent(outcome=Outcome.UNCERTAIN, failure=Failure.NO_ANSWER)

    async def _posted(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Sent:
        session = await self._opened()
        timeout = aiohttp.ClientTimeout(total=SEND_SECONDS, sock_connect=CONNECT_SECONDS)
        async with session.post(
            URL(endpoint, encoded=True), data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            text = (await response.content.read(4 * MOST_ANSWER)).decode("utf-8", "replace")
            if response.status in _GONE:
                return Sent(outcome=Outcome.FAILED, failure=Failure.PUSH_GONE, gone=True)
            taken = 200 <= response.status < 300
            return Sent(
                outcome=Outcome.SENT if taken else Outcome.FAILED,
                answer=shown(response.status, text),
                retry_after=None if taken else Answers().wait_of(response.headers.get("Retry-After"), text),
            )

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = await asyncio.to_thread(ssl.create_default_context)  # it reads many certificates
            self._session = open_session(GuardedConnector(self._outbound, force_close=True, limit=0, ssl=context))
        return self._session


def payload_of(message: Message) -> bytes:
    """Return what the browser is sent, in at most ``MOST_PAYLOAD`` bytes."""
    payload = {
        "title": message.title,
        "body": message.body,
        "page": message.page,
        "tag": message.dedupe_id,
        "lang": message.language,
        "level": message.level.value,
    }
    raw = msgspec.json.encode(payload)
    while len(raw) > MOST_PAYLOAD:
        payload["body"] = f"{payload['body'][: len(payload['body']) // 2]}…"
        raw = msgspec.json.encode(payload)
    return raw


def encrypted(
    fields: Mapping[str, str], message: Message, private: ec.EllipticCurvePrivateKey
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request. Both take a millisecond, and the first time a tenth of a second."""
    from py_vapid import Vapid02  # noqa: PLC0415  with the first push: it brings another HTTP library
    from pywebpush import WebPusher  # noqa: PLC0415

    keys = {"p256dh": fields["p256dh"], "auth": fields["auth"]}
    pusher = WebPusher({"endpoint": fields["endpoint"], "keys": keys})
    body = pusher.encode(payload_of(message), content_encoding="aes128gcm")["body"]
    place = urlsplit(fields["endpoint"])
    claims = {
        "aud": f"https://{place.netloc}",
        "exp": now_ms() // 1000 + _TOKEN_SECONDS,
        "sub": contact_of(fields.get("site", "")),
    }
    headers: dict[str, str] = {
        **Vapid02(private_key=private).sign(claims),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(KEPT_SECONDS),
        "Urgency": _URGENCY[message.level],
    }
    if message.dedupe_id:  # what is sent again takes the place of the first, if that still waits there
        headers["Topic"] = packed(hashlib.sha256(message.dedupe_id.encode()).digest()[:24])
    return body, headers


def contact_of(site: str) -> str:
    """Return who sends, for the push service: the address at which the browser reached the console.

    Apple's refuses names that cannot be public; then there is none to name.
    """
    host = urlsplit(site).hostname or ""
    return f"https://{host if _DOMAIN.fullmatch(host) else 'localhost'}"


_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The number of points of the curve P-256: a private key is smaller."""


class PushKey:
    """Makes the key of the server's own secret when it is first needed. It stays as long as the database."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._turn = asyncio.Lock()
        self._private: ec.EllipticCurvePrivateKey | None = None

    async def private(self) -> ec.EllipticCurvePrivateKey:
        """Return the private key. Raises ``StoreError`` when it can be neither read nor stored."""
        async with self._turn:
            if self._private is None:
                secret = await own_secret(self._database, self._vault, PUSH_SECRET)
                self._private = private_key_of(secret)
            return self._private

    async def public(self) -> str:
        """Return the public key as browsers take it: the point in base64url. Raises as ``private``."""
        return packed(point_of(await self.private()))


def private_key_of(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key that 32 random bytes make."""
    return ec.derive_private_key(int.from_bytes(secret) % (_ORDER - 1) + 1, ec.SECP256R1())


def point_of(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public point of a key: 65 bytes."""
    # It loads the code for keys of SSH.
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
