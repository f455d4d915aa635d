"""The steps of a QR login, from the code that is shown to the login: polled until the seller has done them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol, TypeVar

from shoal.clock import steady_ms
from shoal.errors import TemporaryFailure
from shoal.xianyu.face_check import FaceCheck
from shoal.xianyu.qr_login import QrLogin, QrStatus

MOST_FAILURES = 5
"""This many failed polls, or tries of a step, in a row end a login."""
FACE_SECONDS = 300.0
"""How long a login waits for the check of the face after its confirmation."""
FACE_POLL_FACTOR = 4 / 3
"""The check is asked about every 2 s when the code is asked about every 1.5 s, as the site's pages do."""


_T = TypeVar("_T")


class QrLoginState(StrEnum):
    """The state of a login. Each member says what happens next."""

    WAITING = "waiting"
    """The code is shown and not scanned yet."""
    SCANNED = "scanned"
    """Scanned; the seller must confirm in the app."""
    FACE_CHECK = "face_check"
    """Confirmed; the site wants to see the seller's face. The code shown now is that of the check."""
    DONE = "done"
    """The account has the new cookie."""
    EXPIRED = "expired"
    """Not confirmed in time. Begin another login."""
    CANCELLED = "cancelled"
    """The seller or the owner cancelled it."""
    NEEDS_OWNER = "needs_owner"
    """The site wants a check that Shoal cannot show: see ``action_url``. Then begin another login."""
    FAILED = "failed"
    """Failed: see the error."""

    @property
    def is_over(self) -> bool:
        """Return whether the state is final."""
        return self not in {QrLoginState.WAITING, QrLoginState.SCANNED, QrLoginState.FACE_CHECK}


class NoteState(Protocol):
    """Changes what the owner sees of a login. ``content`` is another code, ``seconds`` how long it is valid."""

    def __call__(self, state: QrLoginState, *, content: str = "", seconds: float = 0.0) -> None:
        """Note the state."""
        ...


async def confirmed(site: QrLogin, note: NoteState, *, poll_seconds: float, lifetime_seconds: float) -> bool:
    """Poll until the seller confirmed, and passed the check of the face if there is one.

    Return ``False`` when the login ended in another way. The site reports "confirmed" only once. When it reports
    "expired" after a lost answer, the lost answer may have been "confirmed": then raise ``TemporaryFailure``
    (``qr_answer_lost``). Also raise what ``QrLogin.ask`` raises.
    """
    failures = 0
    ends_at = steady_ms() + round(lifetime_seconds * 1000)  # the machine's clock may be set in the meantime
    while steady_ms() < ends_at:
        await asyncio.sleep(poll_seconds)
        try:
            status = await site.ask()
        except TemporaryFailure:
            if site.is_logged_in:
                return True
            failures += 1
            if failures >= MOST_FAILURES:
                raise
            continue
        if status is QrStatus.CONFIRMED:
            return True
        if status is QrStatus.FACE:
            return await _face_passed(site, note, poll_seconds=poll_seconds * FACE_POLL_FACTOR)
        if status is QrStatus.ERROR:
            raise TemporaryFailure("the site gave the login up", code="qr_login_failed")
        if failures and status is QrStatus.EXPIRED:
            raise TemporaryFailure("the answer before the code's end was lost", code="qr_answer_lost")
        failures = 0
        note(_STATES[status])
        if _STATES[status].is_over:
            return False
    note(QrLoginState.EXPIRED)
    return False


async def persistently(step: Callable[[], Awaitable[_T]], *, poll_seconds: float) -> _T:
    """Take a step after the seller's confirmation, which comes once: again while its failure may pass."""
    for tries_left in reversed(range(MOST_FAILURES)):
        try:
            return await step()
        except TemporaryFailure:
            if not tries_left:
                raise
            await asyncio.sleep(poll_seconds)
    raise AssertionError("the last try returns or raises")


async def _face_passed(site: QrLogin, note: NoteState, *, poll_seconds: float) -> bool:
    """Show the second code and poll until the seller passed the check. Return ``False`` when the time is over."""
    check = FaceCheck(site.site, site.face_url)
    code = await persistently(check.code, poll_seconds=poll_seconds)
    note(QrLoginState.FACE_CHECK, content=code, seconds=FACE_SECONDS)
    failures = 0
    ends_at = steady_ms() + round(FACE_SECONDS * 1000)
    while steady_ms() < ends_at:
        await asyncio.sleep(poll_seconds)
        try:
            if await check.is_passed():
                return True
            failures = 0
        except TemporaryFailure:
            failures += 1
            if failures >= MOST_FAILURES:
                raise
    note(QrLoginState.EXPIRED)
    return False


_STATES = {
    QrStatus.NEW: QrLoginState.WAITING,
    QrStatus.SCANNED: QrLoginState.SCANNED,
    QrStatus.EXPIRED: QrLoginState.EXPIRED,
    QrStatus.CANCELLED: QrLoginState.CANCELLED,
}
