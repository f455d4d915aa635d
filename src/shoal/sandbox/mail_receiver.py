"""A mail server that keeps what it receives, on a loopback port of its own, with faults to lay out."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any, Final, Literal, cast

MailFault = Literal["", "slow", "busy", "refuses_sender", "closing", "closing_after", "no_starttls"]
_MOST: Final = 1 << 20

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class MailReceiver:
    """``tls``: the certificate, offered by STARTTLS, or used from the first byte when ``at_once``.

    Faults: ``slow`` never greets, ``busy`` answers 451 to the text, ``refuses_sender`` 550, ``closing`` drops the
    connection instead of asking for the text, ``closing_after`` drops it when it has the text.
    """

    tls: ssl.SSLContext | None = None
    at_once: bool = False
    password: str = ""
    fault: MailFault = ""
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    greeted: list[str] = field(default_factory=list)
    """the names by which clients call themselves"""
    port: int = 0
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def open(self) -> MailReceiver:
        """Listen on a free port."""
        context = self.tls if self.at_once else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=_MOST)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Stop, also in the middle of a mail."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(cast("asyncio.Task[Any]", asyncio.current_task()))
        try:
            if self.fault == "slow":
                await asyncio.Event().wait()
            await self._talk((reader, writer))
        except (OSError, EOFError):
            pass
        finally:
            self._serving.discard(cast("asyncio.Task[Any]", asyncio.current_task()))
            writer.close()

    async def _talk(self, streams: _Streams) -> None:
        reader, writer = streams
        encrypted = self.at_once

        def reply(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())

        reply("220 sandbox ready")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    self.greeted.append(rest)
                    offered = self.tls is not None and not encrypted and self.fault != "no_starttls"
                    reply("250-sandbox", *(["250-STARTTLS"] if offered else []), "250 AUTH PLAIN LOGIN")
                case "STARTTLS" if self.tls is not None:
                    reply("220 go ahead")
                    await writer.drain()
                    await writer.start_tls(self.tls)
                    encrypted = True
                case "AUTH":
                    reply("235 ok" if self._knows(rest) else "535 wrong password")
                case "MAIL" if self.fault == "refuses_sender":
                    reply("550 sender refused")
                case "DATA":
                    if not await self._take(streams):
                        return
                case "QUIT":
                    reply("221 bye")
                    return
                case _:
                    reply("250 ok")

    def _knows(self, rest: str) -> bool:
        method, _, first = rest.partition(" ")
        if method.upper() != "PLAIN":
            return False
        _, user, password = base64.b64decode(first).decode().split("\0")
        self.logins.append(user)
        return password == self.password

    async def _take(self, streams: _Streams) -> bool:
        """Receive a text; return whether the talk goes on."""
        reader, writer = streams
        if self.fault == "closing":
            return False
        writer.write(b"354 go ahead\r\n")
        raw = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
        if self.fault == "busy":
            writer.write(b"451 try again later\r\n")
            return True
        self.mails.append(BytesParser(policy=default).parsebytes(raw.replace(b"\r\n..", b"\r\n.")))
        if self.fault == "closing_after":
            return False
        writer.write(b"250 queued as 7\r\n")
        return True
