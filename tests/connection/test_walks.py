"""The walks of docs/contributing are what the code does: followed with a profiler, in order, short enough."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import FrameType

from shoal.orders.order_store import Action, ActionState
from shoal.storage.database import Database
from support.messages.chat_steps import sendings
from support.orders.order_steps import order_action, paying_shop
from support.servers.doors import open_door
from support.site.sandboxed import Shoal

ROOT = Path(__file__).parents[2]
SOURCES = f"{ROOT / 'src' / 'shoal'}/"
PAGES = "\n".join(
    (ROOT / "docs" / "contributing" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("state", "messages", "orders")
)
MOST_FUNCTIONS, MOST_FILES, MOST_FILES_OF_A_TOGGLE = 20, 9, 12

Step = tuple[str, str]
"""A file below ``src/shoal`` and the qualified name of a function in it."""


class Trace:
    """The calls of the project's functions, in order."""

    def __init__(self) -> None:
        self.calls: list[Step] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(SOURCES):
            self.calls.append((code.co_filename.removeprefix(SOURCES), code.co_qualname))

    def assert_passes(self, steps: Sequence[Step]) -> None:
        """Each function that the page names, with or without its class, was called after the one before it.

        It may have been called earlier too: another push may arrive before the one that is followed.
        """
        calls = iter(self.calls)
        for file, name in steps:
            found = any(called_in == file and f".{called}".endswith(f".{name}") for called_in, called in calls)
            assert found, f"{name} of {file} was not called after the function before it"


async def followed(database: Database, act: Callable[[], Awaitable[object]]) -> Trace:
    """Do something and follow it, on this thread and on the one that writes."""
    trace = Trace()
    await database.write(lambda _: sys.setprofile(trace))
    sys.setprofile(trace)
    try:
        await act()
    finally:
        sys.setprofile(None)
        await database.write(lambda _: sys.setprofile(None))
    return trace


def walk(heading: str) -> list[Step]:
    """The numbered list of a section."""
    section = PAGES.split(f"## {heading}\n")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. `([\w/.]+)`: `([\w.]+)`", section, re.MULTILINE)
    assert steps
    return steps


def toggle() -> list[Step]:
    """The table of the toggle."""
    rows = re.findall(r"^\| `([\w/]+\.py)` \| (`.*?): ", PAGES, re.MULTILINE)
    assert rows
    return [(file, name) for file, names in rows for name in re.findall(r"`([\w.]+)`", names)]


async def test_a_message_takes_the_way_that_is_written_down(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "在"})

    async def act() -> None:
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await shoal.sandbox.seen_soon(unb, "小鱼", 1)
        await sendings(shoal, "sent")

    trace = await followed(shoal.database, act)
    steps = walk("The way of a message")
    trace.assert_passes(steps)
    assert len(steps) <= MOST_FUNCTIONS
    assert len({file for file, _ in steps}) <= MOST_FILES


async def test_a_paid_order_takes_the_way_that_is_written_down(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)

    async def act() -> None:
        paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
        await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.DONE)

    trace = await followed(shoal.database, act)
    trace.assert_passes(walk("The way of an order"))


async def test_a_toggle_takes_the_way_that_is_written_down(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:
        await door.add("shop")
        trace = await followed(
            door.server.database, lambda: door.call("PUT", "/cookies/shop/status", json={"enabled": False})
        )
    steps = toggle()
    for step in steps:
        trace.assert_passes([step])
    files = {file for file, _ in steps}
    assert "accounts/change_path.py" in files
    assert len(files) <= MOST_FILES_OF_A_TOGGLE
