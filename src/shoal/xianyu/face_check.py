"""The check of the seller's face within a QR login: passed by the seller alone, with the phone (docs/protocol.md §2.9).

We show the site's own second code, ask whether it was passed, and go on in the same session. A page of another shape, a
slider or a form for a text message is shown to the owner, and nothing is done about it.
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urljoin, urlsplit

from shoal.xianyu.qr_session import QrSession, failed, risk

_CODE = re.compile(rb"Qrcode\(\{[^}]*?\btext\s*:\s*(\"(?:\\.|[^\"\\])*\")")
_LEADS_ON = re.compile(rb"window\.location(?:\.href)?\s*=\s*(\"(?:\\.|[^\"\\])*\")")
_MAX_CODE_CHARACTERS = 1_000
_MOST_PAGES = 4
_WAITING, _PASSED = "0", "3"


class FaceCheck:
    """One check, from the address that came with the confirmation to the login."""

    def __init__(self, site: QrSession, url: str) -> None:
        self._site = site
        self._url = url
        self._page = ""

    async def code(self) -> str:
        """Return the text of the second code, for the seller's phone.

        Raises ``ActionRequired`` (``risk_control`` with the address) when the site shows another check, and
        ``TemporaryFailure``.
        """
        url = self._url
        for _ in range(_MOST_PAGES):
            answer = await self._site.visit(url, dest="iframe")
            if answer.status >= 500:
                raise failed(f"HTTP {answer.status}")
            body = answer.body or b""
            shown = _text_in(_CODE.search(body))
            if shown:
                self._page = answer.url
                return shown
            leads = _text_in(_LEADS_ON.search(body))
            if not leads:
                break
            url = urljoin(answer.url, leads)
        raise risk(self._url)

    async def is_passed(self) -> bool:
        """Ask whether the seller has passed the check. When so, the login has been fetched.

        Raises ``ActionRequired`` when the site says that it was not passed, and ``TemporaryFailure``.
        """
        token = parse_qs(urlsplit(self._page).query).get("htoken", [""])[0]
        reply = await self._site.ask_json("/iv/photoVerify/check.do", {"htoken": token}, self._page)
        content = reply.get("content")
        answer = content if isinstance(content, dict) else {}
        status = str(answer.get("code"))
        if status == _WAITING:
            return False
        if status != _PASSED:
            raise risk(self._url)
        url = answer.get("url")
        if not isinstance(url, str):
            raise failed("the check names no way on")
        await self._site.visit(urljoin(self._page, url))
        return True


def _text_in(found: re.Match[bytes] | None) -> str:
    """Return the text of a literal of a script; empty when there is none that may be shown."""
    try:
        text = json.loads(found[1]) if found else ""
    except ValueError:
        return ""
    return text if len(text) <= _MAX_CODE_CHARACTERS and text.isprintable() else ""
