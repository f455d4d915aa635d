"""The loop that notifies: plans the notices of due incidents, and sends what each channel has to send.

What is sent is stored before it leaves and after it was answered, so a death of the server loses nothing: what was
being sent then is sent once more, marked. Each channel has a task of its own while it has something to send, so one
that hangs delays no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.measures import Tally
from shoal.notices.day_summary import due_summaries, make_summaries
from shoal.notices.incident_texts import message_of
from shoal.notices.notice_rows import (
    Claim,
    claim,
    may_quote,
    release_unsent,
    settle,
    settle_interrupted,
    words_of_buyer,
    work_of_channels,
)
from shoal.notices.planner import AT_ONCE, is_anything_due, plan_due
from shoal.notices.server_watch import ServerWatch
from shoal.notices.transport import Failure, Outcome, Sent, Transport
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
        owns: Callable[[], bool] = lambda: True,
        now_ms: Callable[[], int] = now_ms,
        look_seconds: float = LOOK_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        """``owns`` returns whether this server certainly is the only one of its database; else nothing is sent."""
        self._database = database
        self._transport = transport
        self._public_url = public_url
        self._watch = watch
        self._owns = owns
        self._now_ms = now_ms
        self._look_seconds = look_seconds
        self._send_seconds = send_seconds
        self._sending: dict[int, asyncio.Task[None]] = {}
        self.outcomes = Tally()
        """How often a sending ended in which state."""
        self._paused: dict[int, int] = {}
        """Until when a channel's service wants no more."""
        self._closing = False
        self._summarised = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop on the running loop."""
        self._task = asyncio.create_task(self.serve(), name="notices")

    async def serve(self) -> None:
        """Notify until this is cancelled; then let the sendings under way end for a moment."""
        self._closing = False
        try:
            await self._keep()
        finally:
            await self._end_sendings()

    async def close(self) -> None:
        """Plan no more, and let the sendings under way end for a moment."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._end_sendings()

    async def _end_sendings(self) -> None:
        self._closing = True
        under_way = list(self._sending.values())
        try:
            if under_way:
                await asyncio.wait(under_way, timeout=END_SECONDS)
        finally:
            for task in under_way:
                task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _keep(self) -> None:
        watch = [] if self._watch is None else [self._watch.look]
        steps = [*watch, self._summarise, self.plan, self._send_due]
        began = False
        while True:
            if not began and self._owns() and await self._done(self._database.checked):
                began = await self._done(self._settle_interrupted)
            for step in steps if began else ():
                if self._owns():
                    await self._done(step)
            await asyncio.sleep(self._look_seconds)

    async def _done(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Return whether a step was done. One that fails does not keep the others from their turn."""
        try:
            await step()
        except StoreError as error:
            log.debug("notices wait", why=error.code)
        except Exception:
            log.exception("notices met a defect", step=step.__qualname__)
        else:
            return True
        return False

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

    async def send_all_due(self) -> None:
        """Plan and send what is due now, and wait for it. Raises ``StoreError``."""
        await self.plan()
        await self._send_due()
        while self._sending:
            await asyncio.wait(self._sending.values())

    async def _send_due(self) -> None:
        busy = frozenset(self._sending)  # from before the look: a channel that ends during it does not count as idle
        work = await self._database.read(partial(work_of_channels, now_ms=self._now_ms()))
        if work.sending - busy:
            await self._database.write(partial(release_unsent, busy=busy))
        for channel_id in sorted(work.due):
            if channel_id not in self._sending and not self._is_paused(channel_id):
                task = asyncio.create_task(self._serve(channel_id), name=f"notices:{channel_id}")
                self._sending[channel_id] = task
                task.add_done_callback(partial(self._served, channel_id))

    def _served(self, channel_id: int, task: asyncio.Task[None]) -> None:
        del self._sending[channel_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a channel met a defect", channel=channel_id, exc_info=error)

    def _is_paused(self, channel_id: int) -> bool:
        if self._paused.get(channel_id, 0) > self._now_ms():
            return True
        self._paused.pop(channel_id, None)
        return False

    async def _serve(self, channel_id: int) -> None:
        """Send what the channel has to send now, one after another."""
        while self._owns() and not (self._closing or self._is_paused(channel_id)):
            try:
                one = await self._database.write(partial(claim, channel_id=channel_id, now_ms=self._now_ms()))
            except StoreError as error:
                log.debug("a channel waits", channel=channel_id, why=error.code)
                return
            if one is None:
                return
            await self._settle(one, await self._sent(one))

    async def _sent(self, one: Claim) -> Sent:
        at_defect = Outcome.FAILED
        try:
            message = message_of(one, self._public_url, words=await self._words(one))
            at_defect = Outcome.UNCERTAIN
            async with asyncio.timeout(self._send_seconds):
                return await self._transport.send(one.channel_id, message)
        except TimeoutError:
            return Sent(outcome=Outcome.UNCERTAIN, failure=Failure.NO_ANSWER)
        except StoreError:
            return Sent(outcome=Outcome.FAILED, failure=Failure.STORE)
        except Exception:  # a defect of one service must not stop its channel in the middle
            log.exception("a channel could not send", channel=one.channel_id)
            return Sent(outcome=at_defect, failure=Failure.INTERNAL)

    async def _words(self, one: Claim) -> str:
        if not may_quote(one.parts):
            return ""
        return await self._database.read(partial(words_of_buyer, channel_id=one.channel_id, part=one.parts[0]))

    async def _settle(self, one: Claim, sent: Sent) -> None:
        """Store the outcome, however long that takes: what was sent must not be sent again."""
        if sent.retry_after:
            self._paused[one.channel_id] = self._now_ms() + round(sent.retry_after * 1000)
        wait = self._look_seconds
        while True:
            try:
                state = await self._database.write(partial(settle, one=one, sent=sent, now_ms=self._now_ms()))
            except StoreError as error:
                log.warning("the outcome of a notice is not stored yet", channel=one.channel_id, why=error.code)
                await asyncio.sleep(wait)
                wait = min(wait * 2, 30.0)
            except Exception:  # a notice whose outcome is not stored would be taken for one that never left
                log.exception("the outcome of a notice cannot be stored", channel=one.channel_id)
                sent = replace(sent, answer="")
                await asyncio.sleep(wait)
            else:
                self.outcomes.add(state.value)
                log.info("notice", channel=one.channel_id, notice=one.notice_id, state=state.value, tries=one.tries)
                return
