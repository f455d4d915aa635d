"""QR logins as rows, where several servers share a database: whose they are, and which server follows them.

Neither a code nor a cookie is in them. A row may outlive its server; its follower learns it from the rows of nodes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from shoal.storage.node_tables import nodes, qr_logins
from shoal.storage.user_tables import users

_LIVES: Final = select(nodes.c.name).where(
    nodes.c.name == qr_logins.c.node, nodes.c.inc == qr_logins.c.inc, ~nodes.c.dead
)
_IS_FOLLOWED: Final = _LIVES.exists()


class QrLoginRow(msgspec.Struct, frozen=True, kw_only=True):
    """One login. ``is_followed``: the server that began it has not been declared dead."""

    id: str
    owner_id: int
    account_id: str
    node: str
    inc: int
    state: str
    created_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None
    is_followed: bool = True


def take_row(connection: Connection, row: QrLoginRow, *, most: int, under_way: frozenset[str], old_ms: int) -> bool:
    """Add the row of a login, unless its owner has ``most`` of the states ``under_way``. Return whether it was added.

    Rows from before ``old_ms`` are deleted. The row of the owner is locked: two servers add one after the other.
    """
    connection.execute(select(users.c.id).where(users.c.id == row.owner_id).with_for_update(key_share=True))
    connection.execute(delete(qr_logins).where(qr_logins.c.created_at_ms < old_ms))
    counted = select(func.count()).where(
        and_(qr_logins.c.owner_id == row.owner_id, qr_logins.c.state.in_(under_way), _IS_FOLLOWED)
    )
    if (connection.scalar(counted) or 0) >= most:
        return False
    connection.execute(insert(qr_logins), {column.name: getattr(row, column.name) for column in qr_logins.columns})
    return True


def note_row(connection: Connection, login_id: str, values: dict[str, Any]) -> None:
    """Set what changed of a login."""
    connection.execute(update(qr_logins).where(qr_logins.c.id == login_id).values(values))


def rows_of(connection: Connection, owner_id: int, *, login_id: str | None = None) -> list[QrLoginRow]:
    """Return the logins of an owner, the newest first; of one id, if it is given."""
    query = select(*qr_logins.columns, _IS_FOLLOWED.label("is_followed")).where(qr_logins.c.owner_id == owner_id)
    if login_id is not None:
        query = query.where(qr_logins.c.id == login_id)
    found = connection.execute(query.order_by(qr_logins.c.created_at_ms.desc())).mappings()
    return [QrLoginRow(**row) for row in found]
