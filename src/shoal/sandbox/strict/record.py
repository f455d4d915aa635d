"""Which strict rules are in force, and the record of every time one of them bit."""

from __future__ import annotations

from shoal.sandbox.clock import wall_ms
from shoal.sandbox.journal import Journal
from shoal.sandbox.world import World


class StrictRecord:
    """The rules of one site. ``lines`` is what ``GET /_sandbox/refusals`` shows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lines = Journal(5_000)

    def has(self, rule: str) -> bool:
        """Return whether a rule is in force."""
        return rule in self._world.policy.rules

    def add(self, rule: str, door: str, account: str, why: str, *, refused: bool) -> None:
        """Record that a rule bit: it refused a request, or only saw what a browser never sends."""
        self.lines.add(
            at=self._world.clock.now_ms(),
            wall_ms=wall_ms(),
            rule=rule,
            door=door,
            account=account,
            why=why,
            refused=refused,
        )
