"""Runs ``shoal`` as ``python -m shoal`` does, but old rows are deleted, and the clock is looked at, every second."""

from __future__ import annotations

from shoal.__main__ import main
from shoal.notices.clock_watch import ClockWatch
from shoal.server.retention import Retention

for made, waits in (
    (Retention.__init__, {"first_after_seconds": 1.0, "every_seconds": 2.0, "again_seconds": 1.0}),
    (ClockWatch.__init__, {"look_seconds": 0.5, "patience_ms": 0}),
):
    defaults = made.__kwdefaults__
    assert defaults is not None
    assert defaults.keys() >= waits.keys()
    defaults.update(waits)

main()
