"""The lock of a copy that the server makes by itself: the passphrase is the server's own newest key, as it is written.

A version that knows nothing of such copies opens one too, when it is given that key as the passphrase.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from shoal.maintenance.backup.envelope import Header
from shoal.maintenance.backup.locks import PassphraseLock, lock_with_passphrase
from shoal.storage.data_directory import KEY_FILE
from shoal.storage.vault import key_id, read_key_file, written_keys

_SETTING: Final = "SHOAL_SECRET_KEY"


def lock_with_server_key(file_key: bytes, data_dir: Path, secret_key: str | None) -> PassphraseLock:
    """Lock a file key under the newest key of a server. Raises ``ConfigError`` when it has none."""
    written, key = _written_keys(data_dir, secret_key, required=True)[0]
    return msgspec.structs.replace(lock_with_passphrase(file_key, written), server_key=key_id(key).hex())


def passphrase_by_server_key(header: Header, data_dir: Path, secret_key: str | None) -> str | None:
    """Return the passphrase of a copy that was locked with a key that is here; ``None`` for any other file."""
    wanted = {lock.server_key for lock in header.locks if isinstance(lock, PassphraseLock)} - {""}
    if not wanted:
        return None
    keys = _written_keys(data_dir, secret_key, required=False)
    return next((written for written, key in keys if key_id(key).hex() in wanted), None)


def _written_keys(data_dir: Path, secret_key: str | None, *, required: bool) -> list[tuple[str, bytes]]:
    found = written_keys(secret_key, origin=_SETTING) if secret_key else []
    path = data_dir / KEY_FILE
    if read_key_file(path, required=required and not found):
        found += written_keys(path.read_text(encoding="ascii"), origin=str(path))
    return found
