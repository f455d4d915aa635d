"""The bodies of the control routes: strict, and checked before anything changes."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shoal.sandbox.faults import API_NAMES, KINDS
from shoal.sandbox.model_provider import ModelFault
from shoal.sandbox.strict.rules import RULES
from shoal.sandbox.supplier import SupplierFault

_WHICH: Final = frozenset(API_NAMES.values())

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Digits = Annotated[str, Field(pattern=r"^\d{1,24}$")]
CardKind = Literal[
    "not_paid",
    "paid",
    "paid_parcel",
    "paid_unsaid",
    "group",
    "group_ready",
    "shipped",
    "completed",
    "closed",
    "refund_asked",
    "refund_withdrawn",
    "refund_refused",
    "refund_agreed",
    "refunded",
]


def _known_rule(name: str) -> str:
    if name not in RULES:
        raise ValueError(f"must be one of {', '.join(RULES)}")
    return name


Rule = Annotated[str, AfterValidator(_known_rule)]


class Body(BaseModel):
    """A strict body: no unknown fields, no ``"1"`` for 1."""

    model_config = ConfigDict(extra="forbid", strict=True)


class BuyerMessageBody(Body):
    """A buyer sends a message. ``message_id`` repeats an id; ``image_url`` sends a picture instead of the text.

    ``content_type`` and ``content`` (JSON text) send any other type of the protocol, such as a voice message (3), an
    item's card (7), a transfer (17) or a place (30); ``text`` is then its summary.

    ``system`` pushes it with ``needPush`` false, which says nothing, ``tip`` sends it as a tip of the site. A
    ``session_type`` of 2 is a group; 3 and 53 are official senders, whose ``buyer`` is a short number such as 1400.
    ``extra`` replaces or adds keys of map 10.
    """

    account: Digits
    buyer: Name
    item: Digits | None = None
    text: Text
    message_id: Annotated[str, Field(pattern=r"^\d+\.PNM$")] | None = None
    image_url: Text | None = None
    content_type: Annotated[int, Field(ge=1, le=999)] | None = None
    content: Text | None = None
    system: bool = False
    tip: bool = False
    session_type: Literal["1", "2", "3", "53"] = "1"
    extra: dict[str, str] = Field(default_factory=dict)
    times: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _both(self) -> BuyerMessageBody:
        if (self.content_type is None) != (self.content is None):
            raise ValueError("content_type and content go together")
        return self


class TypedBody(Body):
    """The seller sends a message in the app, not through the client."""

    account: Digits
    buyer: Name
    item: Digits | None = None
    text: Text


class PayBody(Body):
    """A buyer orders an item. ``card`` pushes only that card; with ``order_id`` about an order that may exist.

    ``quiet`` pushes nothing: the order changes, and only its page shows it. ``spec`` is ``name:value``, one of the
    item's where that has any. Until ``page_lag_seconds`` are over, the order's page says neither quantity nor spec;
    until ``status_lag_seconds`` are over, it shows the status before the card. ``title`` is what it says of the status
    from then on, instead of the site's usual words. A ``bare`` card names the order in its ``updateKey`` only;
    a ``dynamic`` one comes as a message of type 32 that holds the changed card; ``button`` are the words on its button
    instead of its own.
    """

    account: Digits
    buyer: Name
    item: Digits | None = None
    card: CardKind | Literal["both", "none"] = "both"
    order_id: Digits | None = None
    price_fen: Annotated[int, Field(ge=0)] | None = None
    quantity: Annotated[int, Field(ge=1, le=999)] = 1
    spec: Annotated[str, Field(max_length=100)] = ""
    page_lag_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    quiet: bool = False
    message_id: Annotated[str, Field(pattern=r"^\d+\.PNM$")] | None = None
    mark: bool = True
    as_update: bool = False
    dynamic: bool = False
    bare: bool = False
    button: Annotated[str, Field(max_length=20)] | None = None
    status_lag_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    title: Annotated[str, Field(max_length=40)] = ""


class ItemBody(Body):
    """Put an item on sale; with ``item``, change that one. ``specs`` are what its buyers choose from.

    ``spec_prices`` are the fen of each; ``status`` is what its page says of it, such as ``卖掉了``.
    """

    account: Digits
    item: Digits | None = None
    title: Name | None = None
    desc: Annotated[str, Field(max_length=20_000)] | None = None
    price_fen: Annotated[int, Field(ge=0)] | None = None
    quantity: Annotated[int, Field(ge=0)] | None = None
    specs: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = None
    spec_prices: list[Annotated[int, Field(ge=0)]] | None = None
    status: Annotated[str, Field(max_length=20)] | None = None


class MarkBody(Body):
    """Push an order mark, such as ``等待卖家发货``."""

    account: Digits
    buyer: Name
    red_reminder: Text


class PushBody(Body):
    """Push something other than a message; ``raw`` sends ``data`` unchanged.

    ``payload`` sends any payload: from the body, or from the JSON ``file``, which holds a payload, an object with
    ``payload``, or a list of such objects with a ``name``. Keys of digits become numbers, as in MessagePack; a payload
    without such keys is sent as JSON. ``replace`` puts other texts, such as ids, for those in it. ``order_context``
    takes the order's id as ``name``.

    ``session_remove`` is the push that asks the client to back off, ``resync`` the one that asks for a new sync
    position. With ``skipping`` the site's own position passes what was not acknowledged, which is then never pushed
    again.
    """

    account: Digits
    buyer: Name = "买家小鱼"
    shape: Literal[
        "typing",
        "read_receipt",
        "new_message",
        "session_arouse",
        "json_text",
        "raw",
        "payload",
        "order_context",
        "typing_ends",
        "session_remove",
        "resync",
    ]
    text: Text = "还在吗"
    message_ids: list[str] = Field(default_factory=list)
    data: str = ""
    payload: dict[str, Any] | None = None
    file: str | None = None
    name: str | None = None
    replace: dict[str, str] = Field(default_factory=dict)
    skipping: bool = False

    @model_validator(mode="after")
    def _whole(self) -> PushBody:
        if self.shape == "payload" and (self.payload is None) == (self.file is None):
            raise ValueError("a payload needs payload or file")
        return self


class FaultBody(Body):
    """Set a fault; without ``account`` for all accounts. ``until_seconds`` counts on the site's clock."""

    kind: str
    account: Digits | None = None
    times: Annotated[int, Field(ge=1)] | None = None
    until_seconds: Annotated[float, Field(gt=0)] | None = None
    which: str | None = None
    seconds: Annotated[float, Field(ge=0, le=3600)] | None = None
    code: Annotated[int, Field(ge=1000, le=4999)] | None = None
    when: str | None = None
    reason: Text | None = None
    more_info: Text | None = None
    order: Literal["validate_first", "rgv_first"] | None = None
    heartbeats: bool | None = None
    sticky: bool | None = None
    copies: Annotated[int, Field(ge=1, le=100)] | None = None
    size: Annotated[int, Field(ge=2, le=100)] | None = None
    data: str | None = None
    delivered: bool | None = None
    name: Name | None = None
    value: Text | None = None
    drop_old: bool | None = None
    punish: bool | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    ret: list[str] | None = None
    body: dict[str, Any] | None = None
    set_cookies: dict[str, str] | None = None
    location: str | None = None
    page: Literal["no_quantity", "no_spec", "no_title", "one_piece", "malformed", "other_order"] | None = None
    card: CardKind | None = None
    passes: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _known(self) -> FaultBody:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        for name in ("which", "when"):
            value = getattr(self, name)
            if value is not None and value not in _WHICH and (name, value) != ("when", "now"):
                raise ValueError(f"{name} must be one of {', '.join(sorted(_WHICH))}")
        if self.kind in ("delay", "hold", "answer") and self.which is None:
            raise ValueError(f"a {self.kind} needs which")
        if self.kind == "lying_page" and self.page is None:
            raise ValueError("a lying_page needs page")
        if self.kind == "buyer_acts" and (self.card is None or self.which not in ("order", "send", "consign")):
            raise ValueError("buyer_acts needs card, and which: order, send or consign")
        return self


class ReleaseBody(Body):
    """Release held answers: of one fault, of an account or call, or all."""

    id: int | None = None
    account: Digits | None = None
    which: str | None = None


class ClearBody(Body):
    """Remove faults: all, one account's, or one kind's."""

    account: Digits | None = None
    kind: str | None = None


class ClockBody(Body):
    """Set the site's time: exactly one of the three fields."""

    set: Annotated[int, Field(ge=0)] | None = None
    advance: float | None = None
    real: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> ClockBody:
        if sum(value is not None for value in (self.set, self.advance, self.real)) != 1:
            raise ValueError("give exactly one of set (ms), advance (seconds), real (true)")
        return self


class SellerBody(Body):
    """Open a shop; with the ``unb`` of an existing one, log it in again. A ``kept`` login can be renewed silently.

    ``headers`` are those of the browser that logs in: the login is its own.
    """

    nick: Name | None = None
    unb: Digits | None = None
    items: Annotated[int, Field(ge=0, le=1000)] = 3
    kept: bool = False
    headers: dict[str, str] | None = None


class SupplierBody(Body):
    """How the supplier meets the next calls: the ``fault`` for so many of them; empty ends it.

    ``seconds``: how long ``slow`` takes. ``sells``: whether a ``500`` sells all the same. Without ``query`` its query
    route fails.
    """

    fault: SupplierFault = ""
    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    seconds: Annotated[float, Field(ge=0, le=600)] = 0.0
    sells: bool = False
    query: bool = True


class ModelBody(Body):
    """How the provider of language models meets the next calls: the ``fault`` for so many of them; empty ends it.

    ``outputs``: what it answers next, text as it is and anything else as JSON; ``cycles``: over and over. ``None``
    leaves them. ``seconds``: how long ``slow`` takes, or the ``Retry-After`` of a 429.
    """

    fault: ModelFault = ""
    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    seconds: Annotated[float, Field(ge=0, le=600)] = 0.0
    outputs: Annotated[list[Any], Field(max_length=20_000)] | None = None
    cycles: bool = False


class ExpireBody(Body):
    """End every login of a seller, for good (``login``) or until it is renewed (``session``), or the IM tokens or
    ``_m_h5_tk``.
    """

    account: Digits
    what: Literal["login", "session", "im_token", "tk"]


class QrBody(Body):
    """Advance a QR login as the scanning app does; without ``ck`` the newest one.

    ``RISK``: the seller confirmed, and the site names a page of a verification and nothing else. ``FACE``: the same
    with the pages of a face check, which ``FACE_PASSED`` and ``FACE_FAILED`` end; ``page`` is what they show.
    ``HAS_ERROR``: the site fails to answer.
    """

    ck: Name | None = None
    status: Literal[
        "NEW", "SCANNED", "CONFIRMED", "EXPIRED", "CANCELED", "ERROR", "HAS_ERROR",
        "RISK", "FACE", "FACE_PASSED", "FACE_FAILED",
    ]  # fmt: skip
    account: Digits | None = None
    page: Literal["code", "sms", "slider"] = "code"

    @model_validator(mode="after")
    def _who(self) -> QrBody:
        if self.status in ("CONFIRMED", "FACE") and self.account is None:
            raise ValueError("a confirmed login needs account")
        return self


class CheckBody(Body):
    """The owner passes the check in a browser: the one of the newest login, else the one with ``user_agent``."""

    account: Digits
    user_agent: Annotated[str, Field(max_length=400)] | None = None


class PolicyBody(Body):
    """Change how the site behaves where its real behaviour is not certain; see ``policy.Policy``.

    ``strict`` sets what ``--strict`` sets; ``also`` and ``without`` add and take away rules by name.
    """

    tk_seconds: Annotated[int, Field(gt=0)] | None = None
    im_token_seconds: Annotated[int, Field(gt=0)] | None = None
    dedupe_uuid: bool | None = None
    new_token_makes_zombie: bool | None = None
    expired_token_makes_zombie: bool | None = None
    replays_missed: bool | None = None
    session_seconds: Annotated[int, Field(ge=0)] | None = None
    cookie2_by_visit: bool | None = None
    qr_token: bool | None = None
    deletes_tk_elsewhere: bool | None = None
    strict: bool | None = None
    rules: list[Rule] | None = None
    also: list[Rule] = Field(default_factory=list)
    without: list[Rule] = Field(default_factory=list)
    real_shapes: bool | None = None
    ready_seconds: Annotated[float, Field(ge=-1, le=3600)] | None = None
    oldest_chrome: Annotated[int, Field(ge=0)] | None = None
    devices_of_login: Annotated[int, Field(ge=1)] | None = None
    tokens_a_minute: Annotated[int, Field(ge=0)] | None = None
    tokens_an_hour: Annotated[int, Field(ge=0)] | None = None
    messages_a_second: Annotated[float, Field(ge=0)] | None = None
    most_characters: Annotated[int, Field(ge=0)] | None = None
    push_to_latest_only: bool | None = None
    socket_seconds: Annotated[int, Field(ge=0)] | None = None
