"""Which of the errors that ended a connection together is the one to report."""

from __future__ import annotations

from shoal.connection.socket_tokens import TokenRenewed
from shoal.errors import ActionRequired, ShoalError
from shoal.xianyu.socket_errors import TokenRefused


def error_to_report(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a group to report: first one that the owner must know, then an unexpected one."""
    flat: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            flat.append(error)
    return min(flat, key=_rank)


def _rank(error: BaseException) -> int:
    if isinstance(error, ActionRequired):
        return 0
    if isinstance(error, TokenRefused):
        return 1
    if isinstance(error, TokenRenewed):
        return 3
    return 4 if isinstance(error, ShoalError) else 2
