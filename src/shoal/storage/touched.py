"""Which goods a transaction changed: named by the job that changes them, told once the transaction is durable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from sqlalchemy import Connection

_KEY: Final = "shoal.touched_goods"
T = TypeVar("T")
Told = Callable[[frozenset[int]], object]


def touch(connection: Connection, goods_ids: Iterable[int]) -> None:
    """Name goods that the transaction changes."""
    connection.info.setdefault(_KEY, set()).update(goods_ids)


class Touched:
    """Tells a listener, on the event loop, which goods each durable write changed."""

    def __init__(self) -> None:
        self.listener: Told | None = None

    async def told(self, run: Callable[[Callable[[Connection], T]], Awaitable[T]], job: Callable[[Connection], T]) -> T:
        """Run a job, and tell what it named once it is durable."""
        listener = self.listener
        if listener is None:
            return await run(job)
        found: frozenset[int] = frozenset()

        def whole(connection: Connection) -> T:
            nonlocal found
            connection.info.pop(_KEY, None)  # what a job named that was rolled back
            value = job(connection)
            found = frozenset(connection.info.pop(_KEY, ()))
            return value

        value = await run(whole)
        if found:
            listener(found)
        return value
