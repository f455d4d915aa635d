"""The console's files: one page for every path below ``/console/``, and the hashed files it loads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.language.choice import Language, language_of

routes = Routes(include_in_schema=False, dependencies=[ANYBODY])

STATIC: Final = Path(__file__).parent / "static"
"""What the build of ``web/`` made; it is not there in a fresh checkout."""
_ASSETS: Final = "assets"
_LONGEST_PATH: Final = 200
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_TYPES: Final = MimeTypes()
_TYPES.add_type("application/manifest+json", ".webmanifest")
_TYPES.add_type("text/javascript", ".js")
_TYPES.add_type("font/woff2", ".woff2")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="shoal-console")
"""For these files alone: they never wait behind anything that people cause."""
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class _File:
    """One built file, in one encoding."""

    data: bytes
    media_type: str
    encoding: str
    etag: str


@routes.get("/")
async def front_door() -> RedirectResponse:
    """Who types no path wants the console."""
    return RedirectResponse("/console/", headers={"Cache-Control": _ASK_AGAIN})


@routes.get("/console")
@routes.get("/console/{path:path}")
async def show_console(request: Request, path: str = "") -> Response:
    """A built file, or the page, which finds its way from the path by itself."""
    if not (STATIC / "index.html").is_file():
        return _not_built(request)
    name = path if _is_file_name(path) else "index.html"
    found = await asyncio.get_running_loop().run_in_executor(
        _THREADS, _file, name, request.headers.get("accept-encoding", "")
    )
    if found is None:
        return Response(status_code=404, headers=_HEADERS)
    caching = _FOREVER if name.startswith(f"{_ASSETS}/") else _ASK_AGAIN
    headers = {**_HEADERS, "Cache-Control": caching, "ETag": found.etag, "Vary": "Accept-Encoding"}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if found.encoding:
        headers["Content-Encoding"] = found.encoding
    return Response(found.data, media_type=found.media_type, headers=headers)


def _is_file_name(path: str) -> bool:
    """Whether the path names a file rather than a page: the last part of a page's path has no known ending."""
    return path.startswith(f"{_ASSETS}/") or (
        "/" not in path and Path(path).suffix in {".js", ".svg", ".png", ".webmanifest", ".md", ".txt"}
    )


def _file(name: str, accepted: str) -> _File | None:
    """The built file in the best encoding that the browser takes; ``None`` when there is no such file."""
    if len(name) > _LONGEST_PATH or not name.isprintable() or ".." in name.split("/"):
        return None
    for encoding, ending in _ENCODINGS:
        if encoding in accepted and (packed := _read(f"{name}{ending}", _media_type(name), encoding)):
            return packed
    return _read(name, _media_type(name), "")


def _media_type(name: str) -> str:
    guessed = _TYPES.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


@lru_cache(maxsize=256)
def _read_cached(path: Path, media_type: str, encoding: str, changed_ns: int, size: int) -> _File:
    return _File(path.read_bytes(), media_type, encoding, f'"{changed_ns:x}-{size:x}{encoding and "-" + encoding}"')


def _read(name: str, media_type: str, encoding: str) -> _File | None:
    path = STATIC / name
    try:
        facts = path.stat()
        return _read_cached(path, media_type, encoding, facts.st_mtime_ns, facts.st_size) if path.is_file() else None
    except OSError:  # no such file, or none that can be read
        return None


def _not_built(request: Request) -> HTMLResponse:
    """What to do when the files are missing: this was started from a checkout."""
    if language_of(request.headers.get("accept-language")) is Language.ZH:
        language, title = "zh-CN", "网页控制台尚未构建"
        text = (
            "请在源码目录中运行 <code>make console</code>，然后刷新本页。"
            "接口不受影响，说明见 <a href='/docs'>/docs</a>。"
        )
    else:
        language, title = "en", "The web console has not been built"
        text = (
            "Run <code>make console</code> in the source directory, then load this page again. "
            "The API works meanwhile; <a href='/docs'>/docs</a> describes it."
        )
    page = (
        f"<!doctype html><html lang={language}><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        f"<meta name=viewport content='width=device-width'><title>Shoal</title>"
        f"<body style='font:16px/1.6 system-ui,sans-serif;max-width:38em;margin:15vh auto;padding:0 1.5em'>"
        f"<h1 style='font-size:1.4em'>{title}</h1><p>{text}</p>"
    )
    return HTMLResponse(page, 503, headers={**_HEADERS, "Cache-Control": "no-store"})
