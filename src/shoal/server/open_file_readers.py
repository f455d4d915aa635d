"""Opens what reads the files of users in processes of their own."""

from __future__ import annotations

from typing import TypedDict

from shoal.config import Settings
from shoal.maintenance.moving.uploads import Uploads
from shoal.maintenance.shop_file.file_reader import ShopFileReader
from shoal.server.closing import Closing
from shoal.sheets.xlsx_processes import XlsxProcesses


class FileReaders(TypedDict):
    """Tables, files of shops, and files of other systems."""

    xlsx: XlsxProcesses
    shop_files: ShopFileReader
    moving_uploads: Uploads


async def open_file_readers(settings: Settings, closing: Closing) -> FileReaders:
    """Open them; a process starts with its first file. What a crash left of an upload is removed."""
    xlsx, shop_files = XlsxProcesses(), ShopFileReader()
    uploads = Uploads(settings.data_dir, most_mib=settings.import_max_mib, node=settings.node)
    await uploads.sweep()
    for name, close in (("xlsx", xlsx.close), ("shop files", shop_files.close), ("uploads", uploads.close)):
        closing.later(name, close)
    return FileReaders(xlsx=xlsx, shop_files=shop_files, moving_uploads=uploads)
