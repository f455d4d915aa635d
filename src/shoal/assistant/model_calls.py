"""Makes the calls to providers: guarded, without cookies, without redirects, each once, with a limit on the answer.

No error and no line of the log has the key, the address, or a word that was sent or came back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import aiohttp
import structlog
from yarl import URL

from shoal.assistant.prompt import Context, PromptMessage, agent_question
from shoal.assistant.providers import Provider, ProviderKind, Target
from shoal.measures import Tally
from shoal.network.outbound import GuardedConnector, InsideError, Outbound
from shoal.xianyu.site_session import Redirected, open_session

log = structlog.get_logger("shoal.models")

CALL_SECONDS: Final = 20.0
CONNECT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 256 << 10
_OF_A_MESSAGE: Final = 8
"""The tokens around one message of a prompt."""
ANSWERED: Final = "answered"
"""The outcome of a call that brought an answer; of any other it is a ``WhyFailed``."""
_SLACK: Final = 4
"""How often more tokens than were reckoned with a provider may count, until its figures are no figures."""
_FEWEST: Final = 8
"""How often fewer tokens it may count. This is one token for eight Latin letters or for four Chinese signs: tokenizers
make about twice as many of a text, so a figure below it does not count the text that was sent or came back."""


class WhyFailed(StrEnum):
    """Why there is no answer of a model."""

    TIMEOUT = "timeout"
    NO_ANSWER = "no_answer"
    """The connection ended before the answer did."""
    NO_CONNECTION = "no_connection"
    UNKNOWN_HOST = "unknown_host"
    CERTIFICATE = "certificate"
    INSIDE = "inside"
    """The address lies inside the server's network, and the setting does not allow it."""
    REDIRECT = "redirect"
    KEY = "key"
    """The provider refuses the key."""
    BUSY = "busy"
    """The provider says that there were too many calls, or that nothing is left on the account."""
    STATUS = "status"
    TOO_LONG = "too_long"
    NOT_JSON = "not_json"


_NOTHING_SPENT: Final = frozenset(
    {
        WhyFailed.NO_CONNECTION,
        WhyFailed.UNKNOWN_HOST,
        WhyFailed.CERTIFICATE,
        WhyFailed.INSIDE,
        WhyFailed.KEY,
        WhyFailed.BUSY,
        WhyFailed.REDIRECT,
    }
)


class ModelFailed(Exception):
    """A call gave no answer. ``status`` is 0 without one."""

    def __init__(self, why: WhyFailed, status: int = 0) -> None:
        super().__init__(why.value)
        self.why = why
        self.status = status

    @property
    def spent_nothing(self) -> bool:
        """Whether it is certain that the call cost nothing."""
        return self.why in _NOTHING_SPENT or (self.why is WhyFailed.STATUS and 400 <= self.status < 500)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What a call brought: the output as it is, its tokens, and how many milliseconds it took."""

    text: str = field(repr=False)
    tokens_in: int
    tokens_out: int
    ms: int


class ModelCalls:
    """Asks providers over its own session. Nothing of the site is in it: no cookie, no header, no connection.

    Each call has its own connection: aiohttp repeats some calls by itself when a used connection turns out closed.
    """

    def __init__(self, outbound: Outbound, *, seconds: float = CALL_SECONDS) -> None:
        self._outbound = outbound
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self.outcomes = Tally()
        """How the calls since the start ended: ``answered``, or why not."""
        self.held_back = Tally()
        """How often each rail held back what a model would have sent to a buyer."""

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self, target: Target, messages: Sequence[PromptMessage], max_tokens: int, *, context: Context | None = None
    ) -> RawAnswer:
        """Ask a provider once. Raises ``ModelFailed``, and ``Conflict`` (``no_consent``) before anything leaves.

        ``context``: what an agent gets in place of the messages; without one the last message is its question.
        """
        target.provider.require_consent()
        began = time.monotonic()
        try:
            data = await self._post(target, _body(target.provider, messages, max_tokens, context))
            answer = _answer(target.provider, data, messages, max_tokens)
        except ModelFailed as failed:
            self.outcomes.add(failed.why.value)
            log.info("model gave no answer", host=target.provider.host, why=failed.why.value, status=failed.status)
            raise
        ms = round((time.monotonic() - began) * 1000)
        self.outcomes.add(ANSWERED)
        log.info("model answered", host=target.provider.host, ms=ms, tokens_in=answer[1], tokens_out=answer[2])
        return RawAnswer(*answer, ms)

    async def _post(self, target: Target, body: dict[str, Any]) -> bytes:
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "Shoal"}
        if target.key:
            headers["Authorization"] = f"Bearer {target.key}"
        limit = aiohttp.ClientTimeout(total=self._seconds, sock_connect=min(CONNECT_SECONDS, self._seconds))
        sent = json.dumps(body, ensure_ascii=False).encode()
        try:
            async with self._opened().post(URL(target.url), headers=headers, data=sent, timeout=limit) as response:
                if response.status != 200:
                    raise ModelFailed(_why_of_status(response.status), response.status)
                return await _read(response)
        except Redirected as error:
            raise ModelFailed(WhyFailed.REDIRECT, error.status) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ModelFailed(_why_of_connecting(error)) from None
        except TimeoutError:
            raise ModelFailed(WhyFailed.TIMEOUT) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise ModelFailed(WhyFailed.NO_ANSWER) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(GuardedConnector(self._outbound, force_close=True, limit=0))
        return self._session


def estimated_tokens(messages: Sequence[PromptMessage]) -> int:
    """Return about how many tokens a prompt has, rather too many: a budget is reserved by it."""
    return sum(tokens_of(message["content"]) + _OF_A_MESSAGE for message in messages)


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has, rather too many: one for a Latin letter, two for any other sign."""
    return sum(1 if sign.isascii() else 2 for sign in text)


def _body(
    provider: Provider, messages: Sequence[PromptMessage], max_tokens: int, context: Context | None
) -> dict[str, Any]:
    if provider.kind is ProviderKind.AGENT:
        return agent_question(context or Context(question=messages[-1]["content"]))
    return {"model": provider.model, "messages": list(messages), "max_tokens": max_tokens, "stream": False}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    while len(data) <= MAX_ANSWER_BYTES and (part := await response.content.read(MAX_ANSWER_BYTES)):
        data += part
    if len(data) > MAX_ANSWER_BYTES:
        raise ModelFailed(WhyFailed.TOO_LONG, response.status)
    return bytes(data)


def _answer(
    provider: Provider, data: bytes, messages: Sequence[PromptMessage], max_tokens: int
) -> tuple[str, int, int]:
    """Return the output and its tokens; figures that cannot be are replaced by what was reckoned with."""
    usage: Any = None
    if provider.kind is ProviderKind.AGENT:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise ModelFailed(WhyFailed.NOT_JSON, 200) from None
    else:
        text, usage = _completion(data)
    figures = usage if isinstance(usage, dict) else {}
    sent = estimated_tokens(messages)
    return (
        text,
        _figure(figures.get("prompt_tokens"), sent, _SLACK * sent),
        _figure(figures.get("completion_tokens"), min(tokens_of(text), max_tokens), _SLACK * max_tokens),
    )


def _completion(data: bytes) -> tuple[str, Any]:
    try:
        answer = json.loads(data)
        content = answer["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise ModelFailed(WhyFailed.NOT_JSON, 200) from None
    return content if isinstance(content, str) else "", answer.get("usage")


def _figure(count: Any, reckoned: int, most: int) -> int:
    is_figure = isinstance(count, int) and not isinstance(count, bool) and reckoned <= count * _FEWEST and count <= most
    return int(count) if is_figure else reckoned


def _why_of_status(status: int) -> WhyFailed:
    if status in {401, 403}:
        return WhyFailed.KEY
    return WhyFailed.BUSY if status in {402, 429} else WhyFailed.STATUS


def _why_of_connecting(error: aiohttp.ClientError) -> WhyFailed:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, InsideError):
        return WhyFailed.INSIDE
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return WhyFailed.UNKNOWN_HOST
    return WhyFailed.CERTIFICATE if isinstance(error, aiohttp.ClientSSLError) else WhyFailed.NO_CONNECTION
