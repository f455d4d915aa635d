"""Put a defect into functions that are loaded already, so that a forked process need not import anything anew."""

from __future__ import annotations

import gc
import inspect
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType, FunctionType

_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_Key = tuple[str, int, str]


def loaded_functions() -> dict[_Key, list[FunctionType]]:
    """Every function of this process by its file, line and name."""
    gc.unfreeze()  # what is frozen is not listed
    found: dict[_Key, list[FunctionType]] = defaultdict(list)
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            found[_key(one.__code__)].append(one)
    return found


def differences(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions of a module that differ. ``None``: what runs while the module is imported differs."""
    found = list(_differing(old, new))
    if any(_runs_at_import(one) for one, _ in found):
        return None
    return [(one, other) for one, other in found if one.co_name not in _COMPREHENSIONS]


def swap(functions: dict[_Key, list[FunctionType]], found: list[tuple[CodeType, CodeType]]) -> None:
    """Give the functions their new code. Raises ``ValueError`` when one closes over other variables than before."""
    for old, new in found:
        for function in functions.get(_key(old), ()):
            function.__code__ = new


def _key(code: CodeType) -> _Key:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _runs_at_import(code: CodeType) -> bool:
    if "<locals>" in code.co_qualname:
        return False
    return not code.co_flags & inspect.CO_OPTIMIZED or code.co_name in _COMPREHENSIONS


def _differing(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The pairs of code that differ in themselves, and what is around them in functions: it holds the inner ones."""
    if old == new:
        return
    inner_old, inner_new = _inner(old), _inner(new)
    if _itself(old) != _itself(new) or len(inner_old) != len(inner_new) or old.co_flags & inspect.CO_OPTIMIZED:
        yield old, new
    if len(inner_old) == len(inner_new):
        for one, other in zip(inner_old, inner_new, strict=True):
            yield from _differing(one, other)


def _inner(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _itself(code: CodeType) -> tuple[object, ...]:
    constants = [(type(one), repr(one)) for one in code.co_consts if not isinstance(one, CodeType)]
    return code.co_code, code.co_names, constants, code.co_varnames, code.co_exceptiontable, code.co_freevars
