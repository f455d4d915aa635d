"""Notes QR logins where all servers of a database see them, so that limits and lists count those of every server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import structlog

from shoal.clock import now_ms as wall_clock_ms
from shoal.connection.qr_steps import QrLoginState
from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.qr_login_rows import QrLoginRow, note_row, take_row

log = structlog.get_logger("shoal.qr_login")

FORGOTTEN_MS: Final = 1_200_000
"""How old the rows of logins get: as long as a login with a check of the face lasts and can be read."""
_UNDER_WAY: Final = frozenset(state.value for state in QrLoginState if not state.is_over)


class BegunLogin(msgspec.Struct, frozen=True):
    """A login that begins."""

    id: str
    owner_id: int
    account_id: str
    created_at_ms: int
    expires_at_ms: int


class QrLoginRegister(Protocol):
    """What a server reports of its logins."""

    @property
    def prefix(self) -> str:
        """Return the beginning of the ids of this server's logins."""

    async def take(self, login: BegunLogin, most: int) -> bool:
        """Note a login that begins; return ``False`` when its owner has ``most`` under way. Raise ``StoreError``."""

    def note(self, login_id: str, *, account_id: str, state: QrLoginState, ended_at_ms: int | None) -> None:
        """Note what became of a login, soon."""

    async def close(self) -> None:
        """Write what is noted."""


class SeveralServers:
    """The rows of one of several servers. ``me``: its name, and the number of its life."""

    def __init__(
        self, database: Database, me: Callable[[], tuple[str, int]], *, now_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        self._database = database
        self._me = me
        self._now_ms = now_ms
        self._noting: set[asyncio.Task[None]] = set()

    @property
    def prefix(self) -> str:
        """See ``QrLoginRegister``."""
        return f"{self._me()[0].replace('/', '_')}."  # that of a worker stands in paths

    async def take(self, login: BegunLogin, most: int) -> bool:
        """See ``QrLoginRegister``."""
        old_ms = self._now_ms() - FORGOTTEN_MS
        node, inc = self._me()
        row = QrLoginRow(
            id=login.id,
            owner_id=login.owner_id,
            account_id=login.account_id,
            node=node,
            inc=inc,
            state=QrLoginState.WAITING.value,
            created_at_ms=login.created_at_ms,
            expires_at_ms=login.expires_at_ms,
            ended_at_ms=None,
        )
        return await self._database.write(
            lambda connection: take_row(connection, row, most=most, under_way=_UNDER_WAY, old_ms=old_ms)
        )

    def note(self, login_id: str, *, account_id: str, state: QrLoginState, ended_at_ms: int | None) -> None:
        """See ``QrLoginRegister``."""
        values = {"account_id": account_id, "state": state.value, "ended_at_ms": ended_at_ms}
        noting = asyncio.create_task(self._note(login_id, values), name=f"qr row:{login_id}")
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _note(self, login_id: str, values: dict[str, str | int | None]) -> None:
        try:
            await self._database.write(lambda connection: note_row(connection, login_id, values))
        except StoreError as error:  # its age ends it
            log.warning("qr login not noted", login=login_id, why=error.code)

    async def close(self) -> None:
        """See ``QrLoginRegister``."""
        while self._noting:
            await asyncio.wait(self._noting)
