"""The text of a dump, read piece by piece: it may be larger than the memory."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from shoal.errors import InvalidInput
from shoal.maintenance.moving.tables import too_much

_PIECE: Final = 1 << 20
"""How many characters are read at once."""
_LONGEST: Final = 1 << 25
"""How many characters a word of a dump may have: all codes of a card are one word."""
_BOTH_ENDS: Final = 1000
"""In so many characters at its beginning and its end a dump names its program, and says that it is complete."""
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a text begins that PowerShell wrote."""


def cut_off() -> InvalidInput:
    """Return the refusal of a dump that ends within a statement, or before it says that it is complete."""
    return InvalidInput("the dump ends within a statement", code="moving_dump_cut_off")


class DumpText:
    """Reads a file of text. ``words`` and ``lines`` go on where the other one ended. Close it afterwards."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            encoding = "utf-16" if file.read(2) in _UTF16 else "utf-8-sig"
        self._file = path.open(encoding=encoding, errors="replace", newline="")
        self.head = self._text = self._last = self._file.read(_BOTH_ENDS)
        self._at, self._is_whole = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def pieces(self, overlap: int) -> Iterator[str]:
        """Yield the whole text in pieces, each with the last ``overlap`` characters of the one before."""
        yield self._text
        while not self._is_whole:
            self._at = max(len(self._text) - overlap, 0)
            self._more()
            yield self._text

    def words(self, word: re.Pattern[str], unfinished: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Yield the matches of ``word``, one behind the other.

        ``unfinished`` matches a word of one character that may be the beginning of a longer one. Raises
        ``InvalidInput`` (``moving_too_much``) for a word that is too long.
        """
        while True:
            size = len(self._text)
            for match in word.finditer(self._text, self._at):
                end = match.end()
                if not self._is_whole and (
                    end == size or (end - match.start() == 1 and unfinished.match(self._text, end - 1))
                ):
                    break
                self._at = end
                yield match
            if self._is_whole:
                return
            self._more()

    def lines(self) -> Iterator[str]:
        """Yield the lines, without their ends."""
        while True:
            end = self._text.find("\n", self._at)
            if end >= 0:
                line, self._at = self._text[self._at : end], end + 1
                yield line.removesuffix("\r")
            elif not self._is_whole:
                self._more()
            else:
                return

    def must_be_whole(self, beginning: str, end: str) -> None:
        """Raise ``InvalidInput`` (``moving_dump_cut_off``) for a dump that begins with its program's comment and lacks
        that at its end. A dump without comments says nothing about it. Call it when all is read."""
        if beginning in self.head and end not in self._last:
            raise cut_off()

    def _more(self) -> None:
        """Read as much as is unread again, so that a long word is not looked at for each piece of it."""
        unread = self._text[self._at :]
        if len(unread) > _LONGEST:
            raise too_much()
        piece = self._file.read(max(len(unread), _PIECE))
        self._is_whole = not piece
        self._last = (self._last + piece)[-_BOTH_ENDS:]
        self._text, self._at = unread + piece, 0
