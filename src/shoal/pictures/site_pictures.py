"""Uploads the pictures of replies to the site when first needed, once per account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import msgspec
import structlog

from shoal.errors import InvalidInput, StoreError, TemporaryFailure
from shoal.pictures.pictures import Picture, Pictures, is_kept
from shoal.pictures.uploaded_pictures import UploadedPictures
from shoal.xianyu.socket_errors import GateClosed, SendRefused
from shoal.xianyu.uploads import UploadedPicture, UploadRefused

log = structlog.get_logger("shoal.pictures")

AGAIN_AFTER_SECONDS = 1.0
"""The wait before a failed upload is tried once more."""

Upload = Callable[[Picture], Awaitable[UploadedPicture]]


class SitePicture(msgspec.Struct, frozen=True):
    """A picture for a message, sizes in pixels. ``digest`` is empty for a picture that is not stored here."""

    url: str
    width: int
    height: int
    digest: str = ""


class SitePictures:
    """The pictures of one connection. ``upload`` uploads one; ``allows`` is the connection's gate."""

    def __init__(
        self,
        account_id: str,
        pictures: Pictures,
        uploaded: UploadedPictures,
        upload: Upload,
        *,
        allows: Callable[[], bool],
        again_after_seconds: float = AGAIN_AFTER_SECONDS,
    ) -> None:
        self._account_id = account_id
        self._pictures = pictures
        self._uploaded = uploaded
        self._upload = upload
        self._allows = allows
        self._again_after_seconds = again_after_seconds
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def shown(self, url: str, *, width: int = 0, height: int = 0) -> AsyncIterator[SitePicture]:
        """Provide a rule's picture as the site knows it, while a message with it is sent.

        It is uploaded if the site does not have it yet. An address that is not on this server is used unchanged, with
        the given sizes. Nothing was sent when it raises: ``SendRefused`` when the picture is missing, refused by the
        site or cannot be uploaded now; ``GateClosed``; ``ActionRequired`` when the owner must act on the site.
        """
        picture = await self._on_site(url, width, height)
        try:
            yield picture
        except SendRefused:
            await self._doubt(picture)
            raise

    async def _on_site(self, url: str, width: int, height: int) -> SitePicture:
        if not is_kept(url):
            return SitePicture(url, width, height)
        try:
            picture = await self._pictures.read(url)
        except InvalidInput:
            raise SendRefused("picture_missing") from None
        except TemporaryFailure as failure:
            raise SendRefused(failure.code) from None
        turn = self._turns.setdefault(picture.digest, asyncio.Lock())
        async with turn:  # two chats that need it at once: one upload
            lies = await self._remembered(picture.digest) or await self._bring(picture)
        measured = picture.measured
        return SitePicture(lies.url, lies.width or measured.width, lies.height or measured.height, picture.digest)

    async def _doubt(self, picture: SitePicture) -> None:
        """Forget the picture's address because the site refused a message with it: it may be stale.

        The next message uploads it again. The refused message is not repeated: the site may have refused the picture's
        content.
        """
        if picture.digest:
            try:
                await self._uploaded.forget(self._account_id, picture.digest)
            except StoreError as error:
                log.warning("picture's address not forgotten", account=self._account_id, why=error.code)

    async def _remembered(self, digest: str) -> UploadedPicture | None:
        try:
            return await self._uploaded.find(self._account_id, digest)
        except StoreError as error:  # the site may have it; uploading again is slower, and harmless
            log.warning("picture's address not read", account=self._account_id, why=error.code)
            return None

    async def _bring(self, picture: Picture) -> UploadedPicture:
        lies = await self._brought(picture)
        log.info("picture uploaded", account=self._account_id, bytes=len(picture.data))
        try:
            await self._uploaded.remember(self._account_id, picture.digest, lies)
        except StoreError as error:  # the reply is more important
            log.warning("picture's address not kept", account=self._account_id, why=error.code)
        return lies

    async def _brought(self, picture: Picture) -> UploadedPicture:
        for is_last in (False, True):
            if not self._allows():
                raise GateClosed("the account may not upload at the moment")
            try:
                return await self._upload(picture)
            except UploadRefused as refusal:
                log.warning("picture refused", account=self._account_id, reason=refusal.reason)
                raise SendRefused(f"upload_refused: {refusal.reason}") from None
            except TemporaryFailure as failure:
                log.warning("picture not uploaded", account=self._account_id, why=failure.code)
                if is_last:
                    raise SendRefused(failure.code) from None
            await asyncio.sleep(self._again_after_seconds)
        raise AssertionError("the last try returns or raises")
