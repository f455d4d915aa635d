"""Up to which id everything is decided: never beyond an id that an open transaction has taken, and in the end all."""

from __future__ import annotations

from random import Random

import pytest

from shoal.accounts.journal_stream import SeenIds, SettledIds
from shoal.accounts.positions import Position


class World:
    """Transactions that take ids, as PostgreSQL shows them to one who looks."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.next_xid = 1
        self.last_id = 0
        self.open: dict[int, list[int]] = {}

    def step(self) -> None:
        """Let some transaction begin, take an id, or end."""
        what = self.random.choice("btte")
        if what == "b" and len(self.open) < 6:
            self.open[self.next_xid] = []
            self.next_xid += 1
        elif what == "t" and self.open:
            self.last_id += 1
            self.open[self.random.choice(list(self.open))].append(self.last_id)
        elif what == "e" and self.open:
            del self.open[self.random.choice(list(self.open))]

    def look(self, steps: int) -> SeenIds:
        """A snapshot, the last ids after some steps of others, and a transaction id after some more."""
        horizon = min(self.open, default=self.next_xid)
        for _ in range(steps):
            self.step()
        ids = Position(self.last_id, self.last_id)
        for _ in range(steps):
            self.step()
        self.next_xid += 1
        return SeenIds(horizon, ids, self.next_xid - 1)

    @property
    def undecided(self) -> int:
        """The smallest id that an open transaction has taken."""
        return min((one for ids in self.open.values() for one in ids), default=self.last_id + 1)


@pytest.mark.parametrize("seed", range(30))
def test_no_id_that_is_settled_is_still_open_and_in_the_end_all_are(seed: int) -> None:
    world, settled, moves = World(seed), SettledIds(Position(0, 0)), 0
    for _ in range(300):
        for _ in range(world.random.randrange(4)):
            world.step()
        before = settled.position
        settled.note(world.look(world.random.randrange(4)))
        assert settled.position >= before
        assert (settled.position.states or 0) < world.undecided or settled.position == before
        moves += settled.position != before
    assert moves > 10
    world.open.clear()
    for _ in range(2):
        settled.note(world.look(0))
    assert settled.position == Position(world.last_id, world.last_id)
    assert not settled.waits


def test_ids_are_settled_when_every_transaction_that_may_have_taken_one_has_ended() -> None:
    settled = SettledIds(Position(3))
    settled.note(SeenIds(7, Position(5), 9))
    assert (settled.position, settled.is_known, settled.waits) == (Position(3), False, True)
    settled.note(SeenIds(8, Position(5), 9))
    assert (settled.position, settled.is_known) == (Position(3), False), "the transaction 8 may have taken 4"
    settled.note(SeenIds(9, Position(6), 12))
    assert (settled.position, settled.is_known, settled.waits) == (Position(5), True, True)
    settled.note(SeenIds(12, Position(6), 12))
    assert (settled.position, settled.waits) == (Position(6), False)


def test_a_transaction_that_stays_open_costs_no_more_memory_with_time() -> None:
    settled = SettledIds(Position())
    for number in range(1, 1_000):
        settled.note(SeenIds(1, Position(number), number + 1))
    assert len(settled._open) == 100
    settled.note(SeenIds(2_000, Position(999), 1_000))
    assert settled.position == Position(999)
