"""The demo touches nothing that is not its own, its children never outlive it, and its screen fits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shoal.accounts.account import check_account_id
from shoal.cli.api_client import ApiClient
from shoal.cli.board import AccountBoard
from shoal.cli.demo.directory import DEMO_MARKER, demo_directory
from shoal.cli.demo.screen import DemoScreen
from shoal.cli.demo.shops import SHOPS
from shoal.errors import ConfigError
from shoal.pictures.picture_files import PictureFiles
from shoal.sandbox.script import DIALOGUES, PAY
from shoal.storage.data_directory import PICTURE_DIRECTORY
from shoal.storage.database import Database
from support.files.picture_files import a_png


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


# -- the directory ------------------------------------------------------------------------------------------------


def test_a_new_directory_gets_the_marker_and_is_private(tmp_path: Path) -> None:
    with demo_directory(tmp_path / "deep" / ".demo") as path:
        assert names(path) == {DEMO_MARKER}
        assert [one.stat().st_mode & 0o177 for one in (path, path / DEMO_MARKER)] == [0o100, 0]


def test_what_a_demo_left_is_removed(tmp_path: Path) -> None:
    with demo_directory(tmp_path / ".demo") as path:
        for name in ("shoal.db", "shoal.db-wal", "shoal.lock", "shoal.marker", "secret.key", "units.log", "server.log"):
            (path / name).write_text("old")
    with demo_directory(tmp_path / ".demo") as path:
        assert names(path) == {DEMO_MARKER}


async def test_everything_that_a_server_makes_counts_as_the_demos(tmp_path: Path) -> None:
    with demo_directory(tmp_path / ".demo") as path:
        database = await Database(path).open()
        await database.close()
        pictures = PictureFiles(path / PICTURE_DIRECTORY)
        await pictures.open()
        await pictures.keep(a_png())
        assert names(path) > {DEMO_MARKER, "uploads"}
    with demo_directory(tmp_path / ".demo") as path:
        assert names(path) == {DEMO_MARKER}


def test_a_directory_without_the_marker_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "shoal.db").write_text("somebody's shops")
    with pytest.raises(ConfigError, match="does not touch"), demo_directory(tmp_path):
        pass
    assert names(tmp_path) == {"shoal.db"}


def test_a_marker_that_is_not_the_demos_is_no_marker(tmp_path: Path) -> None:
    (tmp_path / DEMO_MARKER).write_text("mine")
    (tmp_path / "shoal.db").write_text("somebody's shops")
    with pytest.raises(ConfigError, match="does not touch"), demo_directory(tmp_path):
        pass
    assert names(tmp_path) == {DEMO_MARKER, "shoal.db"}


@pytest.mark.parametrize("foreign", ["uploads/mine.txt", "uploads/images/mine/notes.txt", "uploads/mine/notes.txt"])
def test_a_foreign_thing_among_the_pictures_stops_everything(tmp_path: Path, foreign: str) -> None:
    with demo_directory(tmp_path / ".demo") as path:
        (path / PICTURE_DIRECTORY).mkdir(parents=True)
        (path / PICTURE_DIRECTORY / "picture.png").write_text("old")
    (path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (path / foreign).write_text("mine")
    with pytest.raises(ConfigError, match="mine"), demo_directory(path):
        pass
    assert (path / foreign).read_text() == "mine"
    assert (path / PICTURE_DIRECTORY / "picture.png").exists()


def test_a_link_in_place_of_the_pictures_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "images").write_text("precious")
    with demo_directory(tmp_path / ".demo") as path:
        pass
    (path / "uploads").symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigError, match="uploads"), demo_directory(path):
        pass
    assert names(tmp_path / "precious") == {"images"}


@pytest.mark.parametrize("kind", ["file", "folder", "link", "linked_database"])
def test_a_foreign_thing_beside_the_marker_stops_everything(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "precious"
    outside.write_text("precious")
    with demo_directory(tmp_path / ".demo") as path:
        (path / "secret.key").write_text("old")
    foreign = path / ("shoal.db" if kind == "linked_database" else "notes.txt")
    if kind == "file":
        foreign.write_text("mine")
    elif kind == "folder":
        foreign.mkdir()
    else:
        foreign.symlink_to(outside)
    with pytest.raises(ConfigError, match=foreign.name), demo_directory(path):
        pass
    assert names(path) == {DEMO_MARKER, "secret.key", foreign.name}
    assert outside.read_text() == "precious"


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    with demo_directory(tmp_path / "real") as path:
        (path / "secret.key").write_text("old")
    (tmp_path / ".demo").symlink_to(path)
    with pytest.raises(ConfigError, match="is a link"), demo_directory(tmp_path / ".demo"):
        pass
    assert "secret.key" in names(path)


def test_two_demos_do_not_share_a_directory(tmp_path: Path) -> None:
    with (
        demo_directory(tmp_path / ".demo"),
        pytest.raises(ConfigError, match="already running"),
        demo_directory(tmp_path / ".demo"),
    ):
        pass


async def test_a_server_that_still_runs_there_keeps_its_files(tmp_path: Path) -> None:
    with demo_directory(tmp_path / ".demo") as path:
        database = await Database(path).open()
    try:
        before = names(path)
        with pytest.raises(ConfigError, match="still uses"), demo_directory(path):
            pass
        assert names(path) == before
    finally:
        await database.close()


def test_a_file_in_the_place_of_the_directory_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".demo").write_text("")
    with pytest.raises(ConfigError, match="SHOAL_DATA_DIR"), demo_directory(tmp_path / ".demo"):
        pass


# -- shops and screen ---------------------------------------------------------------------------------------------


def test_the_shops_are_as_the_demo_promises() -> None:
    assert len({check_account_id(shop.id) for shop in SHOPS}) == 6
    assert [shop.enabled for shop in SHOPS].count(False) == 1
    assert [len(shop.codes) for shop in SHOPS if shop.codes] == [2]
    assert {shop.auto_confirm for shop in SHOPS} == {True, False}
    assert {"在吗", "包邮", "多少钱", "发货"} <= set(SHOPS[0].keywords)


def test_every_shop_serves_its_orders_and_answers_most_of_what_the_buyers_ask() -> None:
    lines = [line for dialogue in DIALOGUES for line in dialogue if line != PAY]
    assert len(lines) > 20
    for shop in SHOPS:
        assert bool(shop.codes) != ("paid_message" in shop.settings), shop.id
        unanswered = [line for line in lines if not any(word in line for word in shop.keywords)]
        assert shop.settings.get("default_reply_enabled") or len(unanswered) < len(lines) / 6, (shop.id, unanswered)


class Board(AccountBoard):
    """A board that was told once what there is."""

    def __init__(self, accounts: list[dict[str, Any]]) -> None:
        super().__init__(ApiClient("http://127.0.0.1:1"))
        self._accounts = {account["id"]: account for account in accounts}


def event(kind: str, seq: int, text: str = "在吗") -> dict[str, Any]:
    return {
        "seq": seq, "kind": kind, "account": "2200000000002", "buyer": "豆豆妈", "seller": "小鱼杂货铺",
        "text": text, "at": 1_767_000_000_000 + seq, "wall_ms": 1_767_000_000_000 + seq * 500,
    }  # fmt: skip


def board() -> Board:
    rows = [
        {
            "id": shop.id, "unb": str(2_200_000_000_002 + number), "remark": shop.name, "state": "running",
            "since": "2026-01-02T03:04:05.000Z", "created_at": f"2026-01-01T00:00:0{number}.000Z",
        }
        for number, shop in enumerate(SHOPS)
    ]  # fmt: skip
    return Board(rows)


def test_the_screen_fits_into_80_columns_and_shows_the_chat() -> None:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        console = Console(width=80, height=24, record=True, file=nowhere)
        screen = DemoScreen(board(), console, "Shoal demo", live=False)
        for number in range(1, 60, 2):
            screen.happened(event("said", number, "这是一句 很长 很长的话，" * 10))
            screen.happened(event("replied", number + 1, "在的，请问看中哪一件？\x1b[2J"))
        screen.happened(event("paid", 70, "4500000000000001"))
        console.print(screen)
    lines = console.export_text().splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    for part in ("小鱼杂货铺", "running", "30", "在的，请问看中哪一件？", "0.5 s", "[paid]", "6 running"):
        assert part in text
    assert any("running" in line and "在的，请问" in line for line in lines), "a shop stands with its last reply"
    assert "\x1b" not in text


def test_elsewhere_than_on_a_terminal_each_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = DemoScreen(board(), Console(), "Shoal demo", live=False)
    screen.accounts_changed()
    screen.accounts_changed()
    screen.happened(event("said", 1))
    screen.happened(event("replied", 2, "在的\nREADY {}"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 + 2
    assert lines[0].endswith("xiaoyu: running")
    assert lines[-1].endswith("小鱼杂货铺 → 豆豆妈: 在的 READY {}  (0.5 s)")
    screen.happened(event("said", 3))
    screen.happened(event("paid", 30, "4500000000000001"))
    screen.happened(event("replied", 31, "链接"))
    assert capsys.readouterr().out.splitlines()[-1].endswith("链接  (0.5 s)"), "counted from what it answers"
