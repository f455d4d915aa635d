"""Sends by Apprise in a process of its own, which is started when needed and again when it hangs or has ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from dataclasses import dataclass, field
from typing import Final

import structlog

from shoal.concurrency.child_process import child_environment
from shoal.network.guarded_proxy import GuardedProxy, Pass
from shoal.notices.apprise_wire import MOST_LINE, Reply, Request, Start, decode_reply, encode
from shoal.notices.apprise_worker import THREADS
from shoal.notices.services import Address

log = structlog.get_logger("shoal.notices")

SEND_SECONDS: Final = 20.0
"""The longest time for one message. Then its connections are ended."""
GRACE_SECONDS: Final = 4.0
"""How long the process may take to notice that; then it hangs, and is ended."""
START_SECONDS: Final = 60.0
"""The longest start, on a busy machine."""
READY_SECONDS: Final = 4.0
"""How long a message waits for a place and for the process; then it is certainly not sent, and may be sent again."""
IDLE_SECONDS: Final = 300.0
"""A process that is unused for so long is ended: it holds 45 MB."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The reply of the process, ``None`` when it gave none, and how far its pass came."""

    reply: Reply | None
    passed: Pass
    late: bool = False
    """Whether the time for the message was over."""


@dataclass(eq=False, slots=True)
class _Child:
    process: asyncio.subprocess.Process
    waiting: dict[int, asyncio.Future[Reply]] = field(default_factory=dict)
    reading: asyncio.Task[None] | None = None
    ending: bool = False


class AppriseProcess:
    """The process and its proxy. Belongs to one event loop."""

    def __init__(
        self,
        proxy: GuardedProxy,
        *,
        send_seconds: float = SEND_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self._proxy = proxy
        self._send_seconds = send_seconds
        self._grace_seconds = grace_seconds
        self._idle_seconds = idle_seconds
        self._ready_seconds = ready_seconds
        self._places = asyncio.Semaphore(THREADS)
        self._starting: asyncio.Task[_Child] | None = None
        self._ids = itertools.count(1)
        self._child: _Child | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.starts = 0
        """How often a process was started."""

    @property
    def pid(self) -> int | None:
        """The number of the process that runs now."""
        return None if self._child is None else self._child.process.pid

    async def send(self, address: Address, *, title: str, body: str, kind: str) -> Attempt:
        """Send one message. Cancelled, it ends the connections that were made for it."""
        try:
            async with asyncio.timeout(self._ready_seconds):
                await self._places.acquire()
        except TimeoutError:
            return Attempt(None, Pass())
        try:
            return await self._sent(address, title, body, kind)
        finally:
            self._places.release()

    async def _sent(self, address: Address, title: str, body: str, kind: str) -> Attempt:
        given = self._proxy.give_pass()
        try:
            async with asyncio.timeout(self._ready_seconds):
                child = await self._ready()
        except OSError:  # no process, or not in time
            self._proxy.take_back(given)
            return Attempt(None, given)
        request = Request(id=next(self._ids), word=given.word, address=address, title=title, body=body, kind=kind)
        answer = child.waiting[request.id] = asyncio.get_running_loop().create_future()
        try:
            return await self._asked(child, request, answer, given)
        finally:
            child.waiting.pop(request.id, None)
            self._proxy.take_back(given)
            self._rest()

    async def _asked(self, child: _Child, request: Request, answer: asyncio.Future[Reply], given: Pass) -> Attempt:
        line = encode(request) + b"\n"
        if len(line) > MOST_LINE:
            return Attempt(None, given)
        try:
            _input_of(child).write(line)
            await _input_of(child).drain()
            done, _ = await asyncio.wait([answer], timeout=self._send_seconds)
            late = not done
            if late:
                self._proxy.take_back(given)  # the process sees its connections end
                done, _ = await asyncio.wait([answer], timeout=self._grace_seconds)
            if not done:
                log.warning("the process that sends notices hangs and is ended")
                self._end(child)
            return Attempt(answer.result() if done else None, given, late)
        except (OSError, _Ended):
            return Attempt(None, given)

    async def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._child is not None:
            self._end(self._child)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _ready(self) -> _Child:
        if self._idle is not None:
            self._idle.cancel()
        if self._child is not None and self._child.process.returncode is None:
            return self._child
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._started(), name="start of the process for notices")
        return await asyncio.shield(self._starting)  # it goes on for the next message

    async def _started(self) -> _Child:
        await self._proxy.open()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "shoal.notices.apprise_worker", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=MOST_LINE,
            env={**child_environment(), "HOME": os.devnull}, start_new_session=True,
        )  # fmt: skip
        child = _Child(process)
        ready = child.waiting[0] = asyncio.get_running_loop().create_future()
        child.reading = asyncio.create_task(self._read(child), name=f"answers of notices {process.pid}")
        self._ending.add(child.reading)
        child.reading.add_done_callback(self._ending.discard)
        self.starts += 1
        try:
            start = Start(proxy_port=self._proxy.port, authorities=os.environ.get("SSL_CERT_FILE", ""))
            _input_of(child).write(encode(start) + b"\n")
            async with asyncio.timeout(START_SECONDS):
                await ready
        except BaseException:  # also when the caller no longer waits
            self._end(child)
            raise
        finally:
            child.waiting.pop(0)
        self._child = child
        return child

    async def _read(self, child: _Child) -> None:
        assert child.process.stdout is not None  # noqa: S101  for the type checker
        try:
            while line := await child.process.stdout.readline():
                reply = decode_reply(line)
                answer = child.waiting.get(reply.id)
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except (OSError, ValueError):
            log.warning("the process that sends notices answered an invalid line and is ended")
        finally:
            if self._child is child:
                self._child = None
            for answer in child.waiting.values():
                if not answer.done():
                    answer.set_exception(_Ended())
            # A kill polls the process, and would take its exit status from this wait.
            done, _ = await asyncio.wait([asyncio.create_task(child.process.wait())], timeout=self._grace_seconds)
            if not done:
                self._end(child)

    def _rest(self) -> None:
        if self._child is not None and not self._child.waiting:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end, self._child)

    def _end(self, child: _Child) -> None:
        if self._child is child:
            self._child = None
        if child.ending:
            return
        child.ending = True
        with contextlib.suppress(ProcessLookupError):
            child.process.kill()
        task = asyncio.get_running_loop().create_task(_wait_for_end(child), name=f"notice process {child.process.pid}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class _Ended(OSError):
    """The process ended before it answered."""


def _input_of(child: _Child) -> asyncio.StreamWriter:
    if child.process.stdin is None:
        raise _Ended
    return child.process.stdin


async def _wait_for_end(child: _Child) -> None:
    """Wait until the process has ended and its last answer is read."""
    await child.process.wait()
    if child.reading is not None:
        await asyncio.gather(child.reading, return_exceptions=True)
