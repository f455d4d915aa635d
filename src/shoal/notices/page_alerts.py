"""What an open page of the console does when a buyer waits: chosen by each user, kept on the server."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, select

from shoal.errors import InvalidInput
from shoal.storage.database import Database
from shoal.storage.notice_tables import page_alerts
from shoal.storage.upserts import insert_or

MOST_ACCOUNTS: Final = 1_000
"""How many accounts a choice may name."""


class PageAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """The choice of a user. ``accounts``: only buyers of these; empty: of all that the user sees.

    ``title``: the page's title counts those who wait. ``sound``: it sounds. ``notify``: the browser shows a notice.
    """

    title: bool = True
    sound: bool = False
    notify: bool = False
    accounts: tuple[str, ...] = ()


class PageAlertStore:
    """Reads and stores the choices of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: int) -> PageAlerts:
        """Return the choice of a user; what holds for all who have not chosen, else."""
        query = select(page_alerts).where(page_alerts.c.user_id == user_id)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            return PageAlerts()
        accounts = tuple(msgspec.json.decode(row["accounts"], type=list[str])) if row["accounts"] else ()
        return PageAlerts(
            title=bool(row["title"]), sound=bool(row["sound"]), notify=bool(row["notify"]), accounts=accounts
        )

    async def put(self, user_id: int, chosen: PageAlerts) -> None:
        """Store the choice of a user. Raises ``InvalidInput``."""
        if len(chosen.accounts) > MOST_ACCOUNTS:
            raise InvalidInput("accounts is long", code="subscription_too_long", limit=MOST_ACCOUNTS)
        values = {
            "title": chosen.title,
            "sound": chosen.sound,
            "notify": chosen.notify,
            "accounts": msgspec.json.encode(sorted(set(chosen.accounts))).decode() if chosen.accounts else "",
        }

        def job(connection: Connection) -> None:
            added = insert_or(connection, page_alerts).values(user_id=user_id, **values)
            connection.execute(added.on_conflict_do_update(index_elements=[page_alerts.c.user_id], set_=values))

        await self._database.write(job)
