"""Observations of tasks, as rows of ``observed``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, not_, select

from shoal.accounts.account import OBSERVED_FIELDS, Observation
from shoal.errors import StoreError
from shoal.storage.history_tables import observed
from shoal.storage.living_accounts import living_among
from shoal.storage.schema import Row, accounts
from shoal.storage.upserts import insert_or_renew

_SEEN_FIELDS = tuple(name for name in OBSERVED_FIELDS if name != "parked_for")
_RENEWED = (*_SEEN_FIELDS, "parked_for_cookie", "parked_for_nonce")


def read_observations(connection: Connection) -> dict[str, Observation]:
    """Return the last observation of every existing account."""
    query = select(observed).join(accounts).where(not_(accounts.c.deleted))
    return {row["account_id"]: _observation_of(row) for row in connection.execute(query).mappings()}


def _observation_of(row: RowMapping) -> Observation:
    """Return a row of ``observed`` as a value. Raises ``StoreError`` when its state is unknown."""
    values: dict[str, Any] = {name: row[name] for name in _SEEN_FIELDS}
    try:
        values["state"] = type(Observation().state)(row["state"])
    except ValueError:
        raise StoreError(
            f"the observed state of account {row['account_id']} is unknown", code="unreadable_account"
        ) from None
    if row["parked_for_cookie"] is not None:
        values["parked_for"] = (row["parked_for_cookie"], row["parked_for_nonce"])
    return Observation(**values)


def write_observations(connection: Connection, seen: dict[str, Observation]) -> None:
    """Store observations; those of accounts that do not exist are ignored."""
    rows = []
    for name in sorted(living_among(connection, seen)):
        cookie, nonce = seen[name].parked_for or (None, None)
        row: Row = {field: getattr(seen[name], field) for field in _SEEN_FIELDS}
        rows.append({**row, "account_id": name, "parked_for_cookie": cookie, "parked_for_nonce": nonce})
    if rows:
        connection.execute(insert_or_renew(connection, observed, _RENEWED), rows)
