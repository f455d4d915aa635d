"""What each finding of a diagnosis means, and what to do about it, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shoal.language.choice import Language


@dataclass(frozen=True, slots=True)
class Advice:
    """The sentences of one finding: what is so, and what to do; the latter is empty when nothing need be done."""

    zh: str
    en: str
    do_zh: str = ""
    do_en: str = ""

    def detail(self, language: Language, params: Mapping[str, Any]) -> str:
        """What is so."""
        return (self.zh if language is Language.ZH else self.en).format_map(params)

    def do(self, language: Language, params: Mapping[str, Any]) -> str:
        """What to do."""
        return (self.do_zh if language is Language.ZH else self.do_en).format_map(params)


_AFTERWARDS_ZH = "完成后点击“恢复”，或更新 Cookie。"
_AFTERWARDS_EN = "Then press “resume”, or bring a new cookie."

ADVICE: dict[str, Advice] = {
    "enabled": Advice("账号已启用。", "The account is on."),
    "disabled": Advice(
        "账号未启用，不会连接，也不会回复。",
        "The account is off: it does not connect and does not reply.",
        "启用该账号。",
        "Switch the account on.",
    ),
    "owned_here": Advice("账号由本机负责。", "This machine is in charge of the account."),
    "elsewhere": Advice(
        "账号由另一台机器负责，或者数据库已有一段时间没有回应，本机不连接。",
        "Another machine is in charge of the account, or the database has long been silent; this one does nothing.",
        "请管理员查看数据库和那台机器；数据库恢复后，本机会自动继续。",
        "Ask the administrator to look at the database and that machine. It goes on by itself once the former answers.",
    ),
    "store_well": Advice("数据库正常。", "The database is well."),
    "store_unsettled": Advice(
        "有一次修改尚不知道是否已保存，显示的内容可能不是最新。",
        "Nobody knows yet whether a change was stored; what is shown may be old.",
        "稍等片刻再查看；连接和回复不受影响。",
        "Wait a moment and look again. Connection and replies go on.",
    ),
    "store_degraded": Advice(
        "数据库暂时不能写入，消息无法保存，因此不回复。",
        "The database cannot be written: messages cannot be stored, and so are not answered.",
        "请管理员检查磁盘空间和数据库；恢复后会自动继续。",
        "Ask the administrator to look at disk space and database. It goes on by itself afterwards.",
    ),
    "lock_free": Advice("没有耗时过长的修改。", "No change of the account takes long."),
    "lock_held": Advice(
        "一项修改（{operation}）已进行 {seconds} 秒，尚未生效；其他修改在排队。",
        "A change ({operation}) has been under way for {seconds} s and does not hold yet; other changes wait for it.",
        "稍等片刻再查看；若持续超过一分钟，请管理员检查数据库。",
        "Wait a moment and look again. If it takes more than a minute, ask the administrator to look at the database.",
    ),
    "parked_before": Advice(
        "停用之前，该账号需要您处理：{reason}。",
        "When it was switched off, it needed you: {reason}.",
        "先打开 {url} 处理，再启用该账号。",
        "Mend that first ({url}), then switch the account on.",
    ),
    "not_parked": Advice("没有需要您处理的登录问题。", "Nothing about the login needs you."),
    "parked_no_cookie": Advice(
        "Cookie 不可用，已停止连接。",
        "The cookie cannot be used, so there is no connection.",
        "登录闲鱼（{url}），复制整段 Cookie，更新到该账号。",
        "Sign in to the site ({url}), copy the whole cookie, and set it for this account.",
    ),
    "parked_login_expired": Advice(
        "登录已过期，已停止连接。",
        "The login has expired, so there is no connection.",
        "重新登录闲鱼（{url}），复制整段 Cookie，更新到该账号。",
        "Sign in to the site again ({url}), copy the whole cookie, and set it for this account.",
    ),
    "parked_risk_control": Advice(
        "闲鱼要求验证（风控），已停止连接。",
        "The site asks for a verification (risk control), so there is no connection.",
        "打开 {url} 完成验证。" + _AFTERWARDS_ZH,
        "Open {url} and pass the verification. " + _AFTERWARDS_EN,
    ),
    "parked_kicked_out": Advice(
        "账号在别处登录，本机的连接被踢下线。",
        "The account signed in somewhere else, and this connection was put out.",
        "关闭其他登录该账号的程序。" + _AFTERWARDS_ZH,
        "End other programs that use this account. " + _AFTERWARDS_EN,
    ),
    "parked_number_taken": Advice(
        "这个闲鱼号已在本服务器的另一个账号下登录并使用，同一个闲鱼号只能有一个连接，因此本账号不连接。",
        "This seller is in use under another account of this server. A seller has one connection at most, so this "
        "account has none.",
        "如果这个闲鱼号是您的，请联系服务器管理员释放它（管理员可在账号页面或用 shoal accounts free-number 操作）；"
        "释放后本账号会自动启动，无需重新添加。",
        "If the seller is yours, ask the administrator of this server to free the number (on the account's page, or by "
        "shoal accounts free-number). Then this account starts by itself; there is no need to add it again.",
    ),
    "parked_otherwise": Advice(
        "需要您处理（{reason}），已停止连接。",
        "You must act ({reason}); there is no connection.",
        "打开 {url} 查看。" + _AFTERWARDS_ZH,
        "Look at {url}. " + _AFTERWARDS_EN,
    ),
    "not_retrying": Advice("没有失败后等待重连。", "It does not wait for another attempt."),
    "retrying": Advice(
        "连接失败（{why}），{seconds} 秒后自动重试。",
        "The connection failed ({why}); the next attempt is in {seconds} s.",
        "无需处理；想立即重试，就再次启用该账号。",
        "Nothing need be done. To try at once, switch the account on again.",
    ),
    "crash_loop": Advice(
        "反复失败（{why}），重试间隔已放慢，下一次在 {seconds} 秒后。",
        "It fails again and again ({why}) and is tried less often; the next attempt is in {seconds} s.",
        "检查网络，再查看服务器日志；若日志提示程序错误，请报告。",
        "Check the network, then look into the server's log; report a defect that it shows.",
    ),
    "crash_loop_trying": Advice(
        "反复失败，现在正在再试一次。",
        "It fails again and again, and is just being tried once more.",
        "检查网络，再查看服务器日志；若日志提示程序错误，请报告。",
        "Check the network, then look into the server's log; report a defect that it shows.",
    ),
    "no_proxy": Advice("不使用代理，直接连接闲鱼。", "No proxy is set: it connects to the site directly."),
    "proxy_used": Advice("通过代理 {proxy} 连接。", "It connects through the proxy {proxy}."),
    "proxy_unreachable": Advice(
        "代理 {proxy} 没有回应；不会改为直接连接。",
        "The proxy {proxy} does not answer. The account never connects without it.",
        "检查代理是否在运行、地址和端口是否正确；或为该账号换一个代理。",
        "See whether the proxy runs and its host and port are right, or set another one.",
    ),
    "proxy_refused": Advice(
        "代理 {proxy} 拒绝连接；不会改为直接连接。",
        "The proxy {proxy} refuses. The account never connects without it.",
        "检查代理的用户名、密码和有效期；或为该账号换一个代理。",
        "Look at its user name, password and expiry, or set another one.",
    ),
    "proxy_not_allowed": Advice(
        "代理 {proxy} 在本机或内部网络中，服务器不允许连接，没有发送任何内容；不会改为直接连接。",
        "The proxy {proxy} lies in this machine or its networks, where this server connects to nothing; nothing was "
        "sent. The account never connects without its proxy.",
        "换一个公网代理；或请管理员在 SHOAL_ALLOW_PRIVATE_TARGETS 中允许它所在的网络，然后重启服务器。",
        "Set a public one; or let the administrator name its network in SHOAL_ALLOW_PRIVATE_TARGETS, and start the "
        "server again.",
    ),
    "proxy_untrusted": Advice(
        "代理 {proxy} 后面的服务器不能证明自己是闲鱼，没有发送任何内容；不会改为直接连接。",
        "What is behind the proxy {proxy} cannot prove to be the site, and nothing was sent to it. The account never "
        "connects without its proxy.",
        "换一个代理：这个代理可能在冒充闲鱼。",
        "Set another one: this one may be standing in for the site.",
    ),
    "proxy_no_route": Advice(
        "代理 {proxy} 无法连到闲鱼；不会改为直接连接。",
        "The proxy {proxy} does not reach the site. The account never connects without it.",
        "请代理服务商检查；或为该账号换一个代理。",
        "Ask its provider, or set another one.",
    ),
    "proxy_works": Advice(
        "通过代理 {proxy} 能连到闲鱼（{milliseconds} 毫秒）。",
        "The site answers through the proxy {proxy} ({milliseconds} ms).",
    ),
    "site_answers": Advice(
        "不使用代理能连到闲鱼（{milliseconds} 毫秒）。", "The site answers without a proxy ({milliseconds} ms)."
    ),
    "site_unreachable": Advice(
        "不使用代理连不上闲鱼。",
        "The site cannot be reached without a proxy.",
        "检查本机网络，或使用代理。",
        "Look at this machine's network, or use a proxy.",
    ),
    "not_starting": Advice("没有正在启动或停止。", "It is neither starting nor stopping."),
    "waiting": Advice(
        "正在排队等待启动（已 {seconds} 秒）：为避免风控，账号逐个连接。",
        "It waits for its turn to start ({seconds} s so far): accounts connect one after another, gently.",
        "稍等片刻，会自动启动。",
        "Wait a moment; it starts by itself.",
    ),
    "starting": Advice(
        "正在连接（已 {seconds} 秒）。",
        "It is connecting ({seconds} s so far).",
        "稍等片刻再查看。",
        "Wait a moment and look again.",
    ),
    "stopping": Advice(
        "旧连接正在结束（已 {seconds} 秒），结束后才会重新连接。",
        "The old connection is ending ({seconds} s so far); no other starts before it has.",
        "稍等片刻；若超过一分钟，请管理员重启服务器。",
        "Wait a moment. If it takes more than a minute, ask the administrator to restart the server.",
    ),
    "connected": Advice("已连接，{seconds} 秒前收到心跳。", "Connected; the last heartbeat came {seconds} s ago."),
    "heartbeat_late": Advice(
        "已连接，但 {seconds} 秒没有收到心跳。",
        "Connected, but no heartbeat has come for {seconds} s.",
        "检查网络；连接很快会自动重建。",
        "Check the network. The connection is soon made anew by itself.",
    ),
    "not_connected": Advice(
        "没有连接，收不到消息。",
        "There is no connection: no message arrives.",
        "先处理上面的问题；若上面都正常，等待五分钟内的自动检查，或再次启用该账号。",
        "Mend what stands above. If all is well there, switch the account on again, or wait: it is looked at every "
        "five minutes.",
    ),
    "cookie_present": Advice("已保存 Cookie。", "There is a cookie."),
    "cookie_renewed_later": Advice(
        "已保存 Cookie；其中的令牌还有约 {minutes} 分钟，到期会自动更新。",
        "There is a cookie; its token lasts about {minutes} min more and is renewed by itself.",
    ),
    "cookie_renewed_now": Advice(
        "已保存 Cookie；其中的令牌看来已到期，下次使用时会自动更新。",
        "There is a cookie; its token seems to be over and is renewed by itself when it is needed.",
    ),
    "cookie_missing": Advice(
        "没有 Cookie。",
        "There is no cookie.",
        "登录闲鱼，复制整段 Cookie，更新到该账号。",
        "Sign in to the site, copy the whole cookie, and set it for this account.",
    ),
    "answers_with_default": Advice(
        "有 {rules} 条关键词回复、{items} 个商品回复，并有默认回复。",
        "Keyword replies: {rules}. Item replies: {items}. There is a default reply.",
    ),
    "answers_without_default": Advice(
        "有 {rules} 条关键词回复、{items} 个商品回复，没有默认回复：没有匹配的消息不会得到回复。",
        "Keyword replies: {rules}. Item replies: {items}. There is no default reply: a message that matches nothing is "
        "not answered.",
    ),
    "no_answers": Advice(
        "没有任何可用的回复：没有关键词回复、商品回复或默认回复。",
        "There is nothing to reply with: no keyword reply, no item reply, no default reply.",
        "添加关键词，或填写并开启默认回复。",
        "Add a keyword, or write a default reply and switch it on.",
    ),
    "answers_orders_only": Advice(
        "买家发来的消息不会得到回复：没有关键词回复、商品回复或默认回复。付款后的订单照常处理。",
        "What buyers write is not answered: there is no keyword reply, no item reply, no default reply. Paid orders "
        "are served as set.",
        "如果只需要处理订单，可以不管；否则添加关键词，或填写并开启默认回复。",
        "If only orders are to be served, leave it so. Else add a keyword, or write a default reply and switch it on.",
    ),
    "never_pauses": Advice("您亲自回复后不会暂停自动回复。", "It never pauses when you reply yourself."),
    "not_paused": Advice(
        "现在没有因您亲自回复而暂停的会话（暂停 {minutes} 分钟）。",
        "No chat is silent because you replied yourself (which lasts {minutes} minutes).",
    ),
    "paused": Advice(
        "{chats} 个会话由您接手（您亲自回复过，或手动接管），最长还有 {minutes} 分钟不自动回复：{buyers}",
        "Chats that are yours because you replied there or took them over: {chats}, the last for {minutes} min more "
        "({buyers}).",
        "这是正常的；要马上恢复自动回复，就在会话列表中“交还”；想以后缩短，就修改暂停时间（0 为不暂停）。",
        "That is as it should be. To end it now, hand the chat back in the list of chats; to make it shorter from now "
        "on, change the pause (0: never pause).",
    ),
    "not_limited": Advice(
        "最近 24 小时没有消息因回复次数上限而未回复。", "No message met a limit of replies in the last 24 hours."
    ),
    "limited_before": Advice(
        "最近 24 小时有 {count} 条消息因当时的回复次数上限而未自动回复；该上限现已取消。",
        "Messages of the last 24 hours that were not answered since a limit of replies was met, which is lifted by "
        "now: {count}.",
        "需要时亲自回复这些买家。",
        "Reply to these buyers yourself if need be.",
    ),
    "buyer_limited": Advice(
        "最近 24 小时有 {buyer_messages} 条消息未自动回复：同一买家每小时最多 {buyer_limit} 次。",
        "Messages of the last 24 hours that were not answered since one buyer gets at most {buyer_limit} replies an "
        "hour: {buyer_messages}.",
        "需要时亲自回复；若上限太低，就修改 buyer_replies_per_hour（0 为不限）。",
        "Reply yourself if need be. If the limit is too low, change buyer_replies_per_hour (0: no limit).",
    ),
    "shop_limited": Advice(
        "最近 24 小时有 {shop_messages} 条消息未自动回复：本店每分钟最多 {shop_limit} 次"
        "（另有 {buyer_messages} 条因单个买家的上限）。",
        "Messages of the last 24 hours that were not answered since the shop replies at most {shop_limit} times a "
        "minute: {shop_messages} (and since one buyer had too many: {buyer_messages}).",
        "亲自回复这些买家；若上限太低，就修改 shop_replies_per_minute（0 为不限）。",
        "Reply to these buyers yourself. If the limit is too low, change shop_replies_per_minute (0: no limit).",
    ),
    "nothing_cooling": Advice(
        "最近 24 小时没有消息因规则冷却而未回复。", "No message met a rule's cool-down in the last 24 hours."
    ),
    "cooling": Advice(
        "最近 24 小时有 {count} 条消息因规则冷却而未回复，规则：{rules}",
        "Messages of the last 24 hours that were not answered since the rule had just spoken to that buyer: {count} "
        "({rules}).",
        "这是规则的设置；想缩短，就修改这些规则的冷却时间。",
        "That is how the rules are set. To shorten it, change the cool-down of these rules.",
    ),
    "sendings_well": Advice("最近 24 小时没有发送失败。", "No reply was refused or lost in the last 24 hours."),
    "sendings_refused": Advice(
        "最近 24 小时有 {count} 条回复没有发出或不确定；最后一条被闲鱼拒绝：{reason}",
        "Replies that were refused or uncertain in the last 24 hours: {count}. The site refused the last one: {reason}",
        "在消息列表中查看原因，修改回复内容（例如去掉联系方式）。",
        "Look at the reason in the list of messages, and change the reply (contact details, for instance).",
    ),
    "sendings_uncertain": Advice(
        "最近 24 小时有 {count} 条回复没有发出或不确定；"
        "最后一条没有得到闲鱼确认（{reason}），用同一编号重发后仍未确认。",
        "Replies that were refused or uncertain in the last 24 hours: {count}. The site did not confirm the last one "
        "({reason}), not even when it was sent again under the same number.",
        "在闲鱼中查看该会话，必要时亲自回复。",
        "Look at that chat on the site, and reply yourself if need be.",
    ),
    "nothing_overdue": Advice(
        "没有超过 {seconds} 秒仍未处理的消息。", "No message has waited longer than {seconds} s."
    ),
    "overdue": Advice(
        "最近 24 小时有 {count} 条消息超过 {seconds} 秒未处理，不会再自动回复。",
        "Messages of the last 24 hours that waited longer than {seconds} s: {count}. They get no automatic reply.",
        "请亲自回复这些买家。",
        "Reply to these buyers yourself.",
    ),
    "orders_well": Advice("没有等待您处理的订单。", "No order waits for you."),
    "orders_need_owner": Advice(
        "有 {count} 个订单需要您处理，否则不会继续发货。",
        "Orders that are not served before you do something: {count}.",
        "打开订单列表，只看“需处理”的订单；每个订单都写明原因和做法。",
        "Look at the list of orders that need you; each says why, and what to do.",
    ),
}
"""Every finding."""
