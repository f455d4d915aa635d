"""The site's addresses of an account's uploaded pictures, so that none is uploaded twice."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, select

from shoal.clock import now_ms, present_clock
from shoal.storage.database import Database
from shoal.storage.schema import uploads
from shoal.storage.upserts import insert_or_renew
from shoal.xianyu.uploads import UploadedPicture

GOOD_FOR_DAYS = 7
"""How long an address on the site is trusted. Its real lifetime is not known."""
_DAY_MS = 86_400_000


class UploadedPictures:
    """The addresses by account and digest of the picture's bytes. Observed, not desired state: no journal."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    async def find(self, account_id: str, digest: str) -> UploadedPicture | None:
        """Return the picture's address; ``None`` if it was never uploaded, or too long ago. Raise ``StoreError``."""
        query = select(uploads.c.url, uploads.c.width, uploads.c.height).where(
            uploads.c.account_id == account_id,
            uploads.c.digest == digest,
            uploads.c.uploaded_at_ms > self._now_ms() - GOOD_FOR_DAYS * _DAY_MS,
        )
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else UploadedPicture(row.url, row.width, row.height)

    async def remember(self, account_id: str, digest: str, picture: UploadedPicture) -> None:
        """Store the picture's address and delete the account's expired ones. Raise ``StoreError``."""
        now, may_delete = self._now_ms(), present_clock().is_sure

        def job(connection: Connection) -> None:
            if may_delete:
                old = uploads.c.uploaded_at_ms <= now - GOOD_FOR_DAYS * _DAY_MS
                connection.execute(delete(uploads).where(uploads.c.account_id == account_id, old))
            connection.execute(
                insert_or_renew(connection, uploads, ("url", "width", "height", "uploaded_at_ms")),
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
        """Delete an address that the site no longer knows. Raise ``StoreError``."""
        gone = delete(uploads).where(uploads.c.account_id == account_id, uploads.c.digest == digest)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
