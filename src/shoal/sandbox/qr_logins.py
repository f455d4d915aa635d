"""The QR logins that the site remembers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

MOST: Final = 1_000
"""how many QR logins the site remembers"""


@dataclass(slots=True)
class QrLogin:
    """One QR login, from the code to the cookies."""

    ck: str
    t_ms: int
    status: str = "NEW"
    unb: str = ""
    token: str = ""
    """what a confirmation gave instead of the cookies; ``login_token/login.do`` takes it once"""
    htoken: str = ""
    """names the face check"""
    iv_jar: str = ""
    """the cookie of the session in which the face check must be passed"""
    face: Literal["", "waiting", "passed", "failed"] = ""
    page: Literal["code", "sms", "slider"] = "code"
    """what the pages of the check show"""


class QrLogins:
    """The newest ``MOST`` QR logins, by ``ck``."""

    def __init__(self) -> None:
        self._logins: OrderedDict[str, QrLogin] = OrderedDict()

    def begin(self, ck: str, now_ms: int) -> QrLogin:
        """Remember a new login and forget the oldest beyond the limit."""
        login = self._logins[ck] = QrLogin(ck, now_ms)
        while len(self._logins) > MOST:
            self._logins.popitem(last=False)
        return login

    def get(self, ck: str) -> QrLogin | None:
        """Return the login with this ``ck``."""
        return self._logins.get(ck)

    def newest(self) -> QrLogin | None:
        """Return the login that began last."""
        return next(reversed(self._logins.values()), None)

    def by(self, name: Literal["token", "htoken"], value: str) -> QrLogin | None:
        """Return the login with this token of a confirmation or of a face check."""
        return next((login for login in self._logins.values() if value and getattr(login, name) == value), None)
