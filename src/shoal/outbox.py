"""The way out: one row per message, durable before anything is sent, settled by what the site answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog

from shoal.account import Account
from shoal.errors import NeedsOwner, TemporaryFailure
from shoal.message_log import IncomingMessage, MessageLog, OutboxKind, OutboxRow, SendOutcome
from shoal.site_pictures import SitePictures
from shoal.xianyu.live_socket import GateClosed, LiveSocket, SendReceipt, SendRefused, SendUncertain

log = structlog.get_logger("shoal.outbox")


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """What is to be sent: to whom, in which chat, as the answer to which messages or for which order."""

    chat_id: str
    buyer_id: str
    text: str = ""
    image_url: str = ""
    kind: OutboxKind = OutboxKind.REPLY
    rule_id: str = ""
    order_id: str = ""
    answers: Sequence[str] = ()
    once: bool = False
    """Not to be sent if such a letter was sent in this chat before."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a letter: ``sent``, ``refused`` (with the site's reason), ``uncertain`` or ``dropped``."""

    outcome: SendOutcome
    reason: str = ""


class Outbox:
    """Sends over one connection. Letters of one chat go one after another."""

    def __init__(
        self,
        account: Account,
        socket: LiveSocket,
        message_log: MessageLog,
        pictures: SitePictures,
        *,
        send_timeout_seconds: float,
    ) -> None:
        self._account_id = account.id
        self._my_id = account.unb
        self._socket = socket
        self._log = message_log
        self._pictures = pictures
        self._timeout = send_timeout_seconds
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def _turn(self, chat_id: str) -> asyncio.Lock:
        return self._turns.setdefault(chat_id, asyncio.Lock())

    async def send(self, letter: Letter) -> Sent:
        """Send a letter and say what became of it.

        Raises what ended the socket when it certainly did not leave (its messages count as unanswered again), and
        ``StoreError`` when the row could not be written.
        """
        turn = self._turn(letter.chat_id)
        async with turn:
            uuid = self._socket.names.uuid()
            row = OutboxRow(
                account_id=self._account_id,
                chat_id=letter.chat_id,
                uuid=uuid,
                kind=letter.kind,
                message_id=letter.answers[-1] if letter.answers else None,
                order_id=letter.order_id or None,
                buyer_id=letter.buyer_id,
                rule_id=letter.rule_id or None,
                text=letter.text,
                image_url=letter.image_url,
            )
            queue = self._log.queue_once if letter.once else self._log.queue
            row_id = await queue(row, answers=letter.answers)
            if row_id is None:
                return Sent(SendOutcome.DROPPED, "said_once")
            return await self._deliver(row_id, letter, uuid)

    async def _deliver(self, row_id: int, letter: Letter, uuid: str) -> Sent:
        try:
            receipt = await self._hand_over(letter, uuid)
        except GateClosed:
            await self._take_back(row_id, letter, "disabled")
            return Sent(SendOutcome.DROPPED, "disabled")
        except SendRefused as refusal:
            log.warning("message refused", account=self._account_id, chat=letter.chat_id, reason=refusal.reason)
            return await self._settled(row_id, Sent(SendOutcome.REFUSED, refusal.reason))
        except SendUncertain:
            log.warning("message uncertain", account=self._account_id, chat=letter.chat_id, uuid=uuid)
            return await self._settled(row_id, Sent(SendOutcome.UNCERTAIN, "no_answer"))
        except (TemporaryFailure, NeedsOwner):
            await self._take_back(row_id, letter, "connection_lost")
            raise
        return await self._settled(row_id, Sent(SendOutcome.SENT), receipt.message_id)

    async def _hand_over(self, letter: Letter, uuid: str) -> SendReceipt:
        if letter.image_url:
            async with self._pictures.shown(letter.image_url) as picture:
                return await self._socket.send_image(
                    letter.chat_id, letter.buyer_id, self._my_id, picture.url,
                    width=picture.width, height=picture.height, uuid=uuid, timeout_seconds=self._timeout,
                )  # fmt: skip
        return await self._socket.send_text(
            letter.chat_id, letter.buyer_id, self._my_id, letter.text, uuid=uuid, timeout_seconds=self._timeout
        )

    async def _take_back(self, row_id: int, letter: Letter, reason: str) -> None:
        once_in = letter.chat_id if letter.once else None
        await self._log.take_back(self._account_id, row_id, reason, answers=letter.answers, once_in=once_in)

    async def _settled(self, row_id: int, sent: Sent, site_message_id: str | None = None) -> Sent:
        await self._log.settle(row_id, sent.outcome, sent.reason, site_message_id)
        return sent

    async def is_ours(self, message: IncomingMessage) -> bool:
        """Whether a message of ours was sent from here. Waits for a letter that is on its way in its chat."""
        turn = self._turn(message.chat_id)
        async with turn:
            return await self._log.claim_echo(self._account_id, message.chat_id, message)
