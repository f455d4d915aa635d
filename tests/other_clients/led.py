"""Runs a program whose every connection to a port 443 is led to one port of this machine; no other leaves it.

    python led.py PORT PROGRAM [ARGUMENT …]

It runs under the program's own interpreter, so it needs nothing but Python itself. Names are not looked up: each is
this machine. Certificates are checked by those that ``SSL_CERT_FILE`` and ``REQUESTS_CA_BUNDLE`` name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import runpy
import socket
import sys
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
HTTPS = 443


def lead(port: int) -> None:
    """Lead every connection from now on."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def led(address: Any) -> Any:
        if not isinstance(address, tuple):
            return address
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise PermissionError(f"{address[0]} is not on this machine")
        return (LOOPBACK, port) if address[1] == HTTPS else address

    def connect_led(self: socket.socket, address: Any) -> None:
        connect(self, led(address))

    def connect_ex_led(self: socket.socket, address: Any) -> int:
        return connect_ex(self, led(address))

    def look_up_led(host: Any, *rest: Any, **named: Any) -> Any:
        return look_up(LOOPBACK if host else host, *rest, **named)

    socket.socket.connect = connect_led  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = connect_ex_led  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = look_up_led
    asyncio.base_events.socket.getaddrinfo = look_up_led  # type: ignore[attr-defined]


def main() -> None:
    """Lead, and run the program as if it were started by itself."""
    port, program = int(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    sys.path[0:1] = [str(Path.cwd()), str(Path(program).resolve().parent)]
    lead(port)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
