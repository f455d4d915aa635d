"""What the server and the process that runs Apprise say to each other: one line of JSON for each request and reply."""

from __future__ import annotations

from typing import Any, Final

import msgspec

MOST_LINE: Final = 1 << 18
"""How long a line may be."""
POST: Final = "post"
"""The schema of an address that has the whole body, for what Apprise has no form of."""


class Start(msgspec.Struct):
    """The first line: the port of the proxy, and the certificates to trust (empty: those of the package)."""

    proxy_port: int
    authorities: str = ""


class Request(msgspec.Struct):
    """One message for one address. ``word``: the pass for the proxy."""

    id: int
    word: str
    address: dict[str, Any]
    title: str
    body: str
    kind: str


class Reply(msgspec.Struct):
    """What became of it.

    ``status`` is 0 without an answer; ``began`` says whether the request had left by then. ``problem``: what failed.
    """

    id: int
    status: int = 0
    body: str = ""
    retry_after: str = ""
    began: bool = False
    problem: str = ""


encode = msgspec.json.encode
decode_start = msgspec.json.Decoder(Start).decode
decode_request = msgspec.json.Decoder(Request).decode
decode_reply = msgspec.json.Decoder(Reply).decode
