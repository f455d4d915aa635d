"""The process that makes a scheduled backup for the server: ``python -m shoal.maintenance.backup.worker``.

It reads what to do from its input, so that no secret stands among its arguments, and answers with one line.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from shoal.clock import now_ms
from shoal.concurrency.child_process import bound_memory, end_with_the_server, forbid_core_dumps
from shoal.errors import ConfigError, ShoalError
from shoal.maintenance.backup.locks import PUBLIC, lock_to_key, read_key
from shoal.maintenance.backup.making import make_backup

_MOST_BYTES = 2 << 30
_NICENESS = 10


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to back up, where to, and the public key to seal it to.

    ``ahead_ms``: how far the server's time is ahead of this machine's clock.
    """

    data_dir: str
    url: str
    secret_key: str
    target: str
    public_key: str
    ahead_ms: int = 0


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: a file, or why there is none."""

    path: str = ""
    store: str = ""
    made_at_ms: int = 0
    bytes: int = 0
    rows: int = 0
    code: str = ""
    why: str = ""


def main() -> None:
    """Make one backup."""
    forbid_core_dumps()
    end_with_the_server()
    bound_memory(_MOST_BYTES)
    with suppress(OSError):
        os.nice(_NICENESS)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(_carried_out(order)) + b"\n")
    sys.stdout.buffer.flush()


def _carried_out(order: Order) -> Done:
    try:
        public = read_key(order.public_key, PUBLIC)
        target = Path(order.target)
        if not target.is_dir():  # that of a disk that is not mounted, perhaps: none is made in its place
            raise ConfigError("backup.dir_missing", path=target, code="backup_dir_missing")
        made = make_backup(
            Path(order.data_dir), target, url=order.url, secret_key=order.secret_key or None,
            lock=partial(lock_to_key, public=public), scratch=Path(order.data_dir),
            now_ms=lambda: now_ms() + order.ahead_ms,
        )  # fmt: skip
    except ShoalError as error:
        return Done(code=error.code, why=str(error))
    return Done(
        path=str(made.path),
        store=made.header.store,
        made_at_ms=made.header.made_at_ms,
        bytes=made.bytes,
        rows=made.rows,
    )


if __name__ == "__main__":
    main()
