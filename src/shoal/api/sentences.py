"""The one table of what can go wrong: code, HTTP status, and a sentence in Chinese and English.

A code may carry a variant after a slash (``unknown_account/change``): another status or sentence for the same code, as
the compatible routes need it. The variant is never shown.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shoal.language.choice import Language
from shoal.xianyu.cookie_string import Flaw


@dataclass(frozen=True, slots=True)
class Problem:
    """One row. Only the params that a sentence names, and those in ``params``, are ever shown.

    ``words``: what a param that is a code means, in Chinese and English.
    """

    status: int
    zh: str
    en: str
    params: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def sentence(self, language: Language, params: Mapping[str, Any]) -> str:
        """The sentence for a person to read, filled in."""
        shown = {name: self._said(value, language) for name, value in params.items()}
        return string.Formatter().vformat(getattr(self, language.value), (), _Forgiving(shown))

    def _said(self, value: Any, language: Language) -> str:
        word = self.words.get(value) if isinstance(value, str) else None
        return _shown(value) if word is None else word[0 if language is Language.ZH else 1]

    def shown(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The params that may leave the server."""
        named = {name for text in (self.zh, self.en) for _, name, _, _ in string.Formatter().parse(text) if name}
        return {name: value for name, value in params.items() if name in named or name in self.params}


class _Forgiving(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


_COOKIE_FLAWS: dict[str, tuple[str, str]] = {
    Flaw.TOO_LONG: ("超过 64 KiB", "it is longer than 64 KiB"),
    Flaw.NO_PAIR: ("没有找到 名称=值", "no name=value was found"),
    Flaw.NO_EQUALS_SIGN: ("分号之间有一段没有等号", "a part between semicolons has no equals sign"),
    Flaw.BAD_NAME: ("有一个名称含有不允许的字符", "a name holds a character that cookies cannot carry"),
    Flaw.BAD_VALUE: ("有一个值含有换行、控制字符或分号", "a value holds a line break, control character or semicolon"),
    Flaw.UNB_NO_NUMBER: ("unb 不是数字", "unb is not a number"),
    Flaw.TWO_SELLERS: ("其中有两个不同的 unb，来自两个闲鱼号", "it holds two different unb, of two sellers"),
    Flaw.NOT_JSON: ("看起来是 JSON，但不完整", "it looks like JSON but is not"),
    Flaw.JSON_SHAPE: ("不是已知的 JSON 格式", "its JSON is in no known form"),
    Flaw.JSON_NO_TEXT: ("JSON 中有名称或值不是文字", "a name or value in the JSON is not text"),
    Flaw.OPEN_QUOTE: ("curl 命令中有引号没有闭合", "a quote in the curl command is not closed"),
    Flaw.CURL_WITHOUT_COOKIE: ("curl 命令中没有 Cookie", "the curl command carries no cookie"),
}


_WEAKNESSES: dict[str, tuple[str, str]] = {
    "common": ("它是常见的词或密码", "it is made of a common word or password"),
    "personal": (
        "它由用户名、邮箱或本软件的名字组成",
        "it is made of your name, your address or that of Shoal",
    ),
    "keyboard": ("它是键盘上相邻的键", "its keys lie side by side"),
    "repeated": ("它重复同一段", "it repeats itself"),
    "sequence": ("它是一段连续的字母或数字", "it is a run of letters or digits"),
    "date": ("它是一个日期或年份", "it is a date or a year"),
    "short": ("它太短", "it is too short"),
}

_RIGHTS: dict[str, tuple[str, str]] = {
    "read": ("查看", "read"),
    "reply": ("回复", "reply for"),
    "operate": ("操作", "operate"),
    "own": ("店主", "own"),
}

PROBLEMS: dict[str, Problem] = {
    # ── who asks ──
    "unauthenticated": Problem(401, "未授权访问", "Sign in first, and send the token as “Authorization: Bearer …”."),
    "wrong_login": Problem(
        401, "用户名或密码不正确，请重新输入", "The name or the password is not right; type them again."
    ),
    "right_missing": Problem(
        403,
        "这需要该账号的“{needed}”权限，而店主只给了您“{given}”权限；请联系店主",
        "This needs the right to {needed} this account; its owner lets you {given}. Ask the owner.",
        words=_RIGHTS,
    ),
    "right_missing/token": Problem(
        403,
        "这需要“{needed}”权限，而这个令牌只有“{given}”权限；请换用权限更大的令牌",
        "This needs the right to {needed}; this token may only {given}. Use a token of a wider scope.",
        words=_RIGHTS,
    ),
    "token_not_allowed": Problem(
        403,
        "API 令牌不能做这件事；请登录后再操作",
        "No API token may do this; sign in with your password.",
    ),
    "staff_owns_none": Problem(
        403,
        "员工不能添加自己的账号；请管理员改变您的角色，或由店主添加后共享给您",
        "Staff have no accounts of their own. Let an administrator change your role, or an owner share one with you.",
    ),
    "own_shop": Problem(409, "这是该用户自己的账号，无需共享", "It is that person's own account."),
    "too_many_staff": Problem(
        409,
        "一个账号最多共享给 {limit} 人",
        "An account is shared with {limit} people at most.",
    ),
    "too_many_tokens": Problem(
        409,
        "每人最多 {limit} 个有效的 API 令牌；请先删除不用的",
        "A person has {limit} API tokens at most; remove one that is not needed.",
    ),
    "totp_needed": Problem(
        401,
        "密码正确。请再输入验证器应用里的 6 位数字，或一个恢复码",
        "The password is right. Now type the six digits of your authenticator app, or a recovery code.",
    ),
    "wrong_totp": Problem(
        401,
        "验证码不正确或已用过。请等待下一个验证码；如果一直不对，请检查手机的时间",
        "This code is not right, or was used before. Wait for the next one; if none is right, look at your phone's "
        "clock.",
    ),
    "wrong_totp/again": Problem(
        403,
        "验证码不正确或已用过，没有任何修改。请等待下一个验证码",
        "This code is not right, or was used before; nothing was changed. Wait for the next one.",
    ),
    "totp_on": Problem(409, "两步验证已开启", "The second factor is on already."),
    "totp_off": Problem(409, "两步验证未开启", "The second factor is off."),
    "own_totp": Problem(
        409,
        "自己的两步验证请在“账户”里用密码和验证码关闭",
        "Switch your own second factor off by your password and a code of it.",
    ),
    "own_password": Problem(
        409,
        "自己的密码请在“我的账户”里用当前密码修改；忘记了可在服务器上运行 shoal users reset-password",
        "Change your own password by the current one; if you forgot it, run shoal users reset-password on the machine.",
    ),
    "totp_not_begun": Problem(
        409, "请先开始设置两步验证，再输入验证码", "Begin to set up the second factor first, then tell a code of it."
    ),
    "foreign_origin": Problem(
        403,
        "请求不是来自本控制台的页面。请直接打开控制台的地址；如果使用反向代理，请让它原样转发 Host",
        "This did not come from a page of this console. Open the console by its own address; a reverse proxy must pass "
        "the Host header on as it is.",
    ),
    "plain_http": Problem(
        403,
        "为保护密码，不能从其他机器用未加密的 HTTP 登录。请通过 HTTPS 打开；"
        "仅在可信网络中，可设置 SHOAL_ALLOW_PLAIN_HTTP=true",
        "To protect your password, signing in from another machine needs HTTPS. Only in a network that you trust set "
        "SHOAL_ALLOW_PLAIN_HTTP=true.",
    ),
    "unknown_host": Problem(
        421,
        "不能通过“{host}”这个域名访问。若这是您自己的域名，请把它加入设置 SHOAL_ALLOWED_HOSTS，然后重新启动",
        "The server is not to be reached under the name “{host}”. If that name is yours, add it to the setting "
        "SHOAL_ALLOWED_HOSTS and start the server again.",
    ),
    "forbidden": Problem(403, "需要管理员权限", "Only the administrator may do this."),
    "registration_closed": Problem(
        403,
        "未开放注册，请联系管理员开通账号",
        "Registration is closed. Ask the administrator for an account.",
    ),
    "bad_password": Problem(
        422,
        "密码不可用：新密码需要 8 到 1024 个字符",
        "This password cannot be used: a new one has 8 to 1024 characters.",
    ),
    "weak_password": Problem(
        422,
        "这个密码容易被猜到：{why}。建议用几个互不相关的词连成一句，或让密码管理器生成一个",
        "This password is soon guessed: {why}. Take some words that have nothing to do with each other, or let a "
        "password manager make one.",
        words=_WEAKNESSES,
    ),
    "wrong_password": Problem(403, "当前密码不正确，没有任何修改", "That is not your password; nothing was changed."),
    "too_many_attempts": Problem(
        429,
        "尝试太频繁，请在 {retry_after} 秒后再试",
        "There were too many attempts; try again in {retry_after} s.",
    ),
    "too_many_calls": Problem(
        429,
        "请求太频繁，请在 {retry_after} 秒后再试",
        "There were too many calls; call again in {retry_after} s.",
    ),
    "too_many_requests": Problem(
        429,
        "同时进行的请求太多，请在 {retry_after} 秒后再试",
        "Too many requests from your address are under way; call again in {retry_after} s.",
    ),
    "too_many_streams": Problem(
        429,
        "打开的页面或事件流已达 {limit} 个，请先关闭一些",
        "You have {limit} pages and streams of events open; close some of them first.",
    ),
    "too_much_work": Problem(
        429,
        "您已有 {limit} 项工作在排队，请在 {retry_after} 秒后再试",
        "You have {limit} pieces of work waiting already; come again in {retry_after} s.",
    ),
    "server_busy": Problem(
        503,
        "服务器正忙，请在 {retry_after} 秒后再试",
        "The server has much to do at the moment; come again in {retry_after} s.",
    ),
    "client_left": Problem(499, "您已离开，工作已停止", "You left before the work was done, so it was stopped."),
    "search_takes_long": Problem(
        503,
        "搜索用时太长，已停止；请使用更具体的条件，或只搜索一家店铺",
        "The search took too long and was stopped. Look in fewer shops, or in a shorter time.",
    ),
    "sheet_too_costly": Problem(
        422,
        "读取这个文件用时太长，已停止。请另存为新的 .xlsx，只保留规则表格",
        "The file took too long to read, so that was given up. Save just the table of rules as a new .xlsx.",
    ),
    "too_many_cells": Problem(
        422,
        "表格中的单元格或文字太多（最多 {limit}）",
        "The table has too many cells or texts ({limit} at most).",
    ),
    "too_many_pictures": Problem(
        429,
        "今天上传的图片太多，请在 {retry_after} 秒后再试",
        "You have brought many pictures today; go on in {retry_after} s.",
    ),
    "too_many_registrations": Problem(
        429,
        "从您的网络注册的人太多，请在 {retry_after} 秒后再试",
        "Many have registered from your network; come again in {retry_after} s.",
    ),
    "unknown_token": Problem(
        404, "没有这个 API 令牌，可能已被删除", "There is no such API token; perhaps it was removed."
    ),
    "bad_username": Problem(
        422,
        "用户名不可用：需要 1 到 64 个字符，首尾无空格，不能含 @ / \\ ? # %、控制字符和看不见的字符",
        "This user name cannot be used: 1 to 64 characters, no outer blanks, none of @ / \\ ? # %, none unseen.",
    ),
    "bad_email": Problem(422, "这不是一个邮箱地址，请检查", "This is no e-mail address; check it."),
    "username_taken": Problem(409, "该用户名已被使用，请换一个", "That user name is taken; choose another one."),
    "email_taken": Problem(409, "该邮箱已被使用，请换一个", "That address is taken; use another one."),
    # ── the keys of the secrets ──
    "keys_from_setting": Problem(
        409,
        "密钥来自 SHOAL_SECRET_KEY，服务器不能修改它。请把新密钥写在旧密钥之前（新,旧），重启后服务器会自动重新加密；"
        "`shoal keys status` 显示不再需要旧密钥时，再把它删掉",
        "The keys stand in SHOAL_SECRET_KEY, which the server cannot write. Put a new key before the old one (new,old) "
        "and start again: everything is then sealed anew while it serves. Take the old one away once "
        "`shoal keys status` says that nothing needs it.",
    ),
    "rotation_under_way": Problem(
        409,
        "上一次更换密钥尚未完成（还有 {values} 个值使用旧密钥），请稍后再试",
        "The last rotation has not ended: {values} values are under an older key. Try again when they are done.",
    ),
    "old_key_needed": Problem(
        409,
        "还有 {values} 个值使用旧密钥，现在删除它会使这些值丢失。请等待重新加密完成",
        "{values} values are still sealed with an old key and would be lost without it. Wait until none is.",
    ),
    "no_old_key": Problem(409, "只有一个密钥，没有旧密钥可以删除", "There is one key only, and none to forget."),
    "key_file_unwritable": Problem(
        503,
        "密钥文件无法写入，没有任何变化。请检查数据目录的磁盘空间和权限",
        "The key file cannot be written, and nothing was changed. Look at the disk and the permissions of the data "
        "directory.",
    ),
    "key_file_gone": Problem(
        503,
        "密钥文件不见了，没有任何变化。请先不要停止服务器（密钥只剩在它的内存里），把文件从备份放回原处后再试",
        "The key file is gone, and nothing was done. Do not stop the server, whose memory holds the last copy of the "
        "key: put the file back from your backup, then try again.",
    ),
    "key_file_unusable": Problem(
        503,
        "密钥文件无法读取，或其他用户也能读取，没有任何变化。请先修好（chmod 600）再试，修好之前不要重启服务器",
        "The key file cannot be read, or others can read it, and nothing was done. Mend it (chmod 600) and try again; "
        "do not restart the server before.",
    ),
    "key_file_changed": Problem(
        503,
        "密钥文件在启动之后被修改过，没有任何变化。请重启服务器后再试",
        "The key file was changed since the server started, and nothing was done. Start the server again first.",
    ),
    "unknown_person": Problem(404, "没有这个用户，可能已被删除", "There is no such person; perhaps they were removed."),
    "unknown_session": Problem(404, "没有这个登录，可能已经结束", "There is no such sign-in; perhaps it is over."),
    "unknown_invitation": Problem(
        404,
        "这个链接无效：已被使用、撤销或过期。请让管理员重新发一个",
        "This link is over: it was used, revoked or too old. Ask the administrator for a new one.",
    ),
    "last_admin": Problem(
        409,
        "这是最后一个管理员，没有任何修改。请先让另一个人成为管理员",
        "Nobody else could administer the server then; nothing was changed. Make somebody else an administrator first.",
    ),
    "person_leaving": Problem(409, "这个用户正在删除", "That person is just being removed."),
    "owns_shops": Problem(
        409,
        "这个用户有自己的店铺，不能改为员工。请先移走店铺：{shops}",
        "That person has shops and so cannot become staff. Remove the shops first: {shops}",
    ),
    # ── which account ──
    "unknown_account": Problem(404, "没有这个账号，请检查账号ID", "There is no such account; check its id."),
    "unknown_account/change": Problem(403, "无权限操作该Cookie", "There is no such account among yours to change."),
    "unknown_account/read": Problem(403, "无权限访问该Cookie", "There is no such account among yours to look at."),
    "unknown_account/batch": Problem(
        404,
        "这些账号不存在或不属于您，没有任何修改：{ids}",
        "There are no such accounts among yours, and nothing was changed: {ids}",
    ),
    "unknown_account/rules": Problem(404, "账号不存在或无权限", "There is no such account among yours."),
    "bad_account_id": Problem(
        422,
        "账号ID不可用：需要 1 到 64 个字符，首尾无空格，不能含 / ? # %、控制字符和看不见的字符，也不能是 . 或 ..",
        "This account id cannot be used: 1 to 64 characters, no outer blanks, none of / ? # %, no control or unseen "
        "characters, not . or ..",
    ),
    "reserved_account_id": Problem(
        422,
        "账号ID不能是 details、check、status 或 batch，请换一个",
        "details, check, status and batch are reserved; choose another account id.",
    ),
    "account_exists": Problem(409, "该账号ID已存在，请换一个", "That account id is taken; choose another one."),
    "account_exists/foreign": Problem(400, "该Cookie ID已被其他用户使用", "Somebody else uses that account id."),
    "account_vanishing": Problem(
        409,
        "该账号正在删除，请稍后再试",
        "That account is just being deleted; try again in a moment.",
    ),
    "removed_since": Problem(
        409,
        "这次修改之前已经完成（批量修改：至少完成了一部分），之后有账号被删除；无需重试，结果可用操作编号查询",
        "This change, or at least a part of the batch, was made before, and an account has been removed since; there "
        "is nothing to repeat. The op id tells what it did.",
    ),
    "duplicate_unb": Problem(
        409,
        "这个闲鱼号已经以账号“{id}”添加过，请更新那个账号的 Cookie，不要重复添加",
        "This seller already stands under the account “{id}”; update its cookie instead of adding it twice.",
    ),
    "unknown_number": Problem(
        404,
        "没有账号占用这个闲鱼号",
        "No shop holds that seller's number.",
    ),
    "other_holder": Problem(
        409,
        "占用闲鱼号 {number} 的账号已经变了，未做任何更改；请刷新后再试",
        "Another shop holds the number {number} by now; nothing was changed. Look again first.",
    ),
    "too_many_shops": Problem(
        409,
        "每人最多添加 {limit} 个账号，您已达到上限；请先删除不用的账号，或请管理员提高上限（SHOAL_SHOPS_PER_OWNER）",
        "One person may have at most {limit} shops here, and you have that many. Remove one you do not need, or ask "
        "the administrator for a higher limit (SHOAL_SHOPS_PER_OWNER).",
    ),
    "other_unb": Problem(
        409,
        "这个 Cookie 属于另一个闲鱼号（应为 {expected}，实为 {found}），请换用本账号的 Cookie，或另外添加账号",
        "This cookie belongs to another seller (expected {expected}, found {found}); take this account's own cookie, "
        "or add another account.",
    ),
    "stale_generation": Problem(
        412,
        "账号已被修改，您看到的不是最新内容。请刷新后再改",
        "The account has changed since you read it. Look at it again, then repeat your change.",
        params=("id", "generation"),
    ),
    "stale_generation/busy": Problem(
        409,
        "账号同时在别处被修改，请重试",
        "The account was changed elsewhere at the same time; try again.",
        params=("id",),
    ),
    "conflict": Problem(409, "与当前状态冲突，请刷新后再试", "This no longer fits; look again, then repeat it."),
    "unknown_entry": Problem(
        404, "没有这条修改记录，请刷新记录列表", "There is no such change in your history; read the history again."
    ),
    "not_undoable": Problem(
        422,
        "这条修改不能撤销：Cookie 或代理的更换、账号的添加和删除、重新连接都没有可以恢复的旧值",
        "This cannot be undone: of a new cookie or proxy, an account added or removed, or a reconnection no old value "
        "is kept.",
    ),
    "not_undoable/gone": Problem(
        422,
        "这个账号已被删除，它的修改不能撤销",
        "The account of this change was removed, and so its changes cannot be undone.",
    ),
    "undo_conflict": Problem(
        409,
        "以下内容之后又被修改过：{fields}。未做任何修改，请核对后手动更改",
        "This was changed again since: {fields}. Nothing was changed; look at it, then change it by hand.",
    ),
    # ── what was sent ──
    "invalid": Problem(422, "提交的内容不可用，请检查后重试", "What was sent cannot be used; check it and try again."),
    "invalid_body": Problem(422, "提交的内容格式不对", "What was sent has the wrong shape."),
    "bad_body": Problem(
        400,
        "提交的内容无法读取，请以 UTF-8 编码的 JSON 提交",
        "What was sent cannot be read; send JSON in UTF-8.",
    ),
    "body_too_large": Problem(
        413,
        "提交的内容太大，最多 {limit} 字节，请分批提交",
        "What was sent is too large: at most {limit} bytes. Send it in parts.",
    ),
    "empty_secret": Problem(
        422,
        "{field} 不能为空。页面上不显示原值：不修改就不要提交这一项",
        "{field} must not be empty. Its value is never shown: leave it out to keep it.",
    ),
    "malformed_cookie": Problem(
        422,
        "Cookie 无法识别（{reason}），请从浏览器重新复制整段 Cookie",
        "The cookie cannot be read ({reason}); copy the whole of it from the browser again.",
        words=_COOKIE_FLAWS,
    ),
    "cookie_incomplete": Problem(
        422,
        "Cookie 不完整，缺少 {missing}。请登录闲鱼后重新复制整段 Cookie",
        "The cookie lacks {missing}. Sign in to the site, then copy the whole cookie again.",
    ),
    "nothing_given": Problem(
        400, "没有要修改的内容，请至少提交一项", "There is nothing to change; send at least one field."
    ),
    "text_too_long": Problem(422, "文字太长，最多 {limit} 个字符", "The text is too long: at most {limit} characters."),
    "not_a_flag": Problem(422, "{field} 只能是 true 或 false", "{field} is true or false."),
    "unknown_setting": Problem(422, "没有 {field} 这一项设置", "There is no setting {field}."),
    "bad_pause_duration": Problem(
        400,
        "暂停时间必须在0-60分钟之间（0表示不暂停）",
        "The pause is 0 to 60 minutes (0: never pause).",
    ),
    "bad_debounce": Problem(
        422, "合并等待时间必须在 0 到 30 秒之间", "The wait for the end of a burst is 0 to 30 seconds."
    ),
    "bad_proxy": Problem(
        422,
        "代理地址不可用，格式为 http://用户名:密码@主机:端口 或 socks5://…（没有密码时可省略用户名和密码）",
        "The proxy cannot be used ({reason}). It looks like http://user:password@host:port or socks5://…",
    ),
    "masked_proxy": Problem(
        422,
        "代理的用户名和密码不会显示：不修改就不要提交 proxy，要修改请填写完整地址",
        "A proxy is shown without its user name and password: leave proxy out to keep it, or send the whole address.",
    ),
    "bad_reply_limit": Problem(
        422,
        "{field} 必须是 0 到 {limit} 的整数（0 表示不限，留空表示使用服务器设置）",
        "{field} is a whole number from 0 to {limit} (0: no limit; null: the server's setting).",
    ),
    "unknown_buyer": Problem(
        422,
        "还不知道这个会话的买家是谁，请同时提交 to_user_id",
        "Nobody knows yet who the buyer of this chat is; send to_user_id as well.",
    ),
    "account_disabled": Problem(
        409, "账号已停用，没有发送。请先启用", "The account is switched off; nothing was sent. Switch it on first."
    ),
    "not_connected": Problem(
        409,
        "账号当前未连接（{state} {reason}），没有发送。请查看诊断，或稍后重试",
        "The account is not connected now ({state} {reason}); nothing was sent. Look at its diagnosis, or try again "
        "soon.",
    ),
    "not_sent": Problem(
        409,
        "连接在消息发出之前断开了（{reason}），没有发送，请稍后重试",
        "The connection ended before the message left ({reason}); nothing was sent. Try again soon.",
    ),
    "bad_item_id": Problem(422, "商品ID只能是 1 到 64 位字母或数字", "An item id has 1 to 64 letters or digits."),
    "unknown_item": Problem(404, "该商品还没有设置", "Nothing is set for that item."),
    "no_reply": Problem(
        404,
        "未找到匹配的回复规则且未设置默认回复",
        "No rule answers this, and there is no default reply, or the account is off.",
    ),
    "said_once": Problem(
        404, "该对话已使用默认回复，不再重复回复", "This chat has had the default reply, which is given once."
    ),
    "bad_moment": Problem(
        422,
        "时间应为 RFC 3339 格式，例如 2026-01-02T03:04:05+08:00",
        "A moment looks like 2026-01-02T03:04:05+08:00.",
    ),
    "unknown_item_reply": Problem(404, "商品回复不存在", "That item has no reply."),
    "empty_item_reply": Problem(400, "回复内容不能为空", "The reply must not be empty."),
    "empty_keyword": Problem(400, "关键词不能为空", "A keyword must not be empty."),
    "duplicate_keyword": Problem(
        400,
        "关键词 '{keyword}' （通用关键词） 在当前提交中重复",
        "The keyword '{keyword}' (for every item) stands twice in what was sent.",
    ),
    "duplicate_keyword/item": Problem(
        400,
        "关键词 '{keyword}' （商品ID: {item}） 在当前提交中重复",
        "The keyword '{keyword}' (item {item}) stands twice in what was sent.",
    ),
    "image_keyword_exists": Problem(
        400,
        "关键词 '{keyword}' 已是图片关键词，请先删除图片关键词，或换一个关键词",
        "'{keyword}' is already a keyword with a picture; delete that one first, or choose another keyword.",
    ),
    "keyword_too_long": Problem(
        422,
        "关键词 '{keyword}' 或其回复太长：关键词最多 {keyword_limit} 个字符，回复最多 {reply_limit} 个字符",
        "The keyword '{keyword}' or its reply is too long: at most {keyword_limit} and {reply_limit} characters.",
    ),
    "too_many_keywords": Problem(
        422, "关键词太多：每个账号最多 {limit} 条", "Too many keywords: at most {limit} for one account."
    ),
    "bad_keyword_index": Problem(400, "关键词索引无效", "There is no keyword at that place; look at the list again."),
    "unknown_rule": Problem(404, "这条关键词已不存在，请刷新列表", "That keyword is gone; look at the list again."),
    "rule_exists": Problem(
        409,
        "已有相同关键词和商品的规则（'{keyword}'）。请修改那条规则，或给其中一条加上时间、优先级等条件",
        "Another rule has the same word and item ('{keyword}'). Change that one, or give one of them more conditions.",
    ),
    "too_many_words": Problem(
        422, "一条规则最多 {limit} 个词，请分成几条", "A rule has at most {limit} words; make several rules of it."
    ),
    "too_many_words_in_all": Problem(
        422,
        "每个账号的所有规则合计最多 {limit} 个词，请删减",
        "All rules of an account have at most {limit} words together; remove some.",
    ),
    "too_many_items": Problem(
        422,
        "一条规则最多绑定 {limit} 个商品；不绑定商品则对所有商品生效",
        "A rule names at most {limit} items; one without items holds for all.",
    ),
    "bad_priority": Problem(
        422, "优先级必须在 -{limit} 到 {limit} 之间", "A priority is between -{limit} and {limit}."
    ),
    "too_many_spans": Problem(422, "一条规则最多 {limit} 个时间段", "A rule has at most {limit} spans of hours."),
    "bad_schedule": Problem(
        422,
        "时间段不可用：星期是 1（周一）到 7 中的几天且不重复，时间形如 09:30，开始与结束不能相同，"
        "全天请写 00:00 到 24:00",
        "A span of hours cannot be used: weekdays are some of 1 (Monday) to 7, each once, times look like 09:30, "
        "and the end is not the start (a whole day is 00:00 to 24:00).",
    ),
    "too_many_parts": Problem(422, "一条规则最多回复 {limit} 条消息", "A rule answers with at most {limit} messages."),
    "bad_part": Problem(
        422,
        "每条消息要么是文字，要么是一张图片，不能为空，也不能两者都有",
        "Each message is either a text or a picture: neither empty nor both.",
    ),
    "bad_image_url": Problem(
        422,
        "图片地址不可用：请先上传图片，或使用 http(s) 地址",
        "This is no address of a picture: upload the picture first, or use an http(s) address.",
    ),
    "bad_delay": Problem(
        422,
        "延迟是 0 到 {limit} 秒之间的范围，先写最短，再写最长",
        "A delay is a range within 0 to {limit} seconds, the shortest first.",
    ),
    "bad_cooldown": Problem(422, "冷却时间必须在 0 到 {limit} 秒之间", "A cool-down is 0 to {limit} seconds."),
    "bad_pattern": Problem(
        422,
        "正则表达式“{pattern}”不可用（{why}）。请检查括号是否成对；不支持环视 (?=…) 和反向引用 \\1。"
        "只想匹配普通文字时，请改用“包含”",
        "The regular expression “{pattern}” cannot be used ({why}). Look at its brackets; look-around (?=…) and back "
        "references \\1 are not known here. To find plain text, choose “contains” instead.",
    ),
    "too_many_patterns": Problem(
        422,
        "每个账号最多 {limit} 个正则表达式，请合并，或改用“包含”",
        "At most {limit} regular expressions for one account; join some by |, or choose “contains” instead.",
    ),
    "patterns_too_large": Problem(
        422,
        "这些正则表达式合起来太大，请减少 {{…}} 里的次数和 .* 的使用，或改用“包含”",
        "The regular expressions are too large together: use smaller counts in {{…}} and fewer .*, or choose "
        "“contains”.",
    ),
    "order_incomplete": Problem(
        422,
        "排序时必须列出每条规则的 id，各一次。请刷新列表后重试",
        "The order names the id of every rule once; read the list again, then try once more.",
    ),
    "order_against_priority": Problem(
        422,
        "规则“{keyword}”（优先级 {priority}）不能排在“{other}”（优先级 {other_priority}）之前，请先修改优先级",
        "The rule “{keyword}” (priority {priority}) cannot come before “{other}” (priority {other_priority}); change "
        "the priority first.",
    ),
    "bad_rule_id": Problem(
        422,
        "规则的 id 只能含 1 到 64 个字母、数字或 _ -；新规则不用写 id",
        "The id of a rule has 1 to 64 letters, digits or _ -; a new rule needs none.",
    ),
    "duplicate_rule_id": Problem(422, "同一个规则 id 出现了两次", "The id of a rule stands twice."),
    "bad_timezone": Problem(
        422,
        "时区不可用，请使用如 Asia/Shanghai 的名称；留空即为上海时间",
        "This is no time zone: use a name such as Asia/Shanghai, or leave it empty for that one.",
    ),
    "bad_picture": Problem(
        422,
        "无法识别这张图片，请使用 JPEG、PNG、WebP 或 GIF，边长不超过 16384 像素",
        "This picture cannot be used: it is a JPEG, PNG, WebP or GIF, and no side is longer than 16384 pixels.",
    ),
    "keyword_exists": Problem(
        400,
        "关键词 '{keyword}' 已存在，请先删除，或换一个关键词",
        "The keyword '{keyword}' exists already; delete it first, or choose another one.",
    ),
    "picture_too_large": Problem(
        422, "图片太大，最多 {limit} 字节", "The picture is too large: at most {limit} bytes."
    ),
    "picture_missing": Problem(404, "没有这张图片，请重新上传", "There is no such picture here; upload it again."),
    # ── files with tables ──
    "not_xlsx": Problem(
        400,
        "无法读取这个文件：需要没有密码的 .xlsx 文件。旧的 .xls 或 CSV 请在 Excel 中另存为 .xlsx",
        "This file cannot be read: it is to be an .xlsx without a password. Save an old .xls or a CSV as .xlsx first.",
    ),
    "sheet_too_large": Problem(
        400,
        "文件解压后太大，最多 {limit} MiB。请只保留需要的工作表和列",
        "The file is too large when unpacked: at most {limit} MiB. Keep only the sheet and columns that are needed.",
    ),
    "too_many_sheet_rows": Problem(
        400,
        "行数太多：最多 {limit} 行有内容，并且只看前 {rows} 行。请删去多余的行，空行也要删",
        "There are too many rows: at most {limit} may say anything, and only the first {rows} are looked at. Remove "
        "the others, empty ones too.",
    ),
    "no_rows": Problem(
        400,
        "文件中没有任何有内容的行，没有导入",
        "No row of the file says anything; nothing was imported.",
    ),
    "missing_columns": Problem(
        400,
        "缺少列：{missing}。第一行应是列名；文件中的列名是：{found}",
        "Columns are missing: {missing}. The first row names the columns; in this file they are: {found}.",
    ),
    "duplicate_column": Problem(
        400, "列“{column}”出现了两次，请只保留一列", "The column “{column}” stands twice; keep one of them."
    ),
    "bad_rows": Problem(
        400,
        "没有导入任何内容，文件中有 {count} 处不可用。{said}",
        "Nothing was imported. Places in the file that cannot be used: {count}. {said}",
        params=("rows",),
    ),
    "cell_formula": Problem(
        400,
        "单元格是公式。请复制后用“粘贴为值”替换它",
        "The cell is a formula. Copy it and paste it as a value.",
    ),
    "cell_no_text": Problem(
        400,
        "单元格不是文本（可能是日期、百分比、错误值或超过 15 位的数字）。请把格式改为“文本”，再重新输入",
        "The cell is no text (a date, a percentage, an error, or a number of more than 15 digits). Format it as text, "
        "then type it again.",
    ),
    "cell_match_mode": Problem(
        400,
        "匹配方式写成：包含、完全相同、完整单词 或 正则",
        "The way to match is one of: contains, exactly, whole word, regular expression.",
    ),
    "cell_word_mode": Problem(400, "写成：任意一个 或 全部", "Write: any of them, or all of them."),
    "cell_priority": Problem(400, "优先级应为整数", "A priority is a whole number."),
    "cell_schedule": Problem(
        400,
        "时段写成 1-5 09:00-18:00（1 是周一），每行一个",
        "Hours look like 1-5 09:00-18:00 (1 is Monday), one span per line.",
    ),
    "cell_delay_seconds": Problem(400, "延迟写成 2 或 1-3（秒）", "A delay looks like 2 or 1-3 (seconds)."),
    "cell_cooldown_seconds": Problem(400, "冷却应为整数（秒）", "A cool-down is a whole number of seconds."),
    "cell_active": Problem(400, "写成：是 或 否", "Write: yes, or no."),
    "bad_rule_shape": Problem(400, "这一项的格式不对", "This field has the wrong shape."),
    "bad_rules_file": Problem(
        400,
        "这不是规则文件。请选择从规则页面导出的 .json 或 .xlsx 文件",
        "This is no file of rules ({why}). Choose a .json or .xlsx that was exported from a page of rules.",
    ),
    "cells_merged": Problem(
        400,
        "单元格 {cells} 是合并的。请取消合并，并在每一行填写",
        "The cells {cells} are merged. Unmerge them, and fill in each row.",
    ),
    "duplicate_row": Problem(
        400,
        "“{keyword}”与第 {first} 行的关键词和商品相同",
        "“{keyword}” has the same keyword and item as row {first}.",
    ),
    "file_not_made": Problem(
        503,
        "文件未能生成，请检查服务器的磁盘空间后重试",
        "The file could not be made; look at the server's disk space, then try again.",
    ),
    "unknown_qr_login": Problem(
        404,
        "没有这次扫码登录，或它已结束太久，请重新获取二维码",
        "There is no such QR login any more; begin another one.",
    ),
    "too_many_qr_logins": Problem(
        409,
        "进行中的扫码登录太多（每人最多 {limit} 个），请先取消或等待",
        "Too many QR logins are under way (at most {limit} for one person); cancel one, or wait.",
    ),
    "qr_login_failed": Problem(
        503,
        "闲鱼没有给出可用的回答，请稍后重新获取二维码",
        "The site gave no usable answer; begin another login later.",
    ),
    "qr_answer_lost": Problem(
        503,
        "闲鱼的回答在途中丢失，可能已确认登录但未收到，请重新获取二维码再扫一次",
        "The site's answer was lost on the way, perhaps that of a confirmed login; begin another one and scan again.",
    ),
    "proxy_unreachable": Problem(503, "代理没有回应，请检查代理", "The proxy does not answer; look at it."),
    "proxy_refused": Problem(
        503,
        "代理拒绝连接，请检查用户名、密码和有效期",
        "The proxy refuses; look at its user name, password and expiry.",
    ),
    "proxy_not_allowed": Problem(
        503,
        "代理在本机或内部网络中，服务器不允许连接。请换一个公网代理，或请管理员设置 SHOAL_ALLOW_PRIVATE_TARGETS",
        "The proxy lies in this machine or its networks, where this server connects to nothing. Set a public one, or "
        "let the administrator allow its network by SHOAL_ALLOW_PRIVATE_TARGETS.",
    ),
    "proxy_untrusted": Problem(
        503,
        "代理后面的服务器不能证明自己是闲鱼，请换一个代理",
        "What is behind the proxy cannot prove to be the site; set another one.",
    ),
    "proxy_no_route": Problem(503, "代理无法连到闲鱼，请检查代理", "The proxy does not reach the site; look at it."),
    "batch_too_large": Problem(
        422,
        "一次最多修改 {limit} 个账号，请分批提交",
        "At most {limit} accounts at once; send them in parts.",
    ),
    "bad_cursor": Problem(
        422, "翻页标记无效，请从头读取列表", "This cursor is not ours; read the list from its start."
    ),
    "bad_span": Problem(
        422,
        "时间范围无效：起点不能在将来，并且最多分成 {limit} 段",
        "This stretch of time cannot be used: it begins in the past, and has at most {limit} spans.",
    ),
    "bad_if_match": Problem(
        422, 'If-Match 应为读取时得到的 ETag，例如 "g12"', 'If-Match is the ETag that was read, such as "g12".'
    ),
    "bad_if_match/batch": Problem(
        422, "批量修改没有 ETag，请去掉 If-Match", "A batch has no ETag of its own; leave If-Match out."
    ),
    "bad_idempotency_key": Problem(
        422,
        "Idempotency-Key 只能含 1 到 128 个字母、数字或 . _ ~ -",
        "An Idempotency-Key has 1 to 128 letters, digits or . _ ~ -",
    ),
    "idempotency_mismatch": Problem(
        422,
        "这个 Idempotency-Key 已用于另一个请求（地址相同，内容不同）。请为新的请求换一个新的 Key",
        "This Idempotency-Key belongs to another request to the same path, with other contents. Take a new key for a "
        "new request.",
    ),
    # ── orders ──
    "unknown_order": Problem(404, "没有这个订单", "There is no such order."),
    "unknown_act": Problem(404, "该订单没有这一步（{act}）", "That was never due for this order ({act})."),
    "order_settled": Problem(
        409,
        "订单已了结（{status}），不会再处理。需要时请亲自给买家发消息",
        "The order is settled ({status}) and is not served any more. Write to the buyer yourself if need be.",
    ),
    "order_refunding": Problem(
        409,
        "买家正在申请退款，请先在闲鱼处理",
        "The buyer asks for the money back; decide about that on the site first.",
    ),
    "nothing_to_serve": Problem(
        409,
        "该订单现在没有可处理的步骤（{status}）",
        "There is nothing to do for this order as it stands ({status}).",
    ),
    "act_done": Problem(
        409, "这一步已经完成（{act}），不会重复", "That was done ({act}) and is never done a second time."
    ),
    "act_under_way": Problem(
        409, "这一步正在进行（{act}），请稍后查看", "That is under way ({act}); look again in a moment."
    ),
    "act_settled": Problem(409, "这一步已有结论（{act}）", "That is settled already ({act})."),
    # ── the store ──
    "lock_timeout": Problem(
        503,
        "账号正忙：“{operation}”已执行 {held_seconds} 秒。未做任何修改，请稍后重试",
        "The account is busy: “{operation}” has been at it for {held_seconds} s. Nothing was changed; try again soon.",
    ),
    "not_applied": Problem(
        503,
        "数据库未能保存，未做任何修改，请稍后重试",
        "The database could not store this. Nothing was changed; try again soon.",
    ),
    "store_degraded": Problem(
        503,
        "数据库暂时只读（例如磁盘已满），未做任何修改；管理员处理后会自动恢复，请稍后重试",
        "The database is read-only for now (its disk may be full), and nothing was changed. Once the administrator has "
        "mended that it goes on by itself; try again then.",
    ),
    "outcome_unknown": Problem(
        503,
        "数据库没有回应，暂时不知道修改是否已保存。请稍后用操作编号查询结果，不要直接重复",
        "The database has not answered, so nobody knows yet whether this was stored. Look the operation up by its id "
        "before you repeat it.",
    ),
    "picture_not_stored": Problem(
        503,
        "图片未能保存，未做任何修改，请检查磁盘空间后重试",
        "The picture could not be stored. Nothing was changed; look at the disk space, then try again.",
    ),
    "store_error": Problem(
        503,
        "数据库暂时不可用，请稍后重试",
        "The database cannot be used at the moment; try again soon.",
    ),
    # ── the rest ──
    "temporary_failure": Problem(503, "暂时失败，请稍后重试", "This failed for now; try again soon."),
    "needs_owner": Problem(409, "需要您先处理该账号", "This account needs you to act first."),
    "not_found": Problem(404, "没有这个地址，请检查路径", "There is nothing at this path; check it."),
    "method_not_allowed": Problem(405, "该地址不支持这种请求方法", "This path does not know that method."),
    "internal_error": Problem(
        500,
        "服务器内部错误，请重试；若再次出现，请查看服务器日志",
        "Something went wrong inside the server. Try again; if it happens again, look into the server's log.",
    ),
}
"""Every code that an answer may carry."""
