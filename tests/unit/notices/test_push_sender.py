"""A push that one browser alone can read, signed for its push service, and what each answer means."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from shoal.errors import InvalidInput
from shoal.network.outbound import Outbound
from shoal.notices.push_sender import MOST_PAYLOAD, PushSender, contact_of, payload_of, point_of, private_key_of
from shoal.notices.push_subscription import is_push_service, packed
from shoal.notices.services import SERVICES
from shoal.notices.transport import Level, Message, Outcome
from support.notices.push_service import BrowserKeys, PushService, push_service

OURS = private_key_of(b"\x07" * 32)
MESSAGE = Message(
    title="店铺“鱼铺”需要您", body="请验证", page="/console/accounts/shop", level=Level.URGENT, dedupe_id="i7-c3-begin"
)


class _Key:
    async def private(self) -> ec.EllipticCurvePrivateKey:
        return OURS


@asynccontextmanager
async def _sender(outbound: Outbound) -> AsyncIterator[PushSender]:
    sender = PushSender(outbound, _Key())  # type: ignore[arg-type]  # without a database
    try:
        yield sender
    finally:
        await sender.close()


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushService]:
    async with push_service(tmp_path, monkeypatch) as running:
        yield running


def _claims(authorization: str) -> tuple[dict[str, Any], str]:
    token, key = (part.split("=", 1)[1] for part in authorization.removeprefix("vapid ").split(","))
    middle = token.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))), key


async def test_the_browser_reads_what_was_pushed_and_the_service_knows_who_pushed(service: PushService) -> None:
    browser = BrowserKeys()
    async with _sender(Outbound.of("127.0.0.1")) as sender:
        first = await sender.send(browser.fields(service.url), MESSAGE)
        await sender.send(browser.fields(service.url), MESSAGE)
    assert (first.outcome, first.answer) == (Outcome.SENT, "HTTP 201")
    (headers, body), (again, _) = service.pushed
    assert browser.read(body) == {
        "title": MESSAGE.title, "body": "请验证", "page": "/console/accounts/shop", "tag": "i7-c3-begin", "lang": "zh",
        "level": "urgent",
    }  # fmt: skip
    assert "鱼铺".encode() not in body
    assert (headers["TTL"], headers["Urgency"], headers["Content-Encoding"]) == ("86400", "high", "aes128gcm")
    assert headers["Topic"] == again["Topic"]
    assert len(headers["Topic"]) == 32
    claims, key = _claims(headers["Authorization"])
    assert Vapid02.verify(headers["Authorization"])
    assert key == packed(point_of(OURS))
    assert claims["aud"] == service.url.removesuffix("/wpush/a")
    assert claims["sub"] == "https://console.shop.example"
    assert time.time() < claims["exp"] < time.time() + 86_400


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "retry_after", "gone"),
    [
        (200, {}, Outcome.SENT, None, False),
        (404, {}, Outcome.FAILED, None, True),
        (410, {}, Outcome.FAILED, None, True),
        (413, {}, Outcome.FAILED, None, False),
        (429, {"Retry-After": "7"}, Outcome.FAILED, 7.0, False),
        (500, {}, Outcome.FAILED, None, False),
        (307, {"Location": "https://localhost:1/"}, Outcome.FAILED, None, False),
        (0, {}, Outcome.UNCERTAIN, None, False),
    ],
)
async def test_each_answer_of_a_push_service_means_one_thing(
    service: PushService, status: int, headers: dict[str, str], outcome: Outcome, retry_after: float | None, gone: bool
) -> None:
    service.answers.append((status, headers))
    async with _sender(Outbound.of("127.0.0.1")) as sender:
        sent = await sender.send(BrowserKeys().fields(service.url), MESSAGE)
    assert (sent.outcome, sent.retry_after, sent.gone) == (outcome, retry_after, gone)
    assert sent.answer or sent.failure
    assert len(service.pushed) == 1, "nothing is sent again by itself, and no redirect is followed"


async def test_nothing_is_sent_inside_nor_to_a_host_of_no_browser(service: PushService) -> None:
    browser = BrowserKeys()
    async with _sender(Outbound()) as sender:
        inside = await sender.send(browser.fields(service.url), MESSAGE)
        strange = await sender.send(browser.fields("https://push.shop.example/wpush/a"), MESSAGE)
    assert (inside.outcome, strange.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert service.pushed == []


@pytest.mark.parametrize(
    ("endpoint", "known"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc:APA91", True),
        ("https://updates.push.services.mozilla.com/wpush/v2/gAAA", True),
        ("https://web.push.apple.com/QGuQ", True),
        ("https://wns2-par02p.notify.windows.com/w/?token=BQ%3d", True),
        ("http://fcm.googleapis.com/fcm/send/abc", False),
        ("https://fcm.googleapis.com.shop.example/a", False),
        ("https://evilpush.apple.com.example/a", False),
        ("https://evil-notify.windows.com.cn/a", False),
        ("https://a@fcm.googleapis.com/a", False),
        ("https://fcm.googleapis.com:x/a", False),
        ("https://169.254.169.254/a", False),
    ],
)
def test_pushes_go_to_the_services_of_browsers_only(endpoint: str, known: bool) -> None:
    assert is_push_service(endpoint) is known


def test_a_subscription_that_no_browser_makes_is_refused() -> None:
    good = BrowserKeys().fields("https://fcm.googleapis.com/fcm/send/abc")
    kept = SERVICES["webpush"].checked(good)
    assert kept == good
    for part, value, code in (
        ("endpoint", "https://hooks.shop.example/a", "push_service_unknown"),
        ("p256dh", packed(b"\x04" + b"\x01" * 64), "push_keys_unusable"),
        ("auth", packed(b"\x01" * 15), "push_keys_unusable"),
        ("site", "https://a b/", "channel_field"),
    ):
        with pytest.raises(InvalidInput) as refused:
            SERVICES["webpush"].checked({**good, part: value})
        assert refused.value.code == code


def test_whatever_is_told_fits_into_a_push() -> None:
    for letter in ("鱼", '"', "\x01", "a"):
        raw = payload_of(Message(title=letter * 100, body=letter * 5_000))
        assert len(raw) <= MOST_PAYLOAD
        assert msgspec.json.decode(raw)["title"] == letter * 100
    assert msgspec.json.decode(payload_of(MESSAGE))["body"] == "请验证"


def test_any_secret_makes_a_key() -> None:
    keys = {packed(point_of(private_key_of(secret))) for secret in (b"\0" * 32, b"\xff" * 32, b"\x07" * 32)}
    assert len(keys) == 3
    assert all(len(key) == 87 for key in keys)


@pytest.mark.parametrize(
    ("site", "contact"),
    [
        ("https://console.shop.example:8443", "https://console.shop.example"),
        ("http://localhost:8080", "https://localhost"),
        ("https://nas", "https://localhost"),
        ("https://[::1]:8080", "https://localhost"),
        ("", "https://localhost"),
    ],
)
def test_a_push_service_is_told_where_the_console_is(site: str, contact: str) -> None:
    assert contact_of(site) == contact
