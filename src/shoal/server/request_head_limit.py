"""The HTTP protocol of the server with a size limit for headers and trailers: uvicorn would collect a request line,
headers and trailers of any length."""

from __future__ import annotations

from itertools import chain
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""The longest request line with all headers. A cookie in a body is not limited by this."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class RequestHeadLimit(HttpToolsProtocol):
    """Closes a connection whose headers or trailers exceed the limit. Trailers are ignored."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._moved_on = self._is_large = False

    def on_message_begin(self) -> None:
        """Start the next request."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Expect a body now. Headers that arrived in one large piece are measured here; the parser answers 400."""
        self._in_head, self._head_bytes, self._moved_on = False, 0, True
        if self._is_large and len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too large")
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Pass one header on. A header after the body is a trailer, and is dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on; the body has its own limit."""
        self._moved_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect headers again."""
        self._in_head, self._head_bytes, self._moved_on = True, 0, True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse the data; then check how much of it led to nothing: to no complete headers, or after a body."""
        self._moved_on, self._is_large = False, self._head_bytes + len(data) > MAX_HEAD_BYTES
        super().data_received(data)
        if not self._moved_on and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
