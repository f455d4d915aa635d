"""The words of the shell: its two languages, states and times for people, and texts that cannot harm a terminal."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from rich.text import Text

from shoal.language.catalogue import knows, say
from shoal.language.choice import Language

Command = TypeVar("Command", bound=Callable[..., Any])

_STATES: Final[dict[str, tuple[str, str, str]]] = {
    "stopped": ("off", "已停用", "bright_black"),
    "waiting": ("waiting", "排队中", "cyan"),
    "starting": ("starting", "启动中", "cyan"),
    "running": ("running", "运行中", "green"),
    "mute": ("running, will not answer", "运行中，不会回复", "yellow"),
    "retrying": ("retrying", "重试中", "yellow"),
    "parked": ("needs you", "需处理", "bold red"),
    "stopping": ("stopping", "停止中", "cyan"),
    "elsewhere": ("elsewhere", "在别的机器", "magenta"),
}
_REASONS: Final[dict[str, tuple[str, str]]] = {
    "answers_nothing": (
        "it has no rule and no default reply; add one in the console",
        "没有规则，也没有默认回复；请在控制台添加",
    ),
    "answers_orders": (
        "it only serves paid orders: it has no rule and no default reply",
        "只处理付款后的订单：没有规则，也没有默认回复",
    ),
    "no_cookie": ("it has no cookie", "没有 Cookie"),
    "login_expired": ("its login has expired; add it again with a new cookie", "登录已失效，请用新的 Cookie 重新添加"),
    "risk_control": (
        "the site wants a check; pass it there, then resume",
        "平台要求验证，请在浏览器中完成后再恢复",
    ),
    "proxy_unreachable": ("its proxy does not answer", "代理没有回应"),
    "proxy_refused": ("its proxy refuses", "代理拒绝连接"),
    "proxy_not_allowed": ("its proxy lies inside, where nothing is allowed", "代理在内部网络，未获允许"),
    "proxy_untrusted": ("what is behind its proxy is not the site", "代理后面的不是闲鱼"),
    "proxy_no_route": ("its proxy does not reach the site", "代理无法连到闲鱼"),
    "number_taken": (
        "another account here uses this seller; ask the administrator to free the number",
        "这个闲鱼号已在本服务器的另一个账号下使用，请联系管理员释放",
    ),
    "kicked_out": ("it was signed in elsewhere; resume when you are done there", "已在别处登录，那边用完后再恢复"),
}
_STEPS: Final = (
    (90, 1, "{} s ago", "{} 秒前"),
    (90 * 60, 60, "{} min ago", "{} 分钟前"),
    (36 * 3600, 3600, "{} h ago", "{} 小时前"),
)


def is_chinese() -> bool:
    """Whether the person's locale is Chinese: ``LC_ALL``, else ``LC_MESSAGES``, else ``LANG``."""
    chosen = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return chosen.lower().startswith("zh")


def language() -> Language:
    """The language of the person's locale."""
    return Language.ZH if is_chinese() else Language.EN


def words(english: str, chinese: str) -> str:
    """One sentence in the person's language."""
    return chinese if is_chinese() else english


def in_chinese(chinese: str) -> Callable[[Command], Command]:
    """Give a command's help to people who read Chinese; the docstring is that of the others."""

    def told(command: Command) -> Command:
        if is_chinese():
            command.__doc__ = chinese
        return command

    return told


def state_word(state: str) -> str:
    """A state as people say it."""
    english, chinese, _ = _STATES.get(state, (state, state, ""))
    return words(english, chinese)


def state_text(state: str) -> Text:
    """A state in a word, with its colour."""
    return Text(state_word(state), style=_STATES.get(state, ("", "", ""))[2])


def reason_words(reason: str) -> str:
    """Why an account is as it is, and what to do. Reasons without a sentence are shown as they are."""
    if reason in _REASONS:
        return words(*_REASONS[reason])
    key = f"retry.{reason}"
    return say(key, language()) if knows(key) else printable(reason.replace("_", " "))


def ago(moment: str | None, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was. Empty for none, and for the beginning of time."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment)
    if then.timestamp() <= 0:
        return ""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 3:
        return words("just now", "刚刚")
    for limit, unit, english, chinese in _STEPS:
        if seconds < limit:
            return words(english, chinese).format(round(seconds / unit))
    return words("{} days ago", "{} 天前").format(round(seconds / 86_400))


def printable(text: str) -> str:
    """A stranger's text on one line, without anything that moves a cursor or turns the writing direction."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Zs", "Zl", "Zp"} or character in "\t\n\r":
        return " "
    return "" if category[0] == "C" else character
