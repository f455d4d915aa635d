"""Why an account is tried again, or parked, in Chinese and English, by the reason that its state names."""

from __future__ import annotations

from typing import Final

from shoal.accounts.account import ParkReason
from shoal.api.language import Language

RETRY_REASONS: Final[dict[str, tuple[str, str]]] = {
    "socket_closed": ("连接已断开", "the link ended"),
    "connection_ended": ("连接已断开", "the link ended"),
    "reply_timeout": ("闲鱼没有及时回应", "the site did not answer in time"),
    "deaf_connection": ("连接看似正常，却收不到消息", "the link looked alive, but messages did not come"),
    "unreachable": ("连不上闲鱼", "the site cannot be reached"),
    "site_untrusted": (
        "应答者无法证明自己是闲鱼（上网认证页、防火墙，或本机时间不对）",
        "what answers cannot prove to be the site (a sign-in page of the network, a firewall, or this machine's clock)",
    ),
    "handshake_refused": ("闲鱼拒绝建立连接", "the site refused the link"),
    "token_refused": ("闲鱼不接受登录令牌", "the site does not accept the token"),
    "token_rejected": ("闲鱼不接受刚更新的签名令牌", "the site rejects the signing token that it has just renewed"),
    "register_refused": ("闲鱼拒绝了登录", "the site refused the registration"),
    "heartbeat_refused": ("闲鱼拒绝了心跳", "the site refused a heartbeat"),
    "connect_limit": ("闲鱼要求稍后再连", "the site wants us to come back later"),
    "session_removed": ("闲鱼结束了会话，要求稍后再连", "the site ended the session"),
    "rate_limited": ("闲鱼繁忙，要求稍后再试", "the site has no room"),
    "push_overflow": ("消息来得太快，来不及保存", "messages came faster than they could be stored"),
    "bad_reply": ("闲鱼的回答无法识别", "the site's answer cannot be understood"),
    "temporary_failure": ("闲鱼暂时出错", "something failed for now"),
    "not_applied": ("数据库没有保存", "the database did not store it"),
    "store_degraded": ("数据库暂时不能写入", "the database cannot be written"),
    "store_error": ("数据库出错", "the database failed"),
    "outcome_unknown": ("不知道数据库是否已保存", "nobody knows whether the database stored it"),
    "proxy_unreachable": ("代理没有回应", "the proxy does not answer"),
    "proxy_refused": ("代理拒绝连接", "the proxy refuses"),
    "proxy_no_route": ("代理无法连到闲鱼", "the proxy does not reach the site"),
    "proxy_not_allowed": (
        "代理在内部网络，服务器不允许连接",
        "the proxy lies inside, where this server connects to nothing",
    ),
    "proxy_untrusted": ("代理冒充闲鱼", "the proxy stands in for the site"),
    "crashed": ("程序出错", "a defect of the program"),
}


PARK_REASONS: Final[dict[str, tuple[str, str]]] = {
    ParkReason.NO_COOKIE: ("Cookie 不可用", "the cookie cannot be used"),
    ParkReason.LOGIN_EXPIRED: ("登录已过期", "the login had expired"),
    ParkReason.RISK_CONTROL: ("闲鱼要求验证（风控）", "the site asked for a verification (risk control)"),
    ParkReason.KICKED_OUT: ("账号在别处登录", "it was signed in somewhere else"),
    ParkReason.NUMBER_TAKEN: (
        "这个闲鱼号已在本服务器的另一个账号下使用",
        "another account of this server uses this seller",
    ),
}


def park_words(reason: str, language: Language) -> str:
    """Say what an owner had to see to. A reason without words of its own is told by its name."""
    known = PARK_REASONS.get(reason)
    return reason if known is None else known[0 if language is Language.ZH else 1]


def retry_words(reason: str, detail: str, language: Language) -> str:
    """Say why. A reason without words of its own is told by its detail, or by its name."""
    known = RETRY_REASONS.get(reason)
    if known is None:
        return detail or reason
    return known[0 if language is Language.ZH else 1]
