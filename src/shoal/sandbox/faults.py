"""Everything that can fail on the site, on demand: for one account or all, a number of times, or until a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from shoal.sandbox.clock import Clock

API_NAMES: Final[dict[str, str]] = {
    "mtop.taobao.idlemessage.pc.login.token": "token",
    "mtop.taobao.idlemessage.pc.loginuser.get": "loginuser",
    "mtop.taobao.idle.pc.detail": "detail",
    "mtop.idle.web.xyh.item.list": "items",
    "mtop.taobao.idle.logistic.consign.dummy": "consign",
    "mtop.idle.groupon.activity.seller.freeshipping": "freeshipping",
    "mtop.idle.web.trade.order.detail": "order",
    "mtop.idle.web.user.page.nav": "nav",
    "mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get": "gaia",
    "hasLogin.do": "haslogin",
    "upload.api": "upload",
    "qrcode/generate.do": "qr_generate",
    "qrcode/query.do": "qr_query",
    "login_token/login.do": "qr_token",
    "normal_validate.htm": "face_page",
    "photoVerify/check.do": "face_check",
    "silentHasLogin.do": "silent",
    "setLoginSettings.do": "set_login",
    "queryLoginSettings.do": "query_login",
    "im": "message_page",
    "/reg": "reg",
    "/!": "heartbeat",
    "/r/SyncStatus/ackDiff": "ackdiff",
    "/r/SyncStatus/getState": "getstate",
    "/r/MessageSend/sendByReceiverScope": "send",
    "/r/SingleChatConversation/create": "create",
    "/r/MessageManager/listUserMessages": "history",
    "/r/Conversation/listNewestPagination": "conversations",
    "/r/MessageStatus/read": "read",
    "/r/MessageManager/recallMessage": "recall",
}
"""short names of the calls, for the faults' option ``which``"""

KINDS: Final[dict[str, int | None]] = {
    "token_expired": 1,
    "session_expired": None,
    "risk_control": None,
    "token_refused": None,
    "connect_limit": None,
    "close": None,
    "silent_zombie": None,
    "duplicate_push": 1,
    "batch_push": 1,
    "undecodable_push": 1,
    "delay": None,
    "send_refused": None,
    "upload_refused": None,
    "send_timeout": 1,
    "rotate_cookie": 1,
    "http_500": 1,
    "html_answer": 1,
    "answer_lost": 1,
    "handshake_refused": None,
    "business_error": 1,
    "answer": 1,
    "kickout": 1,
    "hold": None,
    "lying_page": 1,
    "buyer_acts": 1,
}
"""every kind, with how often it plays by default (None: until cleared)"""


def short_name(path: str) -> str:
    """Return the faults' short name of an mtop api or lwp path; a path without one stays unchanged."""
    return API_NAMES.get(path, path)


@dataclass(slots=True, eq=False)
class Fault:
    """One fault. ``left`` counts down; ``until_ms`` is a time of the site's clock."""

    id: int
    kind: str
    account: str | None
    left: int | None
    until_ms: int | None
    options: dict[str, Any]
    played: int = 0
    held: int = 0
    """answers that wait for the release at the moment"""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def concerns(self, account: str | None, which: str | None) -> bool:
        """Return whether this fault applies to the account and the call; the option ``which`` limits it to one call."""
        if self.account is not None and self.account != account:
            return False
        wanted = self.options.get("which")
        return wanted is None or which is None or wanted == which

    def open_at(self, now_ms: int) -> bool:
        """Return whether it may play again at this time."""
        in_time = self.until_ms is None or self.until_ms > now_ms
        return in_time and self.left != 0 and not self.released.is_set()

    def view(self) -> dict[str, Any]:
        """Return the fault as JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "account": self.account,
            "left": self.left,
            "until_ms": self.until_ms,
            "played": self.played,
            "held": self.held,
            **{name: value for name, value in self.options.items() if not name.startswith("_")},
        }


class Faults:
    """The current faults; the oldest that fits plays first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_kind: dict[str, list[Fault]] = {}
        self._next_id = 1

    def lay(
        self,
        kind: str,
        account: str | None = None,
        *,
        times: int | None = None,
        until_ms: int | None = None,
        **options: Any,
    ) -> Fault:
        """Set a fault. Without ``times`` it plays as often as ``KINDS`` says, with ``until_ms`` until that time."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {kind}")
        left = times if times is not None else None if until_ms is not None else KINDS[kind]
        fault = Fault(self._next_id, kind, account, left, until_ms, options)
        self._next_id += 1
        self._by_kind.setdefault(kind, []).append(fault)
        return fault

    def find(self, kind: str, account: str | None, which: str | None = None) -> Fault | None:
        """Return the fault that would play now, without playing it."""
        faults = self._by_kind.get(kind)
        if not faults:
            return None
        now = self._clock.now_ms()
        if any(not fault.held and not fault.open_at(now) for fault in faults):
            self._by_kind[kind] = faults = [fault for fault in faults if fault.held or fault.open_at(now)]
        return next((fault for fault in faults if fault.open_at(now) and fault.concerns(account, which)), None)

    def take(self, kind: str, account: str | None, which: str | None = None) -> Fault | None:
        """Play a fault once: return it and count it."""
        fault = self.find(kind, account, which)
        if fault:
            self.play(fault)
        return fault

    def play(self, fault: Fault) -> None:
        """Count that a fault played once."""
        fault.played += 1
        if fault.left is not None:
            fault.left -= 1

    async def detain(self, account: str | None, which: str) -> None:
        """Wait as the faults ``delay`` (real seconds) and ``hold`` (until released) require."""
        delay = self.take("delay", account, which)
        if delay:
            await asyncio.sleep(float(delay.options.get("seconds", 1)))
        hold = self.take("hold", account, which)
        if hold:
            hold.held += 1
            try:
                await hold.released.wait()
            finally:
                hold.held -= 1

    def detains(self, account: str | None, which: str) -> bool:
        """Return whether an answer would have to wait."""
        return any(self.find(kind, account, which) for kind in ("delay", "hold"))

    def release(self, fault_id: int | None = None, account: str | None = None, which: str | None = None) -> list[Fault]:
        """Release held answers: of one fault by id, of an account and call, or all."""
        let_go = [
            fault
            for fault in self.all()
            if fault_id in (None, fault.id)
            and (account is None or fault.account == account)
            and (which is None or fault.options.get("which") == which)
            and fault.kind == "hold"
        ]
        for fault in let_go:
            fault.released.set()
        return let_go

    def clear(self, account: str | None = None, kind: str | None = None) -> list[Fault]:
        """Remove faults (all, one account's, one kind's) and return them; release their held answers."""
        gone = [
            fault
            for fault in self.all()
            if (account is None or fault.account == account) and (kind is None or fault.kind == kind)
        ]
        for fault in gone:
            fault.released.set()
            self._by_kind[fault.kind].remove(fault)
        return gone

    def all(self) -> list[Fault]:
        """Return every current fault, oldest first; faults with held answers stay until they are released."""
        now = self._clock.now_ms()
        faults = (fault for faults in self._by_kind.values() for fault in faults)
        return sorted((fault for fault in faults if fault.held or fault.open_at(now)), key=lambda fault: fault.id)
