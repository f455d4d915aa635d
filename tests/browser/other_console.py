"""The same console as another build would make it: each hashed file under another name."""

from __future__ import annotations

import re
from pathlib import Path

_HASHED = re.compile(r"-([\w-]{8})\.(js|css)$")
_TEXTS = {".js", ".css", ".html"}


def rebuilt(built: Path, into: Path) -> Path:
    """Copy the built files, unpacked, with the names that another version of all of them would have."""
    names = {path.name: _HASHED.sub(lambda found: f"-{found[1][::-1]}.{found[2]}", path.name) for path in _files(built)}
    anything = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
    for path in _files(built):
        copy = into / path.relative_to(built).with_name(names[path.name])
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in _TEXTS:
            copy.write_text(anything.sub(lambda found: names[found[0]], path.read_text()))
        else:
            copy.write_bytes(path.read_bytes())
    return into


def _files(built: Path) -> list[Path]:
    return [path for path in built.rglob("*") if path.is_file() and path.suffix not in {".br", ".gz", ".md"}]
