"""Which machine may run an account. A single machine owns all accounts."""

from __future__ import annotations

from typing import Protocol


class Ownership(Protocol):
    """Asked before an account is started and before every outgoing frame."""

    @property
    def epoch(self) -> int:
        """Rises each time ownership changes hands."""

    def owns(self, account_id: str) -> bool:
        """Return whether this process may run the account now."""


class LocalOwnership:
    """The only machine: always the owner. The lock on the data directory keeps a second process out of an SQLite file;
    a PostgreSQL database has a lease (``storage/server_lease.py``)."""

    epoch = 1

    def owns(self, account_id: str) -> bool:  # noqa: ARG002  the port's signature
        """Return ``True``."""
        return True
