"""The HTTP protocol of our server with an end to what comes before a body: a request line and headers of any length
would be gathered else.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""The longest request line with all headers. A cookie that is pasted into a body does not stand here."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose head grows beyond the limit."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._moved_on = False

    def on_message_begin(self) -> None:
        """Another request begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """What comes now is a body. A head that came in one piece is measured here; the parser answers 400."""
        self._in_head, self._moved_on = False, True
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes now is a head again."""
        self._in_head, self._head_bytes, self._moved_on = True, 0, True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; then look how long the head is that has not ended yet."""
        self._moved_on = False
        super().data_received(data)
        if self._in_head and not self._moved_on and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
