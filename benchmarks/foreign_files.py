"""What files that cost much to read cost the server: ``python -m benchmarks.foreign_files``.

Measured on the real process, while one file after another is sent to move in: small files that compute or unpack into
gigabytes, an archive of a million names, and the largest database that is taken. It tells by how much the memory of the
server grew at most, and the slowest answer of ``/health/live``, which is asked all the time.
"""

from __future__ import annotations

import asyncio
import http.client
import sqlite3
import struct
import tempfile
import threading
import time
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import keep
from benchmarks.processes import ServerProcess

MOST_GROWTH_BYTES = 200 << 20
MOST_MILLISECONDS = 100
NOWHERE = "http://127.0.0.1:9"
ORDERS = 265_000
_PAGE = 4096


def an_old_shop(path: Path) -> Path:
    """Write a database of the old system with one shop and nothing else."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE cookies (id TEXT, value TEXT, user_id INTEGER, auto_confirm INTEGER)")
        made.execute("INSERT INTO cookies VALUES ('shop1', 'unb=2200000000001; cookie2=s1', 1, 0)")
        made.commit()
    return path


def computed_columns(path: Path, *, rows: int = 40, megabytes: int = 40) -> bytes:
    """An old shop whose rules have a column that is computed: each of its values is large, none of them is stored."""
    with closing(sqlite3.connect(an_old_shop(path))) as made:
        made.execute(
            "CREATE TABLE keywords (cookie_id TEXT, keyword TEXT, item_id TEXT, type TEXT, image_url TEXT, "
            f"reply TEXT GENERATED ALWAYS AS (hex(zeroblob({megabytes << 19}))) VIRTUAL)"
        )
        made.executemany(
            "INSERT INTO keywords (cookie_id, keyword) VALUES ('shop1', ?)", [(f"k{n}",) for n in range(rows)]
        )
        made.commit()
    return path.read_bytes()


def computed_view(path: Path) -> bytes:
    """An old shop whose rules are a view that makes rows without end."""
    with closing(sqlite3.connect(an_old_shop(path))) as made:
        made.execute(
            "CREATE VIEW keywords (cookie_id, keyword, reply) AS WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL "
            "SELECT n + 1 FROM many) SELECT 'shop1', 'k' || n, hex(zeroblob(1000)) FROM many"
        )
        made.commit()
    return path.read_bytes()


def virtual_table(path: Path) -> bytes:
    """An old shop whose rules are a virtual table."""
    with closing(sqlite3.connect(an_old_shop(path))) as made:
        made.execute("CREATE VIRTUAL TABLE keywords USING fts5(cookie_id, keyword, reply)")
        made.commit()
    return path.read_bytes()


def endless_table(path: Path) -> bytes:
    """An old shop with one more table, whose pages lead to one another in so many ways that to count it never ends."""
    with closing(sqlite3.connect(an_old_shop(path))) as made:
        made.execute("CREATE TABLE z_last (value TEXT)")
        made.commit()
        (first,) = made.execute("SELECT rootpage FROM sqlite_master WHERE name = 'z_last'").fetchone()
        (size,) = made.execute("PRAGMA page_size").fetchone()
    assert size == _PAGE
    data = bytearray(path.read_bytes())
    depth, count = 12, len(data) // _PAGE
    pages = [first, *range(count + 1, count + depth + 1)]  # each of them leads to the next one only
    for number, following in zip(pages, [*pages[1:], 0], strict=True):
        page = _interior(following) if following else _LEAF
        data[(number - 1) * _PAGE : number * _PAGE] = page
    data[28:32] = struct.pack(">I", len(data) // _PAGE)  # how many pages the file has
    path.write_bytes(data)
    return bytes(data)


_ROW = b"\x02\x01\x02\x00"
_LEAF = (b"\x0d" + struct.pack(">HHHBH", 0, 1, _PAGE - len(_ROW), 0, _PAGE - len(_ROW))).ljust(
    _PAGE - len(_ROW), b"\0"
) + _ROW


def _interior(child: int) -> bytes:
    """A page of the tree of a table with as many ways to its only child as have room."""
    cells = 500
    cell = struct.pack(">I", child) + b"\x01"
    start = _PAGE - cells * len(cell)
    head = b"\x05" + struct.pack(">HHHBI", 0, cells, start, 0, child)
    places = b"".join(struct.pack(">H", start + at * len(cell)) for at in range(cells))
    return (head + places).ljust(start, b"\0") + cell * cells


def unpacks_into(size: int, *, name: str = "shop.sql", head: bytes = b"") -> bytes:
    """An archive whose only file is ``head`` and then as many blanks."""
    mebibyte = b" " * (1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(mebibyte) + packer.flush(zlib.Z_FULL_FLUSH)
    count = size >> 20
    packed = first + block * count + b"\x03\x00"
    whole, crc = len(head) + (count << 20), zlib.crc32(head)
    for _ in range(count):
        crc = zlib.crc32(mebibyte, crc)
    facts = struct.pack("<5H3I2H", 20, 0, zipfile.ZIP_DEFLATED, 0, 0x21, crc, len(packed), whole, len(name), 0)
    local = b"PK\x03\x04" + facts + name.encode()
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + facts + struct.pack("<3H2I", 0, 0, 0, 0, 0) + name.encode()
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local) + len(packed), 0)
    return local + packed + entry + end


def many_names(count: int = 1_000_000) -> bytes:
    """An archive that has so many names, and nothing in it."""
    name = b"data.db"
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, *[0] * 4, *[0] * 3, len(name), *[0] * 4, 0, 0) + name
    names = entry * count
    large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(names), 0)
    place = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(names), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return names + large + place + end


def many_orders(path: Path, count: int) -> bytes:
    """An old shop with so many orders."""
    columns = (
        "order_id", "item_id", "buyer_id", "spec_name", "spec_value", "quantity", "amount", "order_status", "cookie_id",
        "created_at",
    )  # fmt: skip
    with closing(sqlite3.connect(an_old_shop(path))) as made:
        made.execute(f"CREATE TABLE orders ({', '.join(columns)})")
        made.executemany(
            f"INSERT INTO orders VALUES ({', '.join('?' * len(columns))})",
            (
                (str(3 * 10**18 + at), str(8 * 10**11 + at % 97), str(22 * 10**11 + at % 5000), "", "", "1", "9.90",
                 "completed", "shop1", "2026-01-01 10:00:00")
                for at in range(count)
            ),
        )  # fmt: skip
        made.commit()
    return path.read_bytes()


class _Watch:
    """Watches a server from a thread: its memory, and how long its answers take."""

    def __init__(self, server: ServerProcess) -> None:
        self._process = psutil.Process(server.child.pid)
        self._port = server.port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.before = self.most = self._process.memory_info().rss
        self.slowest = 0.0

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            while not self._ended.wait(0.005):
                began = time.perf_counter()
                connection.request("GET", "/health/live")
                connection.getresponse().read()
                self.slowest = max(self.slowest, time.perf_counter() - began)
                self.most = max(self.most, self._process.memory_info().rss)


async def _measured(server: ServerProcess, what: str, data: bytes) -> dict[str, Any]:
    with _Watch(server) as watch:
        began = time.perf_counter()
        answer = await server.http.post("/imports/plans", params={"name": "old"}, content=data, timeout=None)
        seconds = time.perf_counter() - began
    return {
        "file": what,
        "MiB": len(data) / (1 << 20),
        "answer": answer.json().get("code", answer.status_code),
        "seconds": seconds,
        "server grew by MiB": (watch.most - watch.before) >> 20,
        "slowest answer, ms": watch.slowest * 1000,
    }


async def _all(home: Path) -> list[dict[str, Any]]:
    server = await ServerProcess(home / "data", NOWHERE).start()
    path = home / "old.db"
    try:
        files = {
            "one shop": an_old_shop(path).read_bytes(),
            "computed column": computed_columns(path),
            "view without end": computed_view(path),
            "virtual table": virtual_table(path),
            "ZIP of 1.5 GiB": unpacks_into(3 << 29, head=b"INSERT INTO keywords VALUES (1);"),
            "ZIP of 1,000,000 names": many_names(),
            f"{ORDERS:,} orders": many_orders(path, ORDERS),
            f"{2 * ORDERS:,} orders": many_orders(path, 2 * ORDERS),
            "table without end": endless_table(path),
        }
        return [await _measured(server, what, data) for what, data in files.items()]
    finally:
        await server.close()


def main() -> None:
    """Measure, print and keep."""
    with tempfile.TemporaryDirectory() as home:
        rows = asyncio.run(_all(Path(home)))
    about = f"at most {MOST_GROWTH_BYTES >> 20} MiB and {MOST_MILLISECONDS} ms"
    keep("foreign_files", rows, about=about)


if __name__ == "__main__":
    main()
