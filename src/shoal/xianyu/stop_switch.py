"""The stop switch of one connection: after an answer that requires the owner's action, it stops all requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shoal.errors import ActionRequired


class StopSwitch:
    """Shared by everything that talks to the site for one connection: calls, uploads, the login check, the socket.

    Once on, it stays on, and the first reason counts: several answers with the same meaning are one incident.
    """

    __slots__ = ("_why",)

    def __init__(self) -> None:
        self._why: ActionRequired | None = None

    def pull(self, why: ActionRequired) -> None:
        """Block all further outbound traffic."""
        self._why = self._why or why

    def check(self) -> None:
        """Check before anything is sent. Raises ``ActionRequired`` with the first reason when the switch is on."""
        if self._why is not None:
            raise ActionRequired(self._why.reason, action_url=self._why.action_url)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Guard a block of requests to the site: raise when the switch is on; an ``ActionRequired`` turns it on."""
        self.check()
        try:
            yield
        except ActionRequired as why:
            self.pull(why)
            raise
