"""The stop of one connection: after an answer that only the owner can follow, nothing more is asked of the site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shoal.errors import ActionRequired


class StopSwitch:
    """Shared by everything that speaks for one connection: calls, uploads, the login check, the socket.

    Pulled once it stays so, and the first reason counts: however many answers say the same, it is one incident.
    """

    __slots__ = ("_why",)

    def __init__(self) -> None:
        self._why: ActionRequired | None = None

    def pull(self, why: ActionRequired) -> None:
        """From here on nothing leaves."""
        self._why = self._why or why

    def check(self) -> None:
        """Ask before anything leaves. Raises ``ActionRequired``, with the first reason, once it was pulled."""
        if self._why is not None:
            raise ActionRequired(self._why.reason, action_url=self._why.action_url)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Ask the site something inside: not when it was pulled, and a ``ActionRequired`` that comes out pulls it."""
        self.check()
        try:
            yield
        except ActionRequired as why:
            self.pull(why)
            raise
