"""Accounts as tables and lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.words import ago, printable, reason_words, state_text, state_word, words

Account = dict[str, Any]
_URGENCY = ("parked", "retrying", "mute", "starting", "stopping", "waiting", "elsewhere", "running", "stopped")


def account_table(accounts: Sequence[Account], *, plain: bool = False, rows: int | None = None) -> Table:
    """One row per account. With fewer ``rows`` than accounts, those that need attention are shown."""
    shown = list(accounts)
    if rows is not None and len(shown) > rows:
        shown = sorted(shown, key=lambda account: _urgency(standing(account)))[:rows]
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (words("Account", "账号"), words("State", "状态"), words("Since", "时间")):
        table.add_column(heading, no_wrap=True)
    table.add_column(words("Rules", "关键词"), justify="right", no_wrap=True)
    table.add_column(words("Remark", "备注"), overflow="fold" if plain else "ellipsis", no_wrap=plain)
    table.add_column(words("Reason", "原因"), overflow="fold", no_wrap=plain)
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
    """How many accounts are in which state, in words."""
    counts = Counter(standing(account) for account in accounts)
    parts = [f"{counts[state]} {state_word(state)}" for state in sorted(counts, key=_urgency)]
    if hidden:
        parts.append(words(f"{hidden} not shown", f"{hidden} 个未显示"))
    return " · ".join(parts)


def standing(account: Account) -> str:
    """The state of an account; ``mute`` for one that runs and has nothing to answer a message with."""
    return (
        "mute"
        if account["state"] == "running" and account.get("answers", "messages") != "messages"
        else account["state"]
    )


def why(account: Account) -> str:
    """The reason of a state, and when the next attempt is, if there is anything to say."""
    if standing(account) == "mute":
        return reason_words(f"answers_{account['answers']}")
    if account["state"] in {"running", "stopped"}:
        return ""
    return reason_words(account["reason"]) if account["reason"] else ""


def account_facts(account: Account) -> Table:
    """Everything about one account, wish and fact."""
    wanted, seen = account["desired"], account["observed"]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    yes = {True: words("yes", "是"), False: words("no", "否")}
    state = state_text(standing(account))
    if since := ago(account["since"]):
        state.append(f"  {since}", style="default")
    minutes = words("{} min", "{} 分钟")
    facts: list[tuple[str, str, Text | str]] = [
        ("Account", "账号", printable(account["id"])),
        ("Remark", "备注", printable(account["remark"])),
        ("State", "状态", state),
        ("Reason", "原因", why(account)),
        ("Detail", "详情", printable(seen["detail"])),
        ("Act here", "处理地址", printable(account["action_url"])),
        ("Named, but not the site’s", "站点给出的陌生地址", printable(account.get("action_text", ""))),
        ("Next attempt", "下次重试", printable(account["next_attempt_at"] or "")),
        ("Wanted on", "应运行", yes[account["enabled"]]),
        ("Seller (unb)", "闲鱼号 (unb)", printable(account["unb"])),
        ("Cookie", "Cookie", f"#{account['fingerprint']}"),
        ("Proxy", "代理", printable(wanted.get("proxy", ""))),
        ("Connected", "连接", ago(seen["connected_at"])),
        ("Heartbeat", "心跳", ago(seen["last_heartbeat_at"])),
        ("Last message", "最近消息", ago(seen["last_message_at"])),
        ("Keyword rules", "关键词", str(wanted["keyword_count"])),
        ("Items with settings", "单独设置的商品", str(wanted["item_count"])),
        ("Default reply", "默认回复", printable(wanted["default_reply"]) if wanted["default_reply_enabled"] else ""),
        ("After payment", "付款后发送", printable(wanted["paid_message"])),
        ("Confirms shipment", "自动确认发货", yes[wanted["auto_confirm"]]),
        ("Completes group prices", "小刀自动免拼发货", yes[wanted["free_shipping"]]),
        ("Silent after you wrote", "人工回复后静默", minutes.format(wanted["pause_duration"])),
        ("Generation", "版本", str(account["generation"])),
    ]
    for english, chinese, value in facts:
        if value:
            table.add_row(words(english, chinese), value if isinstance(value, Text) else Text(value))
    return table


def _urgency(state: str) -> int:
    return _URGENCY.index(state) if state in _URGENCY else len(_URGENCY)
