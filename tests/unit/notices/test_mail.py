"""E-mail by a real mail server of the sandbox: encrypted, signed in, once, and the guard is asked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shoal.network.guarded_sockets import guarded
from shoal.network.outbound import Outbound, TargetRefused
from shoal.notices import mail
from shoal.notices.mail import send_mail
from shoal.notices.services import SERVICES
from shoal.notices.transport import Message, Outcome, Sent
from shoal.sandbox.mail_receiver import MailReceiver
from support.network.certificates import certificate

MESSAGE = Message(
    title="小鱼的店\r\n需要处理", body="请完成验证。", url="https://shop.example/console", dedupe_id="n-7 x"
)


@asynccontextmanager
async def _server(directory: Path, **options: Any) -> AsyncIterator[tuple[MailReceiver, ssl.SSLContext]]:
    server, client = certificate(directory, "localhost")
    receiver = await MailReceiver(tls=server, password="word", **options).open()
    try:
        yield receiver, client
    finally:
        await receiver.close()


async def _send(receiver: MailReceiver, context: ssl.SSLContext, allowed: str = "all", **fields: str) -> Sent:
    kept = SERVICES["email"].checked(
        {
            "host": "localhost", "port": str(receiver.port), "sender": "shoal@example.com", "to": "me@example.com",
            "user": "shoal", "password": "word", **fields,
        }
    )  # fmt: skip
    return await send_mail(guarded(Outbound.of(allowed)), kept, MESSAGE, context=context)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_mail_arrives_whole_over_an_encrypted_connection(tmp_path: Path, security: str) -> None:
    async with _server(tmp_path, at_once=security == "tls") as (receiver, context):
        sent = await _send(receiver, context, security=security)
        assert (sent.outcome, sent.answer) == (Outcome.SENT, "SMTP 250 queued as 7")
        (arrived,) = receiver.mails
        assert arrived["Subject"] == "小鱼的店 需要处理"
        assert arrived["Message-ID"] == "<n-7-x@example.com>"
        assert arrived["Auto-Submitted"] == "auto-generated"
        assert arrived.get_content().split() == ["请完成验证。", "https://shop.example/console"]
        assert receiver.logins == ["shoal"]
        assert set(receiver.greeted) == {"[127.0.0.1]"}, "the machine's own name is not told"


async def test_a_certificate_that_nobody_signed_ends_it_before_the_password(tmp_path: Path) -> None:
    async with _server(tmp_path) as (receiver, _):
        sent = await _send(receiver, ssl.create_default_context(), security="starttls")
        assert sent.outcome is Outcome.FAILED
        assert (receiver.logins, receiver.mails) == ([], [])


async def test_without_encryption_no_password_is_sent(tmp_path: Path) -> None:
    async with _server(tmp_path, fault="no_starttls") as (receiver, context):
        sent = await _send(receiver, context, security="starttls")
        assert (sent.outcome, receiver.logins) == (Outcome.FAILED, [])


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("busy", Outcome.FAILED), ("refuses_sender", Outcome.FAILED), ("closing", Outcome.UNCERTAIN),
        ("closing_after", Outcome.UNCERTAIN),
    ],
)  # fmt: skip
async def test_what_a_mail_server_does_wrong_is_told_apart(tmp_path: Path, fault: str, outcome: Outcome) -> None:
    async with _server(tmp_path, fault=fault, at_once=True) as (receiver, context):
        assert (await _send(receiver, context)).outcome is outcome


async def test_a_wrong_password_is_told_in_the_servers_words(tmp_path: Path) -> None:
    async with _server(tmp_path, at_once=True) as (receiver, context):
        sent = await _send(receiver, context, password="wrong")
        assert sent.outcome is Outcome.FAILED
        assert "535 wrong password" in sent.answer


async def test_a_server_that_never_greets_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "SEND_SECONDS", 0.3)
    async with _server(tmp_path, fault="slow") as (receiver, context):
        assert (await _send(receiver, context, security="starttls")).outcome is Outcome.FAILED


async def test_a_mail_server_inside_is_refused_before_any_connection(tmp_path: Path) -> None:
    async with _server(tmp_path) as (receiver, context):
        with pytest.raises(TargetRefused):
            await _send(receiver, context, allowed="")
        assert receiver.greeted == []
