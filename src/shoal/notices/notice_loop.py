"""The loop that tells: plans the notices of due incidents, and sends what each channel has to send.

What is sent is stored before it leaves and after it was answered, so a death of the server loses nothing: what was
being sent then is sent once more, marked. Each channel has a task of its own while it has something to send, so one
that hangs delays no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.notices.day_summary import due_summaries, make_summaries
from shoal.notices.incident_texts import message_of
from shoal.notices.notice_rows import (
    Claim,
    claim,
    release_unsent,
    settle,
    settle_interrupted,
    work_of_channels,
)
from shoal.notices.planner import AT_ONCE, is_anything_due, plan_due
from shoal.notices.server_watch import ServerWatch
from shoal.notices.transport import Outcome, Sent, Transport
from shoal.storage.database import Database

log = structlog.get_logger("shoal.notices")

LOOK_SECONDS: Final = 1.0
"""How often the database is asked what is due: two look-ups in indexes that hold only that."""
SUMMARY_EVERY_MS: Final = 60_000
"""How often it is asked whose summary of the day is due."""
SEND_SECONDS: Final = 30.0
"""How long a sending may take; then its outcome is uncertain."""
END_SECONDS: Final = 5.0
"""How long the sendings under way may take when the server closes; those that take longer are uncertain."""


class NoticeLoop:
    """Owns one task, from ``start`` to ``close``, and one for each channel that is sending."""

    def __init__(
        self,
        database: Database,
        transport: Transport,
        *,
        public_url: str = "",
        watch: ServerWatch | None = None,
        now_ms: Callable[[], int] = now_ms,
        look_seconds: float = LOOK_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._database = database
        self._transport = transport
        self._public_url = public_url
        self._watch = watch
        self._now_ms = now_ms
        self._look_seconds = look_seconds
        self._send_seconds = send_seconds
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._closing = False
        self._summarised = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop on the running loop."""
        self._task = asyncio.create_task(self._keep(), name="notices")

    async def close(self) -> None:
        """Plan no more, and let the sendings under way end for a moment."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._sending:
            _, late = await asyncio.wait(self._sending.values(), timeout=END_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _keep(self) -> None:
        began = False
        while True:
            try:
                await self._database.checked()
                if not began:
                    await self._settle_interrupted()
                    began = True
                if self._watch is not None:
                    await self._watch.look()
                await self._summarise()
                await self.plan()
                await self._send_due()
            except StoreError as error:
                log.debug("notices wait", why=error.code)
            except Exception:  # a defect here must not end the notices of later incidents
                log.exception("planning notices met a defect")
            await asyncio.sleep(self._look_seconds)

    async def _settle_interrupted(self) -> None:
        now = self._now_ms()
        if (await self._database.read(partial(work_of_channels, now_ms=now))).sending:
            interrupted = await self._database.write(partial(settle_interrupted, now_ms=now))
            log.warning("notices were being sent when the server ended", notices=interrupted)

    async def _summarise(self) -> None:
        now = self._now_ms()
        if now // SUMMARY_EVERY_MS == self._summarised:
            return
        if await self._database.read(partial(due_summaries, now_ms=now)):
            await self._database.write(partial(make_summaries, now_ms=now))
        self._summarised = now // SUMMARY_EVERY_MS

    async def plan(self) -> None:
        """Plan the notices of all incidents that are due. Raises ``StoreError``."""
        while await self._database.read(partial(is_anything_due, now_ms=self._now_ms())):
            planned = await self._database.write(partial(plan_due, now_ms=self._now_ms()))
            if planned < AT_ONCE:
                return

    async def _send_due(self) -> None:
        busy = frozenset(self._sending)  # from before the look: one that ends meanwhile is not mistaken for idle
        work = await self._database.read(partial(work_of_channels, now_ms=self._now_ms()))
        if work.sending - busy:
            await self._database.write(partial(release_unsent, busy=busy))
        for channel_id in sorted(work.due):
            if channel_id not in self._sending:
                task = asyncio.create_task(self._serve(channel_id), name=f"notices:{channel_id}")
                self._sending[channel_id] = task
                task.add_done_callback(partial(self._served, channel_id))

    def _served(self, channel_id: int, task: asyncio.Task[None]) -> None:
        del self._sending[channel_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a channel met a defect", channel=channel_id, exc_info=error)

    async def _serve(self, channel_id: int) -> None:
        """Send what the channel has to send now, one after another."""
        while not self._closing:
            try:
                one = await self._database.write(partial(claim, channel_id=channel_id, now_ms=self._now_ms()))
            except StoreError as error:
                log.debug("a channel waits", channel=channel_id, why=error.code)
                return
            if one is None:
                return
            await self._settle(one, await self._sent(one))

    async def _sent(self, one: Claim) -> Sent:
        try:
            async with asyncio.timeout(self._send_seconds):
                return await self._transport.send(one.channel_id, message_of(one, self._public_url))
        except TimeoutError:
            return Sent(outcome=Outcome.UNCERTAIN, answer="no answer in time")
        except StoreError as error:
            return Sent(outcome=Outcome.FAILED, answer=error.code)
        except Exception as error:  # a defect of one service must not stop its channel in the middle
            log.exception("a channel could not send", channel=one.channel_id)
            return Sent(outcome=Outcome.UNCERTAIN, answer=type(error).__name__)

    async def _settle(self, one: Claim, sent: Sent) -> None:
        """Store the outcome, however long that takes: what was sent must not be sent again."""
        wait = self._look_seconds
        while True:
            try:
                state = await self._database.write(partial(settle, one=one, sent=sent, now_ms=self._now_ms()))
            except StoreError as error:
                log.warning("the outcome of a notice is not stored yet", channel=one.channel_id, why=error.code)
                await asyncio.sleep(wait)
                wait = min(wait * 2, 30.0)
            else:
                log.info("notice", channel=one.channel_id, notice=one.notice_id, state=state.value, tries=one.tries)
                return
