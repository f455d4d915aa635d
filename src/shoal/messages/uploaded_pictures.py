"""Which pictures an account has brought to the site, and where they lie there, so that none is brought twice."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, select

from shoal.clock import now_ms
from shoal.storage.database import Database
from shoal.storage.schema import insert_or, uploads
from shoal.xianyu.uploads import UploadedPicture

GOOD_FOR_DAYS = 7
"""How long an address on the site is trusted. How long it really lasts is not known."""
_DAY_MS = 86_400_000


class UploadedPictures:
    """The addresses, by account and by the digest of the picture's bytes. Observed, not wished: no journal."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    async def find(self, account_id: str, digest: str) -> UploadedPicture | None:
        """Where the picture lies; ``None`` when it was never brought there, or too long ago. Raises ``StoreError``."""
        query = select(uploads.c.url, uploads.c.width, uploads.c.height).where(
            uploads.c.account_id == account_id,
            uploads.c.digest == digest,
            uploads.c.uploaded_at_ms > self._now_ms() - GOOD_FOR_DAYS * _DAY_MS,
        )
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else UploadedPicture(row.url, row.width, row.height)

    async def remember(self, account_id: str, digest: str, picture: UploadedPicture) -> None:
        """Keep where the picture lies; the account's addresses that are too old go. Raises ``StoreError``."""
        now = self._now_ms()

        def job(connection: Connection) -> None:
            connection.execute(
                delete(uploads).where(
                    uploads.c.account_id == account_id, uploads.c.uploaded_at_ms <= now - GOOD_FOR_DAYS * _DAY_MS
                )
            )
            statement = insert_or(connection, uploads)
            names = ("url", "width", "height", "uploaded_at_ms")
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[uploads.c.account_id, uploads.c.digest],
                    set_={name: statement.excluded[name] for name in names},
                ),
                [
                    {
                        "account_id": account_id,
                        "digest": digest,
                        "url": picture.url,
                        "width": picture.width,
                        "height": picture.height,
                        "uploaded_at_ms": now,
                    }
                ],
            )

        await self._database.write(job)

    async def forget(self, account_id: str, digest: str) -> None:
        """The site does not know the address any more. Raises ``StoreError``."""
        gone = delete(uploads).where(uploads.c.account_id == account_id, uploads.c.digest == digest)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
