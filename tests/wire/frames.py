"""The payloads of the real site, one file each, and what Shoal must make of them.

A contributor with a new capture adds one file to ``frames/``: ``what`` it is, where it was ``seen`` and how ``sure``
that is, the ``payload`` (decoded, keys as text, with invented ids and words; of a reply its ``data``), and what it
``becomes``. In a payload
``{"$json": …}`` stands for the text of that JSON, ``{"$base64": …}`` for its base64.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shoal.xianyu.chat_history import read_history
from shoal.xianyu.item_page import ItemPage, read_item_page
from shoal.xianyu.packets import read_event
from shoal.xianyu.push_events import CardUpdate, ChatMessage, Event, OrderMark, TradeCard
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.trade_texts import status_named, status_on_card
from shoal.xianyu.wire_bytes import decode_entry
from support.site.packed_pushes import encode_entry

ME: Final = "2209900000102"
BUYER: Final = "2209900000101"
CHAT: Final = "58800000042"
ORDER: Final = "4409900000000000007"
ITEM: Final = "900900000033"
_DIRECTORY: Final = Path(__file__).parent / "frames"
OWN_FIND: Final = "own_find_"


@dataclass(frozen=True, slots=True)
class Frame:
    """One payload, and what it becomes. ``asks`` in ``becomes``: whether it may be answered."""

    name: str
    what: str
    seen: str
    sure: str
    payload: dict[str, Any]
    becomes: dict[str, Any]

    @property
    def is_own_find(self) -> bool:
        """Whether it was never seen, only reasoned from others."""
        return self.name.startswith(OWN_FIND)

    @property
    def is_message(self) -> bool:
        """Whether it is a message or a card that the site's history holds too."""
        return self.becomes["event"] in {"ChatMessage", "TradeCard"} and "2" in self.payload.get("1", {})

    def pushed(self) -> Event | ItemPage | None:
        """Return what Shoal makes of it when it is pushed; of a reply, what it reads."""
        if self.becomes["event"] == ItemPage.__name__:
            return read_item_page(self.payload, ITEM)
        return read_event(decode_entry(encode_entry(self.payload)), ME)

    def pulled(self) -> Event:
        """Return what Shoal makes of it when it is read from the history."""
        ((_, event),) = read_history({"code": 200, "body": {"userMessageModels": [self._line()]}}, ME).lines
        return event

    def _line(self) -> dict[str, Any]:
        message = self.payload["1"]
        custom = message["6"]["3"]
        data = custom["1"] or base64.b64encode(custom["5"].encode()).decode()
        return {
            "message": {
                "cid": message["2"],
                "messageId": message["3"],
                "createAt": message["5"],
                "sender": {"uid": message.get("1", {}).get("1", "")},
                "content": {"contentType": 101, "custom": {"summary": custom["2"], "type": custom["4"], "data": data}},
                "extension": message.get("10", {}),
            },
            "userExtension": {"needPush": "false"},
        }

    def differs(self, event: Event | ItemPage | None) -> dict[str, tuple[object, object]]:
        """Return what is not as it must be: by name, what must be and what is."""
        is_now = {name: _told(event, name) for name in self.becomes}
        return {name: (self.becomes[name], is_now[name]) for name in self.becomes if is_now[name] != self.becomes[name]}


def all_frames() -> list[Frame]:
    """Return all frames by name, those never seen at the end."""
    frames = [_frame(path) for path in _DIRECTORY.glob("*.json")]
    return sorted(frames, key=lambda frame: (frame.is_own_find, frame.name))


def pushed_frames() -> list[Frame]:
    """Return all frames but those of replies."""
    return [frame for frame in all_frames() if frame.becomes["event"] != ItemPage.__name__]


def all_events() -> list[Event]:
    """Return what Shoal makes of every frame that the site pushes."""
    events = (frame.pushed() for frame in pushed_frames())
    return [event for event in events if event is not None and not isinstance(event, ItemPage)]


def _frame(path: Path) -> Frame:
    told = json.loads(path.read_text(encoding="utf-8"))
    return Frame(path.stem, told["what"], told["seen"], told["sure"], _plain(told["payload"]), told["becomes"])


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(item) for key, item in value.items()}
    if "$json" in plain:
        return json.dumps(plain["$json"], ensure_ascii=False, separators=(",", ":"))
    if "$base64" in plain:
        return base64.b64encode(json.dumps(plain["$base64"], ensure_ascii=False).encode()).decode()
    return plain


def _status_of(event: TradeCard | CardUpdate | OrderMark) -> str:
    if isinstance(event, OrderMark):
        return status_named(event.mark)
    return status_on_card(event.reminder, event.title, event.button)


def _told(event: Event | ItemPage | None, name: str) -> object:
    match name:
        case "event":
            return type(event).__name__
        case "asks":
            return isinstance(event, ChatMessage) and event.speaker is Speaker.PERSON and bool(event.text)
        case "specs" if isinstance(event, ItemPage):
            return [[spec.name, spec.price_fen, spec.left] for spec in event.specs]
        case "pictures":
            return len(event.images) if isinstance(event, ChatMessage) else 0
        case "status" if isinstance(event, TradeCard | CardUpdate | OrderMark):
            return _status_of(event) or None
        case _:
            return getattr(event, name, None)
