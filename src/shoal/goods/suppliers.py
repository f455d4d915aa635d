"""A supplier: how it is asked for one unit, what its answer means, and what people see of its settings. No I/O.

One call asks for one unit. Its ``Idempotency-Key`` belongs to the unit of the order: a repeat of the call has the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlsplit

import msgspec

from shoal.errors import InvalidInput
from shoal.goods.unit_texts import clean_unit
from shoal.strict_json import read_json

KEY_HEADER: Final = "Idempotency-Key"
MAX_ANSWER_BYTES: Final = 64 << 10
MAX_URL: Final = 2_048
MAX_BODY: Final = 8_000
MAX_HEADERS: Final = 20
MAX_HEADER: Final = 2_000
MAX_PATH: Final = 200
VARIABLES: Final = ("order_id", "unit_no", "quantity", "spec", "item_id", "key")
"""What a URL or a body may name: ``{order_id}`` … ``{quantity}`` is always 1, because one call asks for one unit."""
METHODS: Final = ("POST", "GET", "PUT")
HIDDEN: Final = "***"

Escape = Callable[[str], str]
"""Writes a value so that it stays a value where it is put."""

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", KEY_HEADER.lower()})
_JSON_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|-?\d[\w.+-]*')
_LONG_SEGMENT: Final = 16
"""From so many characters on, a segment of a path may be a token."""
_SENT_TO: Final = {
    "headers": ("url", "query_url"), "body": ("url",), "query_body": ("query_url",), "url": (), "query_url": (),
}  # fmt: skip
"""The settings that may hold secrets, and the addresses to which each goes."""
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_UNSURE_REFUSALS = frozenset({408, 409, 429})
_NO_SUCH_ORDER = frozenset({404, 410})


class Supplier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The settings of a supplier. All of it is sealed: any part may hold a secret.

    ``code_path``: where the unit is in a JSON answer, such as ``data.cards.0.code``; empty: the answer is the unit.
    ``query_url``: where to ask what became of an order; empty: it cannot be asked. ``query_code_path`` empty: as
    ``code_path``. ``wait_seconds``: how long an order whose answer is not known is asked about.
    """

    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    body: str = ""
    code_path: str = ""
    query_url: str = ""
    query_method: str = "GET"
    query_body: str = ""
    query_code_path: str = ""
    timeout_seconds: int = 20
    wait_seconds: int = 60

    def __repr__(self) -> str:
        return f"<Supplier at {self.host}>"

    @property
    def can_be_asked(self) -> bool:
        """Whether it has a route that says what became of an order."""
        return bool(self.query_url)

    @property
    def host(self) -> str:
        """The host that is called, for logs."""
        return urlsplit(self.url).hostname or ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of an order that a supplier is asked for. ``key``: what the supplier recognises a repeat by."""

    order_id: str
    unit_no: int
    key: str
    spec: str = ""
    item_id: str = ""

    def values(self) -> dict[str, str]:
        """Return the value of each variable."""
        named = {name: str(getattr(self, name)) for name in VARIABLES if name != "quantity"}
        return {**named, "quantity": "1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A call that is ready to be made."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: str = field(repr=False)


class Meaning(StrEnum):
    """What is known after a call."""

    UNIT = "unit"
    """The answer holds the unit."""
    REFUSED = "refused"
    """Nothing was bought, and the same call would be refused again."""
    UNREACHABLE = "unreachable"
    """Nothing was bought: the call did not reach the supplier. It may be made again."""
    UNSURE = "unsure"
    """The unit may have been bought."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a call brought. ``status`` is 0 without an answer; ``why`` is a short word for logs and people."""

    meaning: Meaning
    status: int = 0
    code: str = field(default="", repr=False)
    why: str = ""


# ── what may be stored ──────────────────────────────────────────────────────────────────────────────────────────────


def changed_supplier(before: Supplier | None, values: Mapping[str, Any]) -> Supplier:
    """Return the settings with these fields changed; a field that is left out stays.

    Raises ``InvalidInput``: ``supplier_field``, ``supplier_url``, ``supplier_header``, ``supplier_variable``,
    ``supplier_body``, ``supplier_path``, ``goods_number``, and ``supplier_secret`` for a stored secret that would go
    to another host, or for what stands for one.
    """
    stored = {} if before is None else msgspec.structs.asdict(before)
    unknown = set(values) - set(Supplier.__struct_fields__)
    if unknown:
        raise InvalidInput("no such setting", code="supplier_field", field=min(unknown))
    try:
        supplier = msgspec.convert({**stored, **values}, Supplier)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error), code="supplier_field", field=_field_of(str(error))) from None
    _check(supplier)
    for name in _SENT_TO:
        is_hidden = HIDDEN in str(values.get(name, ""))
        is_kept = name not in values and bool(stored.get(name))
        if is_hidden or (is_kept and _goes_elsewhere(stored, supplier, name)):
            raise InvalidInput("the whole value is needed", code="supplier_secret", field=name)
    return supplier


def _goes_elsewhere(stored: Mapping[str, Any], after: Supplier, secret: str) -> bool:
    """Return whether a stored secret would go to a host to which it did not go before.

    Who may change settings may not read them: an address of one's own must not bring them in.
    """
    before = {_origin(stored[name]) for name in _SENT_TO[secret]}
    return not {_origin(getattr(after, name)) for name in _SENT_TO[secret]} <= before


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _field_of(message: str) -> str:
    found = re.search(r"[$`]\.?([a-z_]+)`", message)
    return found[1] if found else "supplier"


def _check(supplier: Supplier) -> None:
    _check_url("url", supplier.url)
    if supplier.query_url:
        _check_url("query_url", supplier.query_url)
    for name, method in (("method", supplier.method), ("query_method", supplier.query_method)):
        if method not in METHODS:
            raise InvalidInput("no such method", code="supplier_field", field=name)
    if len(supplier.headers) > MAX_HEADERS:
        raise InvalidInput("too many headers", code="supplier_header", name="")
    for name, value in supplier.headers.items():
        plain = value.isprintable() and value.isascii() and value == value.strip() and len(value) <= MAX_HEADER
        if not _NAME.fullmatch(name) or len(name) > MAX_PATH or name.lower() in _OURS or not plain:
            shown = name if _NAME.fullmatch(name) and len(name) <= MAX_PATH else HIDDEN  # perhaps a whole header
            raise InvalidInput("no header that can be sent", code="supplier_header", name=shown)
    for name in ("url", "body", "query_url", "query_body"):
        _check_template(supplier, name, getattr(supplier, name))
    for name in ("code_path", "query_code_path"):
        path = getattr(supplier, name)
        if len(path) > MAX_PATH or (path and not all(path.split("."))):
            raise InvalidInput("no path into an answer", code="supplier_path", field=name)
    for name, least, most in (("timeout_seconds", 1, 60), ("wait_seconds", 0, 300)):
        if not least <= getattr(supplier, name) <= most:
            raise InvalidInput(f"{name} is out of bounds", code="goods_number", field=name, least=least, most=most)


def _check_url(field: str, url: str) -> None:
    """Check an address. Its host is fixed: what an order names never decides where a call goes."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    plain = url.isprintable() and " " not in url and "\\" not in url and len(url) <= MAX_URL
    if not usable or not plain or "@" in parts.netloc or "{" in parts.netloc or parts.fragment:
        raise InvalidInput("no address of a supplier", code="supplier_url", field=field)


def _check_template(supplier: Supplier, field: str, text: str) -> None:
    wrong = next((name for name in _VARIABLE.findall(text) if name not in VARIABLES), None)
    if wrong is not None:
        raise InvalidInput("no such variable", code="supplier_variable", field=field, name=wrong)
    if not field.endswith("body") or not text:
        return
    if len(text) > MAX_BODY:
        raise InvalidInput("the body is too long", code="supplier_body", field=field)
    if _kind_of(supplier, text) == _JSON:
        try:
            read_json(_filled(text, Wanted(order_id="1", unit_no=1, key="k"), _in_json))
        except (ValueError, RecursionError):
            raise InvalidInput("the body is no JSON", code="supplier_body", field=field) from None


# ── the call ────────────────────────────────────────────────────────────────────────────────────────────────────────


def order_request(supplier: Supplier, wanted: Wanted) -> Request:
    """Return the call that orders a unit."""
    return _request(supplier, wanted, supplier.method, supplier.url, supplier.body)


def query_request(supplier: Supplier, wanted: Wanted) -> Request:
    """Return the call that asks what became of the order of a unit."""
    return _request(supplier, wanted, supplier.query_method, supplier.query_url, supplier.query_body)


def _request(supplier: Supplier, wanted: Wanted, method: str, url: str, body: str) -> Request:
    headers = {"Accept": "application/json, text/plain", "User-Agent": "Shoal", **supplier.headers}
    kind = _kind_of(supplier, body)
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    escapes: dict[str, Escape] = {_JSON: _in_json, _FORM: quote_plus}
    return Request(
        method=method,
        url=_filled(url, wanted, _in_url),
        headers={**headers, KEY_HEADER: wanted.key},
        body=_filled(body, wanted, escapes.get(kind, str)),
    )


def _kind_of(supplier: Supplier, body: str) -> str:
    """Return the media type of a body: what its header says, else by how it begins."""
    media_type = next((value for name, value in supplier.headers.items() if name.lower() == "content-type"), "")
    if media_type:
        return media_type.partition(";")[0].strip().lower()
    return _JSON if body.lstrip()[:1] in {"{", "["} else _FORM


def _filled(template: str, wanted: Wanted, escape: Escape) -> str:
    values = wanted.values()
    return _VARIABLE.sub(lambda found: escape(values[found[1]]) if found[1] in values else found[0], template)


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_url(text: str) -> str:
    return quote(text, safe="")


# ── the answer ──────────────────────────────────────────────────────────────────────────────────────────────────────


def meaning_of_order(supplier: Supplier, status: int, data: bytes) -> Answer:
    """Return what the answer to an order means. Only a refusal of the call itself is certain to have bought nothing."""
    if 200 <= status < 300:
        return _unit_in(data, supplier.code_path, status)
    if 400 <= status < 500 and status not in _UNSURE_REFUSALS:
        return Answer(meaning=Meaning.REFUSED, status=status, why="refused")
    return Answer(meaning=Meaning.UNSURE, status=status, why="status")


def meaning_of_query(supplier: Supplier, status: int, data: bytes) -> Answer:
    """Return what the answer to a query means: ``REFUSED`` says that the supplier knows no such order."""
    if 200 <= status < 300:
        return _unit_in(data, supplier.query_code_path or supplier.code_path, status)
    if status in _NO_SUCH_ORDER:
        return Answer(meaning=Meaning.REFUSED, status=status, why="no_such_order")
    return Answer(meaning=Meaning.UNSURE, status=status, why="status")


def _unit_in(data: bytes, path: str, status: int) -> Answer:
    try:
        code = clean_unit(_at(data, path))
    except (InvalidInput, ValueError):
        code = ""
    if not code:
        return Answer(meaning=Meaning.UNSURE, status=status, why="no_code")
    return Answer(meaning=Meaning.UNIT, status=status, code=code)


def _at(data: bytes, path: str) -> str:
    """Return the text at a path of an answer; empty when there is none. Raises ``ValueError`` for no JSON."""
    if not path:
        text = data.decode().strip()
        return "" if text[:1] in {"{", "[", "<"} else text  # a page or a report is no unit
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError from None
    for step in path.split("."):
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


# ── what people see ─────────────────────────────────────────────────────────────────────────────────────────────────


def shown_supplier(supplier: Supplier) -> dict[str, Any]:
    """Return the settings for people: of what may be a secret, only variables and names are left."""
    fields: dict[str, Any] = msgspec.structs.asdict(supplier)
    return {
        **fields,
        "url": shown_url(supplier.url),
        "headers": dict.fromkeys(supplier.headers, HIDDEN),
        "body": _shown_body(supplier, supplier.body),
        "query_url": shown_url(supplier.query_url),
        "query_body": _shown_body(supplier, supplier.query_body),
    }


def shown_request(supplier: Supplier, wanted: Wanted, *, query: bool = False) -> Request:
    """Return a call as people see it: with the values of the order, without secrets."""
    shown = msgspec.convert(shown_supplier(supplier), Supplier)
    media_type = next((value for name, value in supplier.headers.items() if name.lower() == "content-type"), "")
    headers = {name: media_type if name.lower() == "content-type" else value for name, value in shown.headers.items()}
    shown = msgspec.structs.replace(shown, headers=headers)
    return (query_request if query else order_request)(shown, wanted)


def shown_url(url: str) -> str:
    """Return a URL without the values of its query and without long segments of its path."""
    head, mark, query = url.partition("?")
    host, *path = head.rsplit("/", head.count("/") - 2) if head.count("/") > 2 else [head]
    head = "/".join((host, *(_shown(segment) if len(segment) >= _LONG_SEGMENT else segment for segment in path)))
    pairs = (pair.partition("=") for pair in query.split("&"))
    kept = "&".join(f"{name}{equals}{_shown(value)}" if equals else _shown(name) for name, equals, value in pairs)
    return f"{head}{mark}{kept}" if mark else head


def _shown_body(supplier: Supplier, body: str) -> str:
    kind = _kind_of(supplier, body)
    if kind == _JSON:
        return _JSON_VALUE.sub(_shown_value, body)
    return shown_url(f"?{body}")[1:] if kind == _FORM and body else _shown(body)


def _shown_value(found: re.Match[str]) -> str:
    if found[2]:  # a name
        return found[0]
    return HIDDEN if found[1] is None else f'"{_shown(found[1])}"'


def _shown(text: str) -> str:
    """Return a value without its own text; its variables stay."""
    own = _VARIABLE.split(text)
    return "".join(f"{{{part}}}" if place % 2 else HIDDEN if part else "" for place, part in enumerate(own))
