"""Accounts as tables and lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.cells import facts_table
from shoal.cli.words import ago, printable, reason_words, state_text, state_word, words

Account = dict[str, Any]
_URGENCY = ("parked", "retrying", "mute", "starting", "stopping", "waiting", "elsewhere", "running", "stopped")


def account_table(accounts: Sequence[Account], *, plain: bool = False, rows: int | None = None) -> Table:
    """Return a table with one row per account. With fewer ``rows`` than accounts, it shows the most urgent ones."""
    shown = list(accounts)
    if rows is not None and len(shown) > rows:
        shown = sorted(shown, key=lambda account: _urgency(standing(account)))[:rows]
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (words("cli.table.shop"), words("cli.table.state"), words("cli.table.since")):
        table.add_column(heading, no_wrap=True)
    table.add_column(words("cli.table.rules"), justify="right", no_wrap=True)
    table.add_column(words("cli.table.remark"), overflow="fold" if plain else "ellipsis", no_wrap=plain)
    table.add_column(words("cli.table.reason"), overflow="fold", no_wrap=plain)
    for account in shown:
        table.add_row(
            Text(printable(account["id"]), style="bold"),
            state_text(standing(account)),
            ago(account["since"]),
            str(account["desired"]["keyword_count"]),
            Text(printable(account["remark"])),
            Text(why(account)),
        )
    if not plain:
        table.caption = summary(accounts, hidden=len(accounts) - len(shown))
        table.caption_justify = "left"
    return table


def summary(accounts: Iterable[Account], *, hidden: int = 0) -> str:
    """Return how many accounts are in which state, as a text."""
    counts = Counter(standing(account) for account in accounts)
    parts = [f"{counts[state]} {state_word(state)}" for state in sorted(counts, key=_urgency)]
    if hidden:
        parts.append(words("cli.table.not_shown", hidden=hidden))
    return " · ".join(parts)


def standing(account: Account) -> str:
    """Return the state of an account; ``mute`` for a running account that has nothing to answer messages with."""
    return (
        "mute"
        if account["state"] == "running" and account.get("answers", "messages") != "messages"
        else account["state"]
    )


def why(account: Account) -> str:
    """Return the reason of a state; empty when there is none to show."""
    if standing(account) == "mute":
        return reason_words(f"answers_{account['answers']}")
    if account["state"] in {"running", "stopped"}:
        return ""
    return reason_words(account["reason"]) if account["reason"] else ""


def account_facts(account: Account) -> Table:
    """Return a table of everything about one account, desired and observed."""
    wanted, seen = account["desired"], account["observed"]
    yes = {True: words("cli.table.yes"), False: words("cli.table.no")}
    state = state_text(standing(account))
    if since := ago(account["since"]):
        state.append(f"  {since}", style="default")
    return facts_table([
        ("shop", account["id"]),
        ("remark", account["remark"]),
        ("state", state),
        ("reason", why(account)),
        ("detail", seen["detail"]),
        ("action_url", account["action_url"]),
        ("action_text", account.get("action_text", "")),
        ("next_attempt", account["next_attempt_at"] or ""),
        ("enabled", yes[account["enabled"]]),
        ("seller", account["unb"]),
        ("cookie", f"#{account['fingerprint']}"),
        ("proxy", wanted.get("proxy", "")),
        ("connected", ago(seen["connected_at"])),
        ("heartbeat", ago(seen["last_heartbeat_at"])),
        ("last_message", ago(seen["last_message_at"])),
        ("rules", str(wanted["keyword_count"])),
        ("items", str(wanted["item_count"])),
        ("default_reply", wanted["default_reply"] if wanted["default_reply_enabled"] else ""),
        ("paid_message", wanted["paid_message"]),
        ("replies", yes[wanted.get("replies", True)]),
        ("delivery", yes[wanted.get("delivery", True)]),
        ("auto_confirm", yes[wanted["auto_confirm"]]),
        ("free_shipping", yes[wanted["free_shipping"]]),
        ("pause", words("cli.table.minutes", count=wanted["pause_duration"])),
        ("generation", str(account["generation"])),
    ])  # fmt: skip


def account_line(account: Account) -> str:
    """Return an account with its state, and why, on one line."""
    reason = why(account)
    line = f"{printable(account['id'])}: {state_word(standing(account))}"
    return f"{line} ({reason})" if reason else line


def _urgency(state: str) -> int:
    return _URGENCY.index(state) if state in _URGENCY else len(_URGENCY)
