"""Watches the machine's clock: notes a wrong one as an incident, and keeps the moment of which the server is sure."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from shoal.clock import WRONG_MS, Clock, Witness, present_clock
from shoal.errors import StoreError
from shoal.notices.machine_incidents import is_live, subject_of
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, open_incidents
from shoal.storage.last_sure_time import AWAY_MS, keep_time

log = structlog.get_logger("shoal.notices")

LOOK_SECONDS: Final = 15.0
KEEP_MS: Final = 600_000
"""How often the moment of which the server is sure is kept."""
PATIENCE_MS: Final = 300_000
"""How long after the start the site has to answer, before a clock that is ahead of what is stored is called wrong."""
_KIND: Final = IncidentKind.CLOCK_WRONG


class ClockWatch:
    """Looks at the clock of this process, which is the machine's unless something contradicts that."""

    def __init__(
        self,
        database: Database,
        *,
        server: str = "",
        clock: Clock | None = None,
        look_seconds: float = LOOK_SECONDS,
        patience_ms: int = PATIENCE_MS,
    ) -> None:
        """``server``: the name of this one of several; empty for a single one."""
        self._database = database
        self._server = server
        self._subject = subject_of(server)
        self._look_seconds = look_seconds
        self._clock = clock or present_clock()
        self._patient_until_ms = self._clock.steady_ms() + patience_ms
        self._kept_ms = 0
        self._noted = ("?", 0)
        """What was noted last: the detail of the incident (empty: all is well), and the skew. Unknown at first."""

    async def keep(self) -> None:
        """Look until this is cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.debug("the clock is noted later", why=error.code)
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> None:
        """Note what has changed since the last look. Raises ``StoreError``, and notes it at the next look then."""
        clock = self._clock
        now_ms, skew_ms, detail = clock.now_ms(), clock.skew_ms, self._detail()
        if clock.is_sure and clock.witness is not None and now_ms - self._kept_ms >= KEEP_MS:
            await keep_time(self._database, now_ms)
            self._kept_ms = now_ms
        if detail is None or (detail == self._noted[0] and abs(skew_ms - self._noted[1]) <= WRONG_MS):
            return
        if detail:
            facts = {"hours": round(abs(skew_ms) / 3_600_000), "server": self._server}
            at_ms = clock.wall_ms() - skew_ms
            opening = Opening(subject=self._subject, kind=_KIND, at_ms=at_ms, detail=detail, facts=facts)
            await self._database.write(partial(open_incidents, openings=[opening]))
        elif await self._database.read(partial(is_live, subject=self._subject, kind=_KIND)):
            await self._database.write(partial(close_incidents, subjects=[self._subject], kinds=[_KIND], at_ms=now_ms))
        self._noted = detail, skew_ms

    def _detail(self) -> str | None:
        """Return in which way the clock is wrong; empty: it is right; ``None``: that is not known yet."""
        clock = self._clock
        if clock.is_sure:
            return ""
        way = "ahead" if clock.skew_ms > 0 else "behind"
        if clock.witness is Witness.SITE:
            return way
        is_early = clock.steady_ms() < self._patient_until_ms
        return None if clock.skew_ms > 0 and (is_early or clock.skew_ms < AWAY_MS) else f"{way}_of_data"
