"""An ``OldShop`` in parts as it crosses the border between two processes: decoding a part never takes long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from shoal.maintenance.moving.old_shop import OldAccount, OldShop

_SLICE: Final = 500
"""How many rows one part has."""
_Whole = TypeVar("_Whole", OldShop, OldAccount)


class _Part(msgspec.Struct, array_like=True):
    """Some rows of a tuple of the shop, or of an account; without a ``name`` the shop without its tuples."""

    name: str
    account: int | None
    rows: msgspec.Raw


_encode = msgspec.msgpack.encode


def _tuples_of(kind: type) -> dict[str, Any]:
    """Return the fields of a class that are tuples, with their types."""
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind) if getattr(hints[one.name], "__origin__", None) is tuple}


_OF_SHOP: Final = _tuples_of(OldShop)
_OF_ACCOUNT: Final = _tuples_of(OldAccount)
_DECODERS: Final = {
    (name, is_account): msgspec.msgpack.Decoder(hint)
    for is_account, hints in ((False, _OF_SHOP), (True, _OF_ACCOUNT))
    for name, hint in hints.items()
}


def parts_of_shop(shop: OldShop) -> Iterator[bytes]:
    """Yield the parts."""
    for number, account in enumerate(shop.accounts):
        yield from _parts(account, _OF_ACCOUNT, number)
    emptied = tuple(_with(one, dict.fromkeys(_OF_ACCOUNT, ())) for one in shop.accounts)
    yield from _parts(replace(shop, accounts=emptied), _OF_SHOP, None)
    yield _encode(_Part("", None, _raw(_with(shop, dict.fromkeys(_OF_SHOP, ())))))


def _parts(whole: OldShop | OldAccount, names: dict[str, Any], account: int | None) -> Iterator[bytes]:
    for name in names:
        rows = getattr(whole, name)
        for start in range(0, len(rows), _SLICE):
            yield _encode(_Part(name, account, _raw(rows[start : start + _SLICE])))


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def shop_of_parts(parts: list[bytes]) -> OldShop:
    """Return the shop. It takes the parts out of the list, so that they and the shop are not in memory together."""
    found: defaultdict[int | None, defaultdict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    parts.reverse()
    while parts:
        part = msgspec.msgpack.decode(parts.pop(), type=_Part)
        if part.name:
            found[part.account][part.name] += _DECODERS[part.name, part.account is not None].decode(part.rows)
            continue
        rows, shop = found[None], msgspec.msgpack.decode(part.rows, type=OldShop)
        rows["accounts"] = [_with(one, found[number]) for number, one in enumerate(rows["accounts"])]
        return _with(shop, rows)
    raise EOFError


def _with(whole: _Whole, rows: Mapping[str, Iterable[Any]]) -> _Whole:
    values: Any = {name: tuple(some) for name, some in rows.items()}
    return replace(whole, **values)
