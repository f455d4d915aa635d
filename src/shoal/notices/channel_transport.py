"""Sends notices over stored channels, so that one that hangs delays no other."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final

from shoal.notices.channels import ChannelStore
from shoal.notices.service_sender import ServiceSender
from shoal.notices.transport import Failure, Message, Outcome, Sent

AT_ONCE: Final = 8
"""How many messages of one user are sent at once: users whose channels hang leave places to others."""
TURN_SECONDS: Final = 2.0
"""How long a message waits for those of the same user."""


class ChannelTransport:
    """The ``Transport`` of the channels in the database."""

    def __init__(self, channels: ChannelStore, sender: ServiceSender) -> None:
        self._channels = channels
        self._sender = sender
        self._turns: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def send(self, channel: int, message: Message) -> Sent:
        """Send over the channel of that id. Does not raise for what the service did.

        Raises ``StoreError`` when the channel cannot be read. Cancelled, it ends every connection that it made.
        """
        opened = await self._channels.opened(channel)
        if opened is None:
            return Sent(outcome=Outcome.FAILED, failure=Failure.GONE)
        known, service, fields = opened
        turns = self._turns[known.user_id]
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turns.acquire()
        except TimeoutError:
            return Sent(outcome=Outcome.FAILED, failure=Failure.BUSY)
        try:
            sent = await self._sender.send(service, fields, message)
        finally:
            turns.release()
        if sent.gone:
            await self._channels.end(known)
        return sent
