"""The loop that posts: each webhook has a task of its own while it has something to post, so one that hangs delays no
other.

The events of an account are posted one after another, each until it arrives; those of different accounts beside each
other. How far everything arrived is stored after each page, so a death posts some events again, with the same ids.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog
from msgspec.structs import replace

from shoal.accounts.positions import EventId, Position
from shoal.auth.authorization import Authorization, Principal
from shoal.auth.users import Role
from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.streams.stored_events import StoredEvent
from shoal.webhooks.posted_bodies import body_of, is_unstored, name_of, store_bodies
from shoal.webhooks.webhook_calls import Called, WebhookCalls
from shoal.webhooks.webhook_rows import (
    REFUSED,
    Looked,
    Page,
    Result,
    next_page,
    note_beyond,
    page_after,
    settle,
    webhooks_with_work,
)
from shoal.webhooks.webhooks import Attempt, Target, WebhookStore

log = structlog.get_logger("shoal.webhooks")

LOOK_SECONDS: Final = 1.0
"""How often the database is asked which webhooks have something to post."""
AT_ONCE: Final = 8
"""How many calls of one webhook run beside each other, each of another account."""
FAR: Final = 1_000
"""So many events that are not for a webhook are looked at again after a restart, at most."""
PAGES_BEYOND: Final = 100
"""So many pages beyond an event that is refused are posted. After a restart they are posted again."""
MOST_HELD: Final = 20
"""Of so many accounts an event may be refused; with more, the receiver is taken for one that refuses everything."""
END_SECONDS: Final = 5.0
"""How long the calls under way may take when the server closes."""


class WebhookLoop:
    """Owns one task, from ``start`` to ``close``, and one for each webhook that is posting."""

    def __init__(
        self,
        database: Database,
        store: WebhookStore,
        calls: WebhookCalls,
        authorization: Authorization,
        *,
        owns: Callable[[], bool] = lambda: True,
        settled: Callable[[], Position | None] = lambda: None,
        now_ms: Callable[[], int] = now_ms,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """``settled``: up to where everything can be read when several servers write; else ``None``."""
        self._database = database
        self._until = settled
        self._store = store
        self._calls = calls
        self._authorization = authorization
        self._owns = owns
        self._now_ms = now_ms
        self._look_seconds = look_seconds
        self._posting: dict[int, asyncio.Task[None]] = {}
        self._ahead: dict[int, tuple[int, set[EventId]]] = {}
        """By webhook: its version, and what arrived beyond its position: another account's event before it failed."""
        self._looked: dict[int, Looked] = {}
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop on the running loop."""
        self._task = asyncio.create_task(self.serve(), name="webhooks")

    async def serve(self) -> None:
        """Post until this is cancelled; then let the calls under way end for a moment.

        What memory has of how far the webhooks came is dropped first: another server may have posted since.
        """
        self._closing = False
        self._looked.clear()
        self._ahead.clear()
        try:
            await self._keep()
        finally:
            await self._end_calls()

    async def close(self) -> None:
        """Begin no more calls, and let those under way end for a moment."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._end_calls()

    async def _end_calls(self) -> None:
        self._closing = True
        under_way = list(self._posting.values())
        try:
            if under_way:
                await asyncio.wait(under_way, timeout=END_SECONDS)
        finally:
            for task in under_way:
                task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                await self._database.checked()
                if self._owns():  # otherwise another server posts
                    await self.look()
            except StoreError as error:
                log.debug("webhooks wait", why=error.code)
            except Exception:  # a defect here must not end the webhooks for good
                log.exception("looking for events to post met a defect")
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> None:
        """Let each webhook post that has something to post. Raises ``StoreError``."""
        job = partial(webhooks_with_work, now_ms=self._now_ms(), looked=dict(self._looked), until=self._until())
        work = await self._database.read(job)
        for webhook_id in work:
            if webhook_id not in self._posting:
                task = asyncio.create_task(self._serve(webhook_id), name=f"webhook:{webhook_id}")
                self._posting[webhook_id] = task
                task.add_done_callback(partial(self._served, webhook_id))

    def _served(self, webhook_id: int, task: asyncio.Task[None]) -> None:
        del self._posting[webhook_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a webhook met a defect", webhook=webhook_id, exc_info=error)

    async def _serve(self, webhook_id: int) -> None:
        """Post page after page, until nothing is left or a call fails."""
        while not self._closing and self._owns():
            try:
                looked = self._looked.get(webhook_id)
                job = partial(
                    next_page, webhook_id=webhook_id, looked=looked, now_ms=self._now_ms(), until=self._until()
                )
                found = await self._database.read(job)
                if found is None or not found.events:
                    return
                target = self._store.target_of(found.row)
                page = await self._with_bodies(found)
            except StoreError as error:
                log.debug("a webhook waits", webhook=webhook_id, why=error.code)
                return
            result = await self._post(page, target)
            if not await self._settled(page, result, target):
                return
            if result.refused_of:
                await self._post_beyond(page, target, set(result.refused_of))
            if result.failed is not None or page.is_last:
                return

    async def _post_beyond(self, page: Page, target: Target, held: set[str]) -> None:
        """Post what follows a page of which the receiver refused something: the events of other accounts.

        Only memory has how far they came; the position stays at what was refused.
        """
        done = self._ahead[page.row["id"]][1]
        for _ in range(PAGES_BEYOND):
            if page.is_last or self.ends or len(held) > MOST_HELD:
                return
            try:
                job = partial(page_after, page=page, now_ms=self._now_ms(), until=self._until())
                following = await self._database.read(job)
                if following is None:
                    return
                page = await self._with_bodies(following)
                posting = _Posting(self, page, target)
                await posting.run(_lanes(page, done, held))
                done |= {event.id for event in page.events if page.wants(event)} & posting.done
                note = partial(note_beyond, page=page, attempts=posting.attempts, now_ms=self._now_ms())
                if posting.attempts and not await self._database.write(note):
                    return
            except StoreError as error:
                log.debug("a webhook waits", webhook=page.row["id"], why=error.code)
                return
            if posting.stops:
                return
            held |= posting.failed_accounts

    async def _with_bodies(self, page: Page) -> Page:
        """Return the page with the bodies of what it posts stored. Raises ``StoreError``."""
        new = [event for event in page.events if is_unstored(event) and page.wants(event) and self.may_see(page, event)]
        if not new:
            return page
        stored = await self._database.write(partial(store_bodies, events=new))
        events = (replace(event, posted=stored.get(event.id, event.posted)) for event in page.events)
        return replace(page, events=tuple(events))

    def _is_stored_later(self, page: Page, result: Result) -> bool:
        """Return whether nothing happened that must be stored: events that are not for this webhook were looked at."""
        if result.attempts or page.row["tries"]:
            return False
        stored = Position.of(page.row["position"])
        return sum((after or 0) - (before or 0) for before, after in zip(stored, result.position, strict=True)) < FAR

    async def _settled(self, page: Page, result: Result, target: Target) -> bool:
        webhook_id = page.row["id"]
        self._looked[webhook_id] = (page.row["version"], result.position)
        if self._is_stored_later(page, result):
            return True
        host = urlsplit(target.url).hostname or ""
        job = partial(settle, page=page, result=result, host=host, now_ms=self._now_ms())
        try:
            off = await self._database.write(job)
        except StoreError as error:  # what arrived is posted again, with the same ids
            self._looked.pop(webhook_id, None)
            log.warning("how far a webhook came is not stored", webhook=webhook_id, why=error.code)
            return False
        if off:
            log.warning("a webhook was switched off", webhook=webhook_id, why=off)
        return not off

    async def _post(self, page: Page, target: Target) -> Result:
        webhook_id, version = page.row["id"], page.row["version"]
        before = self._ahead.pop(webhook_id, (version, set()))
        ahead = before[1] if before[0] == version else set()
        posting = _Posting(self, page, target)
        await posting.run(_lanes(page, ahead, ()))
        position, done = page.start, ahead | posting.done
        passed: set[EventId] = set()
        stopped = next((event for event in page.events if event.id not in done), None)
        for event in page.events:
            if event is stopped:
                break
            position = position.reached(*event.id)
            passed.add(event.id)
        if done - passed or posting.failures:
            self._ahead[webhook_id] = (version, done - passed)
        attempts = posting.attempts
        if stopped is None or not posting.failures:
            return Result(position, attempts)
        failed = posting.failures.get(stopped.id)
        if failed is None:  # the turn of the first did not come
            later = next(iter(posting.failures.values()))
            return Result(position, attempts, later.attempt, None, later.retry_after)
        refused = frozenset() if posting.stops else posting.failed_accounts
        after = position.reached(*stopped.id)
        return Result(position, attempts, failed.attempt, after, failed.retry_after, refused)

    def may_see(self, page: Page, event: StoredEvent) -> bool:
        """Return whether the webhook's user may see the event now."""
        who = Principal(user=page.user)
        if event.account_id:
            return self._authorization.may_see_stored(who, event.account_id, event.owner_id, event.at_ms)
        return page.user.role is Role.ADMIN if event.user_id is None else event.user_id == who.id

    async def call(self, target: Target, event: StoredEvent) -> Called:
        """Post one event."""
        return await self._calls.post(target, name_of(event), event.type, body_of(event))

    @property
    def ends(self) -> bool:
        """Whether no more calls begin."""
        return self._closing or not self._owns()


def _lanes(page: Page, done: Collection[EventId], held: Collection[str]) -> list[list[StoredEvent]]:
    """Return what must be posted of a page, by account, without the accounts that are held back."""
    lanes: defaultdict[str, list[StoredEvent]] = defaultdict(list)
    for event in page.events:
        if page.wants(event) and event.id not in done and event.account_id not in held:
            lanes[event.account_id].append(event)
    return list(lanes.values())


class _Posting:
    """One page on its way: what arrived or was left out, and what failed."""

    def __init__(self, loop: WebhookLoop, page: Page, target: Target) -> None:
        self._loop = loop
        self._page = page
        self._target = target
        self.done: set[EventId] = {event.id for event in page.events if not page.wants(event)}
        self.arrived: list[Attempt] = []
        self.failures: dict[EventId, Called] = {}
        self.stops = False

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All calls."""
        return (*self.arrived, *(one.attempt for one in self.failures.values()))

    @property
    def failed_accounts(self) -> frozenset[str]:
        """The accounts of the events that failed."""
        return frozenset(event.account_id for event in self._page.events if event.id in self.failures)

    async def run(self, lanes: list[list[StoredEvent]]) -> None:
        """Post the events of each lane in order, up to one that fails.

        None begins after a failure that speaks of the receiver; one that speaks of the event stops its own lane.
        """
        waiting = iter(lanes)

        async def serve() -> None:
            for lane in waiting:
                for event in lane:
                    self.stops = self.stops or self._loop.ends
                    if self.stops:
                        return
                    if not await self._one(event):
                        break

        await asyncio.gather(*(serve() for _ in range(min(AT_ONCE, len(lanes)))))

    async def _one(self, event: StoredEvent) -> bool:
        if not self._loop.may_see(self._page, event):
            self.done.add(event.id)
            return True
        called = await self._loop.call(self._target, event)
        if called.attempt.arrived:
            self.done.add(event.id)
            self.arrived.append(called.attempt)
            return True
        self.failures[event.id] = called
        self.stops = self.stops or called.attempt.status not in REFUSED
        return False
