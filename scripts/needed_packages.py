"""Which packages an installed package needs, directly and indirectly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE: Mapping[str, str] = {}
"""The environment of this interpreter, to which nothing is added."""


def needed_by(*distributions: str, environments: Collection[Mapping[str, str]] = (HERE,)) -> set[str]:
    """Return the names of all direct and indirect dependencies of installed packages in any of the environments.

    The extras of a package are followed where it is asked for with them: ``shoal[otel]``.
    """
    found: set[str] = set()
    waiting = [Requirement(text) for text in distributions]
    followed: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        extras = frozenset(wanted.extras or {""})
        if (wanted.name, extras) in followed:
            continue
        followed.add((wanted.name, extras))
        for text in _requires(wanted.name):
            one = Requirement(text)
            if _applies(one, extras, environments):
                found.add(canonicalize_name(one.name))
                waiting.append(one)
    return found


def _requires(name: str) -> list[str]:
    """Return what a package requires; nothing for one that is needed elsewhere only, and is not installed here."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _applies(one: Requirement, extras: Collection[str], environments: Collection[Mapping[str, str]]) -> bool:
    return one.marker is None or any(
        one.marker.evaluate({**environment, "extra": extra}) for environment in environments for extra in extras
    )
