"""Prints every shape of the real site and what it becomes; ``--docs`` renews the table of docs/protocol.md."""

# ruff: noqa: T201

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

from wire.frames import Frame, all_frames

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
MARKS = ("<!-- frames -->", "<!-- /frames -->")


def outcome(frame: Frame) -> str:
    """Say in a few words what a frame becomes."""
    becomes = frame.becomes
    words = [becomes["event"]]
    if "speaker" in becomes:
        words.append(becomes["speaker"])
    if becomes.get("order_id"):
        words.append("our sale" if becomes.get("is_sale", True) else "no sale of the account")
    words += [name for name in ("paid", "group_price") if becomes.get(name)]
    if becomes.get("status"):
        words.append(becomes["status"])
    if becomes.get("parcel"):
        words.append({"no": "no parcel", "yes": "parcel"}[becomes["parcel"]])
    if becomes["asks"]:
        words.append("may be answered")
    return ", ".join(words)


def docs_table(frames: Sequence[Frame]) -> str:
    """Return the table for the page of the protocol."""
    rows = ["| file | what it is | seen | how sure | becomes |", "|---|---|---|---|---|"]
    rows += [f"| `{frame.name}` | {frame.what} | {frame.seen} | {frame.sure} | {outcome(frame)} |" for frame in frames]
    return "\n".join(rows)


def report(frames: Sequence[Frame]) -> int:
    """Print the table and the sums; return how many frames are wrong."""
    right = {True: 0, False: 0}
    for frame in frames:
        differs = frame.differs(frame.pushed())
        right[frame.is_own_find] += not differs
        print(f"{'WRONG' if differs else 'right'}  {frame.name:44} {outcome(frame)}", differs or "")
    own = sum(frame.is_own_find for frame in frames)
    print(f"\n{right[False]} of {len(frames) - own} shapes right; {right[True]} of {own} own finds right")
    return len(frames) - sum(right.values())


def main() -> int:
    """Print the report, or renew the table."""
    frames = all_frames()
    if "--docs" not in sys.argv:
        return 1 if report(frames) else 0
    begin, end = MARKS
    page = PROTOCOL.read_text(encoding="utf-8")
    head, tail = page[: page.index(begin) + len(begin)], page[page.index(end) :]
    PROTOCOL.write_text(f"{head}\n{docs_table(frames)}\n{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
