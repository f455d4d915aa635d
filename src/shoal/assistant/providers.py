"""A provider of language models: its settings, their checks, and what people see of them. No I/O.

Its address and key are sealed. Words go to it only while its owner agreed to the very host that is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from shoal.errors import Conflict, InvalidInput, NotFound

MAX_PROVIDERS: Final = 10
"""How many providers one user may have."""
MOST_NAME: Final = 80
MOST_URL: Final = 2_048
MOST_KEY: Final = 1_000
MOST_MODEL: Final = 200
MOST_PRICE_FEN: Final = 1_000_000
"""Of a million tokens."""
MOST_CALLS: Final = 10_000
MOST_FEN_PER_DAY: Final = 10_000_000

_NUMBERS: Final = {
    "price_in_fen": (0, MOST_PRICE_FEN),
    "price_out_fen": (0, MOST_PRICE_FEN),
    "calls_per_minute": (1, MOST_CALLS),
    "fen_per_day": (0, MOST_FEN_PER_DAY),
}
_COMPLETIONS: Final = "/chat/completions"


class ProviderKind(StrEnum):
    """How a provider is asked."""

    OPENAI = "openai"
    """In the form of OpenAI's chat completions, which most providers and local servers speak."""
    AGENT = "agent"
    """The owner's own endpoint: it gets question, item, facts and turns, and answers with the output itself."""


class UnknownProvider(NotFound):
    """There is no such provider, or it belongs to another user (the answer is the same)."""

    code = "unknown_provider"


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """One provider, without address and key. ``host``: where calls go, as its owner agrees to it.

    Prices are in fen for a million tokens. ``fen_per_day``: the most that its calls may cost on one day, all shops
    together; ``None`` does not limit. ``has_key``: whether a key is there that opens. ``version`` counts changes.
    """

    id: int
    owner_id: int
    name: str
    kind: ProviderKind
    host: str
    model: str = ""
    price_in_fen: int = 0
    price_out_fen: int = 0
    calls_per_minute: int = 30
    fen_per_day: int | None = None
    consented_host: str = ""
    consented_at_ms: int | None = None
    has_key: bool = False
    version: int = 1
    created_at_ms: int = 0
    changed_at_ms: int = 0

    @property
    def has_consent(self) -> bool:
        """Whether its owner agreed that words go to the host that is called."""
        return bool(self.host) and self.consented_host == self.host

    def require_consent(self) -> None:
        """Raise ``Conflict`` (``no_consent``) unless its owner agreed."""
        if not self.has_consent:
            raise Conflict("the owner has not agreed to this host", code="no_consent", host=self.host)


@dataclass(frozen=True, slots=True)
class Target:
    """A provider with what is needed to call it."""

    provider: Provider
    base_url: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address of a call."""
        return self.base_url + (_COMPLETIONS if self.provider.kind is ProviderKind.OPENAI else "")


def changed_values(
    before: Mapping[str, Any] | None, secrets: Mapping[str, str], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the columns and the secrets (``base_url``, ``key``) of a provider after a change; what is left out stays.

    A new host ends the agreement, unless the change itself agrees to it, and takes no stored key along. Raises
    ``InvalidInput``: ``provider_url``, ``provider_key``, ``provider_text``, ``provider_number``, ``provider_consent``.
    """
    after: dict[str, Any] = {name: before[name] for name in _COLUMNS} if before else dict(_DEFAULTS)
    after |= {name: values[name] for name in _COLUMNS if name in values}
    after["kind"] = ProviderKind(after["kind"]).value
    _check_texts(after)
    for name, (least, most) in _NUMBERS.items():
        number = after[name]
        if not (number is None and name == "fen_per_day") and not least <= number <= most:
            raise InvalidInput(f"{name} is out of bounds", code="provider_number", field=name, least=least, most=most)
    url = checked_base_url(values["base_url"]) if values.get("base_url") else secrets.get("base_url", "")
    if not url:
        raise InvalidInput("an address is needed", code="provider_url", limit=MOST_URL, field="base_url")
    host = host_of(url)
    moved = before is not None and host != before["host"]
    key = checked_key(values["key"]) if values.get("key") is not None else secrets.get("key", "")
    if moved and secrets.get("key") and values.get("key") is None:
        raise InvalidInput("the whole key is needed", code="provider_key", limit=MOST_KEY, field="key")
    consented = values.get("consented_host", "" if moved or before is None else before["consented_host"])
    if consented not in {"", host}:
        raise InvalidInput("this is not the host that is called", code="provider_consent", host=host)
    return {**after, "host": host, "consented_host": consented}, {"base_url": url, "key": key}


_DEFAULTS: Final[Mapping[str, Any]] = {
    "name": "",
    "kind": ProviderKind.OPENAI.value,
    "model": "",
    "price_in_fen": 0,
    "price_out_fen": 0,
    "calls_per_minute": 30,
    "fen_per_day": None,
}
_COLUMNS: Final = tuple(_DEFAULTS)


def _check_texts(after: dict[str, Any]) -> None:
    for name, most in (("name", MOST_NAME), ("model", MOST_MODEL)):
        text = after[name] = after[name].strip()
        is_needed = name == "name" or after["kind"] == ProviderKind.OPENAI
        if len(text) > most or not text.isprintable() or (is_needed and not text):
            raise InvalidInput(f"{name} is no such text", code="provider_text", field=name, limit=most)


def checked_base_url(url: str) -> str:
    """Return an address without the slash at its end, and without the path that every call adds.

    Raises ``InvalidInput`` (``provider_url``).
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    plain = text.isascii() and text.isprintable() and " " not in text and "\\" not in text and len(text) <= MOST_URL
    if not usable or not plain or "@" in parts.netloc or "?" in text or "#" in text:
        raise InvalidInput("no address of a provider", code="provider_url", limit=MOST_URL, field="base_url")
    return text.rstrip("/").removesuffix(_COMPLETIONS)


def checked_key(key: str) -> str:
    """Return a key that fits into a header; an empty one is none. Raises ``InvalidInput`` (``provider_key``)."""
    text = key.strip()
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > MOST_KEY:
        raise InvalidInput("no key of a provider", code="provider_key", limit=MOST_KEY, field="key")
    return text


def host_of(url: str) -> str:
    """Return the host of an address as its owner agrees to it: without encryption it is another one."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    return host if parts.scheme == "https" else f"{parts.scheme}://{host}"
