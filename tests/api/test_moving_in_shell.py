"""``shoal import``: an older system's file is looked at, imported and turned on from the shell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doors import Door, in_shell, open_door, served
from old_database import an_old_shop, write_sqlite
from picture_files import a_png
from standins import until


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path / "data") as opened:
        yield opened


async def test_a_file_is_looked_at_imported_and_turned_on_from_the_shell(empty: Door, tmp_path: Path) -> None:
    rows = an_old_shop()
    picture = "/static/uploads/images/a.png"
    rows["keywords"].append({"cookie_id": "afu", "keyword": "图", "type": "image", "image_url": picture})
    file = str(write_sqlite(tmp_path / "xianyu_data.db", rows))
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "a.png").write_bytes(a_png())
    token = await empty.server.sessions.open(1, 3600)
    manager = empty.server.manager
    async with served(empty) as url:
        code, said = await in_shell(url, token, "import", "legacy", file, "--dry-run")
        assert (code, "--uploads" in said, dict(manager.accounts)) == (0, True, {}), said
        code, said = await in_shell(url, token, "import", "legacy", file, "--uploads", str(uploads), "--json")
        run = json.loads(said)
        assert (code, run["state"], [row["code"] for row in run["rows"]]) == (0, "done", ["administrator_is_you"])
        assert [rule.kind.value for rule in manager.account("afu").keywords] == ["text", "text", "image"]
        code, said = await in_shell(url, token, "import", "start", str(run["id"]), typed="n\n")
        assert (code, manager.account("afu").enabled) == (1, False), said
        code, said = await in_shell(url, token, "import", "start", str(run["id"]), "--yes")
        assert code == 0, said
        await until(lambda: set(empty.site.live) == {"afu", "lan1"})
        other = tmp_path / "other.txt"
        other.write_text("hello", encoding="utf-8")
        code, said = await in_shell(url, token, "import", "legacy", str(other))
        assert code == 1
