"""Asks for a long secret on a terminal: shows nothing, cuts nothing, and reads several pasted lines as one answer."""

from __future__ import annotations

import os
import select
import sys
import termios

PASTE_PAUSE_SECONDS = 0.2
"""A paste arrives without pauses; a line end followed by silence is the user's Enter."""
MAX_BYTES = 1_000_000


def ask_hidden(question: str) -> str:
    """Ask on the terminal. Raises ``EOFError`` when the answer is empty.

    ``getpass`` reads one line from the terminal, which ends at 4,096 characters (1,024 on some systems); a cookie may
    be longer.
    """
    sys.stderr.write(question)
    sys.stderr.flush()
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    hidden = termios.tcgetattr(handle)
    hidden[3] &= ~(termios.ICANON | termios.ECHO)
    hidden[6][termios.VMIN], hidden[6][termios.VTIME] = 1, 0
    termios.tcsetattr(handle, termios.TCSADRAIN, hidden)
    try:
        answer = _read(handle)
    finally:
        termios.tcsetattr(handle, termios.TCSAFLUSH, before)
        sys.stderr.write("\n")
    text = answer.decode("utf-8", "replace").strip()
    if not text:
        raise EOFError
    return text


def _read(handle: int) -> bytes:
    answer = b""
    while len(answer) < MAX_BYTES:
        chunk = os.read(handle, 65_536)
        answer += chunk
        if not chunk or chunk.endswith(b"\x04"):
            return answer.rstrip(b"\x04")
        if chunk.endswith((b"\n", b"\r")) and not select.select([handle], [], [], PASTE_PAUSE_SECONDS)[0]:
            return answer
    return answer
