"""A backup that a stranger made: whoever holds one that is sealed to a public key can seal another to it (G23)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.processes import clean_environment
from shoal.errors import ConfigError
from shoal.maintenance.backup.envelope import CHUNK_BYTES, Header, SealedWriter, new_file_key
from shoal.maintenance.backup.locks import PRIVATE, PUBLIC, KeyLock, lock_to_key, new_key_pair, read_key
from shoal.maintenance.backup.making import Secret, make_backup, opened
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.records import End, FileBegins, FileBytes, Record, RecordWriter, read_records
from shoal.maintenance.backup.restoring import restore_backup
from shoal.maintenance.backup.signing import SIGNATURE_BYTES, fingerprint, public_key, signing_key
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from support.runs.quick_start import blank_database
from support.runs.warm_start import ran

SHOAL = ("-m", "shoal")
PRIVATE_KEY, PUBLIC_KEY = new_key_pair()
OPENS = Secret(private_key=read_key(PRIVATE_KEY, PRIVATE))


class Owner(NamedTuple):
    """A server with a secret, the backup that it made, and the file of the private key."""

    data: Path
    backup: Path
    key_file: Path

    async def restore(self, file: Path, *options: str) -> CompletedProcess[str]:
        """Restore a file into its data directory, without a terminal."""
        named = ("restore", str(file), "--key-file", str(self.key_file), *options)
        return await ran((*SHOAL, *named), environment(self.data))

    async def holds(self) -> str | None:
        """The note in its database."""
        async with Database(self.data) as database:
            await open_vault(database, self.data / "secret.key")
            return await database.fact("note")

    @property
    def signer(self) -> str:
        """The fingerprint of its backups."""
        return fingerprint(public_key(signing_key(self.data)))

    @property
    def keys(self) -> list[str]:
        """The keys of its secrets."""
        return [line for line in (self.data / "secret.key").read_text().splitlines() if not line.startswith("#")]


def environment(data: Path) -> dict[str, str]:
    return clean_environment(SHOAL_DATA_DIR=str(data), LC_ALL="C.UTF-8")


async def server(data: Path, note: str) -> None:
    """A database with a secret key and a note, and a mark of its own."""
    await blank_database(data)
    async with Database(data) as database:
        await open_vault(database, data / "secret.key")
        await database.replace_fact("note", note)
        await database.replace_fact("marker", os.urandom(16).hex())
    (data / "shoal.marker").unlink()


def sealed(data: Path, target: Path, public: bytes = read_key(PUBLIC_KEY, PUBLIC)) -> Path:
    """Make a backup of a data directory, as the server does by a public key."""
    return make_backup(data, target, lock=lambda file_key: lock_to_key(file_key, public)).path


@pytest.fixture
async def owner(tmp_path: Path) -> Owner:
    data, key_file = tmp_path / "data", tmp_path / "backup.key"
    await server(data, "the owner's")
    key_file.write_text(PRIVATE_KEY)
    return Owner(data, await asyncio.to_thread(sealed, data, tmp_path / "own.shoalbackup"), key_file)


@pytest.fixture
async def forged(owner: Owner, tmp_path: Path) -> Path:
    """A backup of another server, sealed to the key that stands in the header of the owner's."""
    await server(tmp_path / "stranger", "a stranger's")
    with opened(owner.backup) as seen:
        (lock,) = seen.header.locks
        assert isinstance(lock, KeyLock)
    return await asyncio.to_thread(sealed, tmp_path / "stranger", tmp_path / "forged.shoalbackup", lock.public)


@pytest.mark.slow
async def test_g23_a_strangers_backup_is_restored_with_his_fingerprint_only(owner: Owner, forged: Path) -> None:
    before = owner.keys
    refused = await owner.restore(forged, "--yes")
    assert (refused.returncode, "--signed-by" in refused.stderr) == (2, True), refused.stderr
    assert "another database" in refused.stderr
    assert owner.signer in refused.stderr
    for expected in (owner.signer, "none", "0" * 32, owner.signer[:-1], ""):
        refused = await owner.restore(forged, "--yes", "--signed-by", expected)
        assert (refused.returncode, "was expected" in refused.stderr) == (2, True), refused.stderr
    unasked = await owner.restore(forged)
    assert (unasked.returncode, "terminal" in unasked.stderr) == (2, True), unasked.stderr
    assert (await owner.holds(), owner.keys) == ("the owner's", before), "a refused restore changes nothing"

    with opened(forged) as seen:
        stranger = fingerprint(seen.header.signer)
    done = await owner.restore(forged, "--yes", "--signed-by", stranger.replace("-", " ").upper())
    assert done.returncode == 0, done.stderr
    assert await owner.holds() == "a stranger's"
    assert owner.keys[: len(before)] == before, "the place's own key still seals"
    assert len(owner.keys) == len(before) + 1


@pytest.mark.slow
async def test_g23_a_servers_own_backup_needs_no_fingerprint_and_its_key_stays_first(
    owner: Owner, tmp_path: Path
) -> None:
    (old,) = owner.keys
    (owner.data / "secret.key").write_text(f"{'6b' * 32}\n{old}\n")  # rotated since
    done = await owner.restore(owner.backup, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Signed by: {owner.signer}" in done.stderr
    assert owner.keys == ["6b" * 32, old]

    new = owner._replace(data=tmp_path / "new machine")
    refused = await new.restore(owner.backup, "--yes")
    assert (refused.returncode, "Nothing here tells" in refused.stderr) == (2, True), refused.stderr
    done = await new.restore(owner.backup, "--yes", "--signed-by", owner.signer)
    assert done.returncode == 0, done.stderr
    assert new.keys == [old]


@pytest.mark.slow
async def test_g23_a_file_that_only_claims_the_owners_signature_is_refused(owner: Owner, forged: Path) -> None:
    with opened(owner.backup) as seen:
        own = seen.header
    raw, file_key = owner.backup.read_bytes(), OPENS.file_key(own)
    with opened(forged) as other:
        records = list(read_records(other.chunks(OPENS.file_key(other.header))))
    mine = msgspec.structs.replace(own, locks=[lock_to_key(file_key, read_key(PUBLIC_KEY, PUBLIC))])
    claims = {
        "another's signature": written(mine, records, file_key, Ed25519PrivateKey.generate()),
        "no signature": written(mine, records, file_key, None),
        "the signature of an older backup": written(mine, records, file_key, None) + raw[-SIGNATURE_BYTES:],
        "a bit of the signature": raw[:-1] + bytes([raw[-1] ^ 1]),
        "cut within the signature": raw[:-1],
        "without it": raw[:-SIGNATURE_BYTES],
    }
    for name, data in claims.items():
        lay(forged, data)
        refused = await owner.restore(forged, "--yes")
        assert refused.returncode == 2, name
        assert "backup" in refused.stderr
        assert await owner.holds() == "the owner's", name

    lay(forged, written(msgspec.structs.replace(mine, signer=b""), records, file_key, None))
    refused = await owner.restore(forged, "--yes")
    assert (refused.returncode, "not signed" in refused.stderr) == (2, True), "the owner's store and site are copied"
    done = await owner.restore(forged, "--yes", "--signed-by", "none")
    assert done.returncode == 0, done.stderr
    assert await owner.holds() == "a stranger's", "a backup of an older version has no signature"


def written(header: Header, records: list[Record], file_key: bytes, key: Ed25519PrivateKey | None) -> bytes:
    """A backup with that header and those records."""
    path = Path(f"/proc/self/fd/{os.memfd_create('backup')}")
    with path.open("wb") as file:
        writer = RecordWriter(SealedWriter(file, header, file_key, key))
        for record in records:
            writer.write(record)
        writer.finish()
    return path.read_bytes()


@pytest.mark.slow
async def test_g23_a_terminal_is_asked_after_whose_data_it_is(owner: Owner, forged: Path) -> None:
    ours, theirs = os.openpty()
    command = (sys.executable, *SHOAL, "restore", str(forged), "--key-file", str(owner.key_file))
    child = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment(owner.data),
    )  # fmt: skip
    os.write(ours, b"n\n")
    _, said = await child.communicate()
    for handle in (ours, theirs):
        os.close(handle)
    shown = said.decode()
    for words in ("now)" if "now)" in shown else "ago)", "Store:", "Site:", "Signed by:", "Another server", "[y/N]"):
        assert words in shown, shown
    assert (child.returncode, await owner.holds()) == (1, "the owner's")


@pytest.mark.slow
@pytest.mark.usefixtures("forged")
async def test_g23_a_strangers_copy_of_a_database_is_refused_too(owner: Owner, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "stranger" / "secret.key", owner.data / "secret.key")  # it may hold no secret at all
    refused = await owner.restore(tmp_path / "stranger" / "shoal.db", "--yes")
    assert (refused.returncode, "another database" in refused.stderr) == (2, True), refused.stderr
    own = tmp_path / "own.db"
    with closing(sqlite3.connect(owner.data / "shoal.db")) as source, closing(sqlite3.connect(own)) as copy:
        source.backup(copy)
    done = await owner.restore(own, "--yes")
    assert done.returncode == 0, "a copy of its own database has its mark, which no backup shows"


@pytest.mark.slow
async def test_g23_the_fingerprint_is_told_where_a_backup_is_made_and_shown(owner: Owner, tmp_path: Path) -> None:
    made = await ran(
        (*SHOAL, "backup", "make", str(tmp_path / "b.shoalbackup"), "--to", PUBLIC_KEY), environment(owner.data)
    )
    assert owner.signer in made.stdout
    shown = await ran((*SHOAL, "backup", "show", str(owner.backup), "--json"), environment(tmp_path))
    assert json.loads(shown.stdout)["signed_by"] == owner.signer
    key = owner.data / "backup-signing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    raw = (tmp_path / "b.shoalbackup").read_bytes()
    assert len(raw) > 2 * SIGNATURE_BYTES
    key.write_text("no key")
    with pytest.raises(ConfigError) as refused:
        await asyncio.to_thread(sealed, owner.data, tmp_path / "c.shoalbackup")
    assert refused.value.code == "signing_key_unusable"
    assert not (tmp_path / "c.shoalbackup").exists()


async def test_g23_processes_that_begin_at_once_sign_with_one_key(tmp_path: Path) -> None:
    keys = await asyncio.gather(*(asyncio.to_thread(signing_key, tmp_path) for _ in range(8)))
    assert len({public_key(key) for key in keys}) == 1
    assert list(tree(tmp_path)) == [str(tmp_path / "backup-signing.key")], "nothing else is left"


# ── what a file of a backup may be called ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "../outside.png", "uploads/images/../../outside.png", "uploads/images/../images/../../outside.png",
        "/proc/self/outside.png", "uploads/images/..", "uploads/images/", "uploads/images", "outside.png",
        "uploads/images/a/b.png", "uploads/images/.hidden", "uploads/images/a\0b", "secret.key", "",
    ],
)  # fmt: skip
async def test_g17_a_file_of_a_backup_is_written_into_the_directory_of_pictures_and_nowhere_else(
    owner: Owner, tmp_path: Path, name: str
) -> None:
    with opened(owner.backup) as seen:
        records = list(read_records(seen.chunks(OPENS.file_key(seen.header))))
    (end,) = (record for record in records if isinstance(record, End))
    added: list[Record] = [FileBegins(name), FileBytes(b"x" * (CHUNK_BYTES + 1)), End(end.tables, end.files + 1)]
    file_key = new_file_key()
    header = msgspec.structs.replace(seen.header, locks=[lock_to_key(file_key, read_key(PUBLIC_KEY, PUBLIC))])
    bad = tmp_path / "bad.shoalbackup"
    bad.write_bytes(written(header, [*records[:-1], *added], file_key, signing_key(owner.data)))
    before = tree(tmp_path)
    with pytest.raises(ConfigError) as refused:
        await asyncio.to_thread(restore_backup, bad, Place(data_dir=owner.data), OPENS)
    assert refused.value.code == "backup_damaged"
    assert tree(tmp_path) == before


def lay(path: Path, data: bytes) -> None:
    """Put other bytes into a file."""
    path.write_bytes(data)


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, but those that opening a database touches."""
    return {
        str(path): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix not in {".db-shm", ".db-wal", ".lock"}
    }
