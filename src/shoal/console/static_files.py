"""Serves built files with type, cache header, and the best encoding that the browser accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final

import msgspec
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from shoal.language.catalogue import translate
from shoal.language.choice import language_of

FOREVER: Final = "public, max-age=31536000, immutable"
"""For files with a hash in their names."""
ASK_AGAIN: Final = "no-cache"
_LONGEST_PATH: Final = 200
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_TYPES: Final = MimeTypes()
_TYPES.add_type("application/manifest+json", ".webmanifest")
_TYPES.add_type("text/javascript", ".js")
_TYPES.add_type("font/woff2", ".woff2")
_TYPES.add_type("image/webp", ".webp")
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="shoal-console")
"""Threads for these files only, so that they never wait for other requests' work."""


def page_headers(*script_sources: str) -> dict[str, str]:
    """Return the headers of the pages. Scripts come from this server, and from ``script_sources`` such as hashes."""
    scripts = " ".join(("'self'", *script_sources))
    return {
        "Content-Security-Policy": (
            f"default-src 'self'; script-src {scripts}; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


class _File(msgspec.Struct, frozen=True):
    """One built file, in one encoding."""

    data: bytes
    media_type: str
    encoding: str
    etag: str


async def file_answer(
    request: Request, root: Path, name: str, headers: Mapping[str, str], *, caching: str, status: int = 200
) -> Response | None:
    """Return the answer with the file ``name`` below ``root``; ``None`` when there is no such file."""
    found = await asyncio.get_running_loop().run_in_executor(
        _THREADS, _file, root, name, request.headers.get("accept-encoding", "")
    )
    if found is None:
        return None
    answer_headers = {**headers, "Cache-Control": caching, "ETag": found.etag, "Vary": "Accept-Encoding"}
    if status == 200 and found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=answer_headers)
    if found.encoding:
        answer_headers["Content-Encoding"] = found.encoding
    return Response(found.data, status, media_type=found.media_type, headers=answer_headers)


def _file(root: Path, name: str, accepted: str) -> _File | None:
    if len(name) > _LONGEST_PATH or not name.isprintable() or ".." in name.split("/"):
        return None
    for encoding, ending in _ENCODINGS:
        if encoding in accepted and (packed := _read(root / f"{name}{ending}", _media_type(name), encoding)):
            return packed
    return _read(root / name, _media_type(name), "")


def _media_type(name: str) -> str:
    guessed = _TYPES.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


@lru_cache(maxsize=256)
def _read_cached(path: Path, media_type: str, encoding: str, changed_ns: int, size: int) -> _File:
    return _File(path.read_bytes(), media_type, encoding, f'"{changed_ns:x}-{size:x}{encoding and "-" + encoding}"')


def _read(path: Path, media_type: str, encoding: str) -> _File | None:
    try:
        facts = path.stat()
        return _read_cached(path, media_type, encoding, facts.st_mtime_ns, facts.st_size) if path.is_file() else None
    except OSError:  # missing or unreadable
        return None


def not_built(request: Request, title: str, command: str) -> HTMLResponse:
    """Return a page that says how to build the missing files in a source checkout. ``title``: a catalogue key."""
    language = language_of(request.headers.get("accept-language"))
    text = translate("page.build", language, command=f"<code>{command}</code>")
    page = (
        f"<!doctype html><html lang={language.tag}><meta charset=utf-8>"
        f"<meta name=color-scheme content='light dark'>"
        f"<meta name=viewport content='width=device-width'><title>Shoal</title>"
        f"<body style='font:16px/1.6 system-ui,sans-serif;max-width:38em;margin:15vh auto;padding:0 1.5em'>"
        f"<h1 style='font-size:1.4em'>{translate(title, language)}</h1><p>{text}</p>"
    )
    return HTMLResponse(page, 503, headers={**page_headers(), "Cache-Control": "no-store"})
