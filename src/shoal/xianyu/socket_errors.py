"""The errors of the message socket, and the meaning of the site's refusals (docs/protocol.md §3.2, §4)."""

from __future__ import annotations

from shoal.errors import ActionRequired, ComeBackLater, ShoalError, TemporaryFailure
from shoal.xianyu import frames
from shoal.xianyu.frames import Frame
from shoal.xianyu.mtop_reply import risk_in_refusal

_TOKEN_REASONS = ("invalid token", "token invalid", "not auth", "device id or appkey is not equal")
_BACK_OFF_REASONS = ("connect limit", "too many", "session remove")
_KICKED_OUT_REASONS = ("kickout", "kick out", "kicked")
_MAX_SITE_TEXT = 200


class TokenRefused(ComeBackLater):
    """The access token is not valid any more: get a new one, then connect again.

    When the new one is refused too, wait longer: the site watches calls for a token most closely.
    """

    code = "token_refused"


class SocketClosed(TemporaryFailure):
    """The connection has ended.

    ``close_code`` is the closing code, if there was one; ``clean``: it was closed properly.
    """

    code = "socket_closed"

    def __init__(self, close_code: int | None = None, *, clean: bool = False) -> None:
        super().__init__(f"the message socket has ended (close code {close_code})", close_code=close_code, clean=clean)
        self.close_code = close_code
        self.clean = clean


class ReplyTimeout(TemporaryFailure):
    """No reply arrived in time."""

    code = "reply_timeout"


class GateClosed(ShoalError):
    """The gate refused: the frame was not sent."""

    code = "gate_closed"


class SendRefused(ShoalError):
    """The site refused a message and did not deliver it. ``site_code`` and ``message`` are the site's."""

    code = "send_refused"

    def __init__(self, reason: str, site_code: str = "", message: str = "") -> None:
        super().__init__(f"the site refused the message: {reason}", reason=reason, site_code=site_code, detail=message)
        self.reason = reason
        self.site_code = site_code
        self.message = message


def refusal(reply: Frame, otherwise: str) -> ShoalError:
    """Return the meaning of a refused ``/reg`` or heartbeat (§3.2). The site's own text is not repeated."""
    url = risk_url(reply)
    if url is not None:
        return ActionRequired("risk_control", action_url=url)
    code = reply.get("code")
    body = frames.body_of(reply)
    text = " ".join(text_of(body.get(name)) for name in ("reason", "developerMessage", "code")).lower()
    for reasons, error in (
        (_KICKED_OUT_REASONS, ActionRequired("kicked_out")),
        (_BACK_OFF_REASONS, ComeBackLater("the site wants us to come back later", code="connect_limit")),
        (_TOKEN_REASONS, TokenRefused("the site does not accept the token")),
    ):
        if any(reason in text for reason in reasons):
            return error
    if code == 401:
        return TokenRefused("the site does not accept the token")
    return TemporaryFailure(f"the site refused (code {str(code)[:16]})", code=otherwise)


def risk_url(reply: Frame) -> str | None:
    """Return the address to open (may be empty) when a reply means risk control; ``None`` when it does not."""
    body = frames.body_of(reply)
    return risk_in_refusal(body) if reply.get("code") != 200 or "reason" in body else None


def send_refusal(reply: Frame) -> SendRefused:
    """Return the meaning of a refused message."""
    body = frames.body_of(reply)
    site_code = body.get("code", reply.get("code"))
    words = [text_of(body.get(name)) for name in ("developerMessage", "moreInfo")]
    return SendRefused(
        reason=str(body.get("reason") or f"code {reply.get('code')}")[:_MAX_SITE_TEXT],
        site_code=str(site_code)[:_MAX_SITE_TEXT],
        message=" ".join(word for word in words if word)[:_MAX_SITE_TEXT],
    )


def text_of(value: object) -> str:
    """Return a text or a whole number as text; empty for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
