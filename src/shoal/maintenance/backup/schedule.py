"""Scheduled backups: once a day, sealed to a public key, in a process of its own; older ones are deleted by age."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from shoal.clock import WRONG_MS, machine_ms, present_clock
from shoal.clock import now_ms as wall_clock_ms
from shoal.cluster.turns import Turn
from shoal.concurrency.child_process import child_environment
from shoal.config import Settings
from shoal.errors import ConfigError, StoreError
from shoal.maintenance.backup.keeping import Keep, backups_in, superfluous
from shoal.maintenance.backup.locks import PUBLIC, read_key
from shoal.maintenance.backup.making import ENDING, PARTIAL, SCRATCH
from shoal.maintenance.backup.new_life import LAST_BACKUP
from shoal.maintenance.backup.worker import Done, Order
from shoal.notices.server_watch import note_backup
from shoal.storage.database import Database

log = structlog.get_logger("shoal.backup")

LOOK_SECONDS: Final = 60.0
_AGAIN_MS: Final = 3_600_000
"""How long after a failure it is tried again."""
_LONGEST_SECONDS: Final = 6 * 3600.0


class Last(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last backup that went well, and the failure since, if there was one."""

    at_ms: int = 0
    path: str = ""
    bytes: int = 0
    rows: int = 0
    failed_at_ms: int = 0
    code: str = ""
    why: str = ""
    node: str = ""
    """Which of several servers made it: each may have a directory of its own under one name."""


class BackupSchedule:
    """Makes the scheduled backups. Owns one task, from ``start`` to ``close``."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        turn: Turn | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """``turn``: of several servers, those with a directory take turns, so that one backup is made. Raises
        ``ConfigError`` when only one of directory and key is set, or the key is none."""
        self._database = database
        self._settings = settings
        self._turn_of_all = turn
        self._now_ms = now_ms
        self._look_seconds = look_seconds
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._asked: asyncio.Task[None] | None = None
        self._began_at_ms = 0
        if settings.backup_key or settings.backup_dir is not None:
            if not settings.backup_key:
                raise ConfigError("backup.no_key_set", code="no_backup_key")
            read_key(settings.backup_key, PUBLIC)
            if settings.backup_dir is None:
                raise ConfigError("backup.no_directory", code="no_backup_directory")

    @property
    def is_on(self) -> bool:
        """Whether the settings name a directory and a key."""
        return self._settings.backup_dir is not None

    @property
    def is_running(self) -> bool:
        """Whether a backup is being made now."""
        return self._turn.locked() or (self._asked is not None and not self._asked.done())

    @property
    def began_at_ms(self) -> int | None:
        """Since when a backup is being made; ``None`` when none is."""
        return self._began_at_ms if self.is_running else None

    @property
    def keep(self) -> Keep:
        """Which backups are kept."""
        settings = self._settings
        return Keep(
            days=settings.backup_keep_days, weeks=settings.backup_keep_weeks, months=settings.backup_keep_months
        )

    def start(self) -> None:
        """Start the task on the running loop, if backups are on."""
        if self.is_on:
            self._task = asyncio.create_task(self._keep(), name="backups")

    async def close(self) -> None:
        """Stop. A backup that is being made is given up; its partial file goes with it."""
        tasks = [task for task in (self._task, self._asked) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._asked = None

    async def last(self) -> Last:
        """Return what came of the last one. Raises ``StoreError``."""
        known = await self._database.fact(LAST_BACKUP)
        return msgspec.json.decode(known, type=Last) if known else Last()

    def due_at_ms(self, last: Last) -> int:
        """Return when the next one is due: at its hour after the last good one, or a while after a failure.

        Now (0), when a clock that was ahead made the last one: it would put the next off for as long.
        """
        if not last.at_ms + last.failed_at_ms or max(last.at_ms, last.failed_at_ms) > self._now_ms() + WRONG_MS:
            return 0
        if last.failed_at_ms:
            return last.failed_at_ms + _AGAIN_MS
        made = datetime.fromtimestamp(last.at_ms / 1000).astimezone()
        due = made.replace(hour=self._settings.backup_hour, minute=0, second=0, microsecond=0)
        return round((due if due > made else due + timedelta(days=1)).timestamp() * 1000)

    def begin(self) -> None:
        """Begin to make a backup now, unless one is being made. Its outcome is that of ``last``."""
        if not self.is_running:
            self._began_at_ms = self._now_ms()
            self._asked = asyncio.create_task(self._make_as_asked(), name="backup as asked")

    async def _make_as_asked(self) -> None:
        try:
            await self.make_now()
        except StoreError as error:
            log.warning("backup not noted", why=error.code)
        except Exception:  # no caller waits for this task; the log has the defect
            log.exception("a backup met a defect")

    async def make_now(self, *, is_asked: bool = True) -> Last:
        """Make a backup now, after one that is being made. Return what came of it. Raises ``StoreError``.

        ``is_asked``: somebody looks, so that it may be the first one in an empty directory.
        """
        async with self._turn:
            self._began_at_ms = self._now_ms()
            before = await self.last()
            if not is_asked and await asyncio.to_thread(self._lost_its_disk, before):
                why = ConfigError("backup.dir_empty", path=self._settings.backup_dir)
                done = Done(code="backup_dir_empty", why=str(why))
            else:
                done = await self._made()
            now = self._now_ms()
            if done.path:
                last = Last(at_ms=done.made_at_ms, path=done.path, bytes=done.bytes, rows=done.rows, node=self._node)
                log.info("backup made", path=done.path, bytes=done.bytes, rows=done.rows)
                if present_clock().is_sure:
                    await asyncio.to_thread(self._delete_old, done.store, done.made_at_ms)
            else:
                last = msgspec.structs.replace(before, failed_at_ms=now, code=done.code, why=done.why)
                log.error("backup failed", code=done.code, why=done.why)
            noted_ms = (await self.last()).at_ms
            if noted_ms <= last.at_ms or noted_ms > now + WRONG_MS:  # else another server made a newer one
                await self._database.replace_fact(LAST_BACKUP, msgspec.json.encode(last).decode())
            await note_backup(self._database, is_well=bool(done.path), at_ms=now)
            return last

    @property
    def _node(self) -> str:
        return self._settings.node or ""

    def _lost_its_disk(self, last: Last) -> bool:
        """Return whether the directory holds no backup although the last one was written there."""
        directory, path = self._settings.backup_dir, Path(last.path)
        if directory is None or not last.path or last.node != self._node or path.parent != directory:
            return False
        return directory.is_dir() and not any(directory.glob(f"*{ENDING}"))

    async def _keep(self) -> None:
        await self._database.checked()
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                if await self._is_due():
                    await self._make_in_turn()
            except StoreError as error:
                log.warning("backup not noted", why=error.code)
            except Exception:  # a defect here must not end the backups of later days
                log.exception("a scheduled backup met a defect")

    async def _is_due(self) -> bool:
        return self.due_at_ms(await self.last()) <= self._now_ms()

    async def _make_in_turn(self) -> None:
        """Make a backup, unless another server makes it, or has made it in the meantime."""
        if self._turn_of_all is None:
            await self.make_now(is_asked=False)
            return
        async with self._turn_of_all.taken() as is_mine:
            if is_mine and await self._is_due():
                await self.make_now(is_asked=False)

    async def _made(self) -> Done:
        settings = self._settings
        await asyncio.to_thread(self._tidy)
        order = Order(
            data_dir=str(settings.data_dir),
            url=settings.database_url.get_secret_value() if settings.database_url else "",
            secret_key=settings.secret_key.get_secret_value() if settings.secret_key else "",
            target=str(settings.backup_dir),
            public_key=settings.backup_key,
            ahead_ms=self._now_ms() - machine_ms(),
        )
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "shoal.maintenance.backup.worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env=child_environment(), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Done(code="no_process", why=error.strerror or type(error).__name__)
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                answer, _ = await child.communicate(msgspec.json.encode(order) + b"\n")
            return msgspec.json.decode(answer, type=Done)
        except TimeoutError:
            return Done(code="backup_takes_long", why="it was not done after six hours")
        except msgspec.MsgspecError:
            return Done(code="backup_died", why="its process ended without an answer")
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()

    def _delete_old(self, store: str, made_at_ms: int) -> None:
        """Delete what is superfluous. What a clock that was ahead has dated later than the newest does not count."""
        directory = Path(self._settings.backup_dir or "")
        try:
            found = backups_in(directory, store)
            gone = superfluous([at_ms for at_ms in found.values() if at_ms <= made_at_ms], self.keep)
            for path, at_ms in found.items():
                if at_ms in gone:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("old backups not deleted", why=error.strerror)

    def _tidy(self) -> None:
        """Delete what a process left that was killed: its partial file, and its scratch database."""
        directory = self._settings.backup_dir
        for left in directory.glob(f".*{ENDING}{PARTIAL}") if directory is not None and directory.is_dir() else ():
            left.unlink(missing_ok=True)
        for left in self._settings.data_dir.glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
