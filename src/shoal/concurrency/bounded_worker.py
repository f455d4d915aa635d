"""A process that reads and writes files, bounded in time and memory; the server can end it in the middle of a file.

``python -m shoal.concurrency.bounded_worker BYTES SECONDS``: the bounds of its memory, and of processor time for each
call. It reads calls from its standard input and writes the parts of each answer to its standard output. It has nothing
of the server: no database, no key, no connection. It ends with its input, and when it has no memory left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import IO, Any, Final

import msgspec

from shoal.concurrency.child_process import bound_memory, bound_time, end_with_the_server, forbid_core_dumps
from shoal.errors import InvalidInput, NotApplied, ShoalError, TemporaryFailure

HEAD_BYTES: Final = 5
"""In front of each message: its kind, one byte, and its length."""
CALL, PART, FAILURE, END = range(4)
_NICENESS: Final = 10
"""Requests to the server have priority over files."""
_KINDS: Final[dict[str, type[ShoalError]]] = {one.__name__: one for one in (InvalidInput, NotApplied, TemporaryFailure)}

Job = Callable[[bytes], Iterable[bytes]]
"""Answers an argument in parts. Raises ``InvalidInput``, ``NotApplied`` or ``TemporaryFailure``."""


class Call(msgspec.Struct, array_like=True):
    """Calls a ``Job`` by its name, ``module:function``."""

    job: str
    argument: bytes


class Failure(msgspec.Struct, array_like=True):
    """An error as it crosses the border between two processes."""

    kind: str
    code: str
    text: str
    params: dict[str, Any]

    @classmethod
    def of(cls, error: ShoalError) -> Failure:
        """Return what an error says."""
        kind = next((one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS), InvalidInput.__name__)
        return cls(kind, error.code, str(error), dict(error.params))

    def error(self) -> ShoalError:
        """Return the error again."""
        return _KINDS[self.kind](self.text, code=self.code, **self.params)


def message(kind: int, body: bytes = b"") -> bytes:
    """Return a message as it is written."""
    return bytes((kind,)) + len(body).to_bytes(HEAD_BYTES - 1) + body


def head_of(data: bytes) -> tuple[int, int]:
    """Return the kind of a message and the length of its body."""
    return data[0], int.from_bytes(data[1:])


def _answer(call: Call) -> Iterator[bytes]:
    """Yield the messages that answer a call."""
    module, _, name = call.job.partition(":")
    job: Job = getattr(import_module(module), name)
    bound_time(int(sys.argv[2]))
    try:
        for part in job(call.argument):
            yield message(PART, part)
    except ShoalError as error:
        yield message(FAILURE, msgspec.msgpack.encode(Failure.of(error)))
    else:
        yield message(END)


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main() -> None:
    """Answer calls until the input or the memory ends."""
    end_with_the_server()
    bound_memory(int(sys.argv[1]))
    # a process that used too much time would dump its memory; afterwards /proc files cannot be written
    forbid_core_dumps()
    os.nice(_NICENESS)
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    decode = msgspec.msgpack.Decoder(Call).decode
    try:
        while True:
            _, size = head_of(_read_exactly(source, HEAD_BYTES))
            for answer in _answer(decode(_read_exactly(source, size))):
                sink.write(answer)
            sink.flush()
    except (EOFError, MemoryError):
        return


if __name__ == "__main__":
    main()
