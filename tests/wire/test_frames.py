"""Every shape of the real site becomes what it must, pushed and read from the history."""

from __future__ import annotations

from pathlib import Path

import pytest

from wire.frames import Frame, all_frames
from wire.report import MARKS, docs_table

FRAMES = all_frames()
PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_a_pushed_frame_becomes_what_it_must(frame: Frame) -> None:
    assert frame.differs(frame.pushed()) == {}


@pytest.mark.parametrize("frame", [one for one in FRAMES if one.is_message], ids=lambda frame: frame.name)
def test_a_line_of_the_history_becomes_what_its_push_does(frame: Frame) -> None:
    """The history has no ``needPush`` that tells anything, and no key 8; everything else is the same."""
    wanted = {"waiting_card_order_in_key_8_extra": {"order_id", "is_sale"}}.get(frame.name, set())
    assert set(frame.differs(frame.pulled())) == wanted


def test_the_frames_tell_only_invented_ids() -> None:
    """A capture that somebody forgot to clean would stand out by its numbers."""
    known = (
        "22099",
        "22999",
        "58800000042",
        "4409900000000000007",
        "900900000033",
        "3609900000001",
        "179000000",
        "5099",
    )
    for frame in FRAMES:
        digits = "".join(c if c.isdigit() else " " for c in repr(frame.payload).replace("5e" * 16, "")).split()
        assert [number for number in digits if len(number) > 8 and not number.startswith(known)] == [], frame.name


def test_the_page_of_the_protocol_lists_every_frame() -> None:
    begin, end = MARKS
    page = PROTOCOL.read_text(encoding="utf-8")
    told = page[page.index(begin) + len(begin) : page.index(end)].strip()
    assert told == docs_table(FRAMES).strip(), "python -m tests.wire.report --docs renews the table"
