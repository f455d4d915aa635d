"""Reads files of shops that users send: a large one in a process of its own, bounded in time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shoal.concurrency.bounded_processes import BoundedProcesses, Bounds, GivenUp
from shoal.concurrency.fair_threads import beside
from shoal.errors import InvalidInput

if TYPE_CHECKING:
    from shoal.maintenance.shop_file.reading import ReadFile

BOUNDS: Final = Bounds(
    places=1,
    waiting_each=2,
    waiting_all=8,
    cpu_seconds=60,
    deadline_seconds=240.0,
    memory_bytes=1 << 30,
    answer_bytes=64 * 1024**2,
)
SMALL: Final = 32 * 1024
"""How many characters are read on a thread of the server: to start a process takes longer."""


class ShopFileReader:
    """Reads files as ``read_file``. ``close`` ends what is being read."""

    def __init__(self) -> None:
        self._processes = BoundedProcesses(BOUNDS, idle_seconds=0)
        self.close = self._processes.close

    async def read(self, text: str) -> ReadFile:
        """Return the shops of a file. Also raises ``InvalidInput`` (``shop_file_too_costly``) and as
        ``FairTurns.turn``."""
        # what reads them is loaded with their routes, not with the server
        from shoal.maintenance.shop_file.reading import read_file  # noqa: PLC0415
        from shoal.maintenance.shop_file.reading_job import READ, file_of  # noqa: PLC0415

        if len(text) <= SMALL:
            return await beside(read_file, text)
        try:
            parts = await self._processes.call(READ, text.encode())
        except GivenUp:
            raise InvalidInput("the file costs too much time or memory", code="shop_file_too_costly") from None
        return await beside(file_of, parts)
