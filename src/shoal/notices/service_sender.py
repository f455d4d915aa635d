"""Sends a message by any service of the list, and returns what became of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from shoal.accounts.observed_state import storable
from shoal.network.answer_secrets import without_secrets
from shoal.network.guarded_sockets import Connect
from shoal.network.outbound import TargetRefused
from shoal.notices.apprise_process import AppriseProcess, Attempt
from shoal.notices.mail import send_mail
from shoal.notices.push_sender import PushSender
from shoal.notices.service_answers import MOST_ANSWER, shown
from shoal.notices.services import EMAIL, WEBPUSH, Fields, Service, cut
from shoal.notices.transport import Failure, Level, Message, Outcome, Sent

_KINDS = {Level.INFO: "info", Level.WARNING: "warning", Level.URGENT: "failure"}


class ServiceSender:
    """Sends by Apprise, and e-mail and web push by itself; every connection is asked of the guard."""

    def __init__(
        self,
        connect: Connect,
        apprise: AppriseProcess,
        *,
        push: PushSender | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """``context``: which certificates of mail servers to trust; the machine's unless given."""
        self._connect = connect
        self._apprise = apprise
        self._push = push
        self._context = context

    async def send(self, service: Service, fields: Fields, message: Message) -> Sent:
        """Send one message. Does not raise for what the service did."""
        if service.name == EMAIL:
            sent = await self._mail(fields, message)
        elif service.name == WEBPUSH:
            title, body = _fitted(service, message)
            sent = await self._pushed(fields, replace(message, title=title, body=body))
        else:
            title, body = _fitted(service, message)
            address = service.address(fields, replace(message, title=title, body=body))
            attempt = await self._apprise.send(address, title=title, body=body, kind=_KINDS[message.level])
            sent = _outcome(service, attempt, partial(_without_secrets, service, fields))
        answer = storable(_without_secrets(service, fields, sent.answer), MOST_ANSWER)
        return replace(sent, answer=answer, host=_without_secrets(service, fields, sent.host))

    async def _pushed(self, fields: Fields, message: Message) -> Sent:
        if self._push is None:
            return Sent(outcome=Outcome.FAILED, failure=Failure.NOT_SENT)
        return await self._push.send(fields, message)

    async def _mail(self, fields: Fields, message: Message) -> Sent:
        try:
            if self._context is None:
                self._context = await asyncio.to_thread(ssl.create_default_context)  # it reads many certificates
            return await send_mail(self._connect, fields, message, context=self._context)
        except TargetRefused:
            failure = Failure.REFUSED
        except OSError:  # there was no connection
            failure = Failure.UNREACHED
        return Sent(outcome=Outcome.FAILED, failure=failure, host=fields["host"])


def _fitted(service: Service, message: Message) -> tuple[str, str]:
    """Return title and body as long as the service takes them; the link is whole."""
    title = message.title if len(message.title) <= service.most_title else f"{message.title[: service.most_title - 1]}…"
    link = f"\n{message.url}" if message.url and not service.link_aside else ""
    return title, f"{cut(message.body, service.most_body - len(link.encode()) - len(title.encode()) - 2)}{link}"


def _outcome(service: Service, attempt: Attempt, hide: Callable[[str], str]) -> Sent:
    """Return the outcome. ``hide`` hides secrets before the answer is cut: a part of one would stay."""
    passed, reply = attempt.passed, attempt.reply
    if passed.refused:
        return Sent(outcome=Outcome.FAILED, failure=Failure.REFUSED, host=passed.refused[-1])
    if passed.unreached:
        return Sent(outcome=Outcome.FAILED, failure=Failure.UNREACHED, host=passed.unreached[-1])
    if reply is not None and reply.status:
        taken = service.answers.was_taken(reply.status, reply.body)
        return Sent(
            outcome=Outcome.SENT if taken else Outcome.FAILED,
            answer=shown(reply.status, hide(reply.body)),
            retry_after=None if taken else service.answers.wait_of(reply.retry_after, reply.body),
        )
    if not passed.connections or (reply is not None and not reply.began):
        return Sent(outcome=Outcome.FAILED, failure=Failure.NOT_SENT)
    return Sent(outcome=Outcome.UNCERTAIN, failure=Failure.NO_ANSWER)


def _without_secrets(service: Service, fields: Fields, answer: str) -> str:
    values = [fields[field.name] for field in service.fields if field.secret and field.name in fields]
    return without_secrets(answer, values)
