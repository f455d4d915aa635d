"""The demo's output: the shops, and the chats live. A live screen on a terminal, plain lines otherwise."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import typer
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shoal.cli.account_tables import standing, summary
from shoal.cli.board import AccountBoard
from shoal.cli.demo.shops import SHOPS
from shoal.cli.words import ago, printable, state_text, state_word, words
from shoal.language.catalogue import knows

Event = dict[str, Any]
_CHAT_LINES: Final = 200
_NAMES: Final = {shop.id: shop.name for shop in SHOPS}
_NAMES_WIDTH: Final = 24
_FEWEST_CHAT_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class ChatLine:
    """One line of the chat on the screen."""

    at: str
    speaker: str
    listener: str
    text: str
    by_shop: bool
    after_seconds: float | None = None
    """from the buyer's last message to this reply"""


class DemoScreen:
    """Shows the events of the board and of the sandbox; ``live`` selects a live screen or plain lines."""

    def __init__(self, board: AccountBoard, console: Console, heading: str, *, live: bool) -> None:
        self._board = board
        self._console = console
        self._heading = heading
        self._is_live = live
        self._live: Live | None = None
        self._chat: deque[ChatLine] = deque(maxlen=_CHAT_LINES)
        self._messages: dict[str, int] = {}
        self._last_reply: dict[str, ChatLine] = {}
        self._asked_ms: dict[tuple[str, str], int] = {}
        self._states: dict[str, str] = {}

    def __enter__(self) -> DemoScreen:
        if self._is_live:
            self._live = Live(self, console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def accounts_changed(self) -> None:
        """Handle a change of the board: without a live screen each new state becomes a line."""
        for account in self._board.accounts:
            state = account["state"]
            if self._states.get(account["id"]) != state:
                self._states[account["id"]] = state
                self._line(f"{_now()}  {account['id']}: {state_word(state)}")

    def happened(self, event: Event) -> None:
        """Handle one event of the sandbox."""
        kind, unb, buyer, text = event["kind"], event["account"], printable(event["buyer"]), printable(event["text"])
        shop, at = printable(event["seller"]), _clock(event["wall_ms"])
        if kind == "said":
            self._messages[unb] = self._messages.get(unb, 0) + 1
            self._asked_ms[unb, buyer] = event["wall_ms"]
            self._add(ChatLine(at, buyer, shop, text, by_shop=False))
        elif kind in {"replied", "typed"}:
            asked = self._asked_ms.pop((unb, buyer), None)
            waited = None if asked is None else (event["wall_ms"] - asked) / 1000
            line = ChatLine(at, shop, buyer, text, by_shop=True, after_seconds=waited)
            self._last_reply[unb] = line
            self._add(line)
        elif knows(key := f"cli.demo.order.{kind}"):
            by_shop = kind == "shipped"
            if kind == "paid":
                self._asked_ms[unb, buyer] = event["wall_ms"]
            names = (shop, buyer) if by_shop else (buyer, shop)
            self._add(ChatLine(at, *names, f"[{words(key)}]", by_shop=by_shop))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the whole screen, as high as the terminal allows."""
        shops = self._shops()
        room = console.height - shops.row_count - 9
        yield Group(Text(self._heading, style="bold"), Text(), shops, Text(), self._talk(max(_FEWEST_CHAT_LINES, room)))

    def _shops(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
        table.add_column(words("cli.table.shop"), no_wrap=True, ratio=3, overflow="ellipsis")
        table.add_column(words("cli.table.state"), no_wrap=True, min_width=9)
        table.add_column(words("cli.table.since"), no_wrap=True, min_width=9)
        table.add_column(words("cli.demo.msgs"), no_wrap=True, justify="right", min_width=4)
        table.add_column(words("cli.demo.last_reply"), no_wrap=True, ratio=4, overflow="ellipsis")
        for account in self._board.accounts:
            unb = account["unb"]
            shop = Text(printable(account["id"]), style="bold")
            shop.append(f" {_NAMES.get(account['id'], printable(account['remark']))}", style="not bold")
            reply = self._last_reply.get(unb)
            table.add_row(
                shop,
                state_text(standing(account)),
                ago(account["since"]),
                str(self._messages.get(unb, 0)),
                Text(reply.text if reply else ""),
            )
        table.caption = self._board.trouble or summary(self._board.accounts)
        table.caption_justify = "left"
        return table

    def _talk(self, lines: int) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, style="bright_black")
        table.add_column(no_wrap=True, width=_NAMES_WIDTH, overflow="ellipsis")
        table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        table.add_column(no_wrap=True, justify="right", style="bright_black")
        for line in list(self._chat)[-lines:]:
            style = "green" if line.by_shop else ""
            waited = "" if line.after_seconds is None else f"{line.after_seconds:.1f} s"
            names = Text(f"{line.speaker} → {line.listener}", style=style)
            table.add_row(line.at, names, Text(line.text, style=style), waited)
        if not self._chat:
            table.add_row("", "", Text(words("cli.demo.no_buyer_yet")), "")
        return table

    def _add(self, line: ChatLine) -> None:
        self._chat.append(line)
        waited = "" if line.after_seconds is None else f"  ({line.after_seconds:.1f} s)"
        self._line(f"{line.at}  {line.speaker} → {line.listener}: {line.text}{waited}")

    def _line(self, line: str) -> None:
        if not self._is_live:
            typer.echo(line)


def _clock(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000).astimezone().strftime("%H:%M:%S")


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
