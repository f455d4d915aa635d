"""Lists of many accounts, newest first: from which time on rows must be read to have a page of them.

An index by account and time gives one account's newest rows at once. Of many accounts all rows would be read and
sorted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import JSON, ColumnElement, Connection, Text, bindparam, cast, func, select


def newest_since(
    connection: Connection,
    account: ColumnElement[str],
    time_ms: ColumnElement[int],
    account_ids: Collection[str],
    *,
    before_ms: int | None,
    rows: int,
) -> int | None:
    """Return a time since which the accounts have at least so many rows, written before ``before_ms``.

    ``None`` when so many are not known. One lookup in the index for each account: its newest rows but a few. Of the
    accounts whose rows are the newest as many are taken as have enough together.
    """
    if len(account_ids) < 2:
        return None
    each = -(-2 * rows // len(account_ids))
    ids = bindparam(None, msgspec.json.encode(list(account_ids)).decode(), type_=Text())
    if connection.dialect.name == "postgresql":
        listed: Any = func.json_array_elements_text(cast(ids, JSON)).table_valued("value")
    else:
        listed = func.json_each(ids).table_valued("value")
    of_one = select(time_ms).where(account == listed.c.value)
    if before_ms is not None:
        of_one = of_one.where(time_ms < before_ms)
    of_one = of_one.order_by(time_ms.desc()).limit(1).offset(each - 1)
    times = connection.scalars(select(of_one.correlate(listed).scalar_subquery()).select_from(listed)).all()
    known = sorted((time for time in times if time is not None), reverse=True)
    enough = -(-rows // each)
    return known[enough - 1] if len(known) >= enough else None
