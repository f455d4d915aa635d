"""Files that commands read and write; ``-`` is the standard input. Raises ``typer.BadParameter`` with a sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.words import words

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient


def bytes_of(file: Path) -> bytes:
    """Return what is in a file."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(words("cli.goods.unreadable", path=file, why=error.strerror)) from None


def json_of(file: Path) -> Any:
    """Return the JSON in a file."""
    try:
        return json.loads(bytes_of(file))
    except ValueError:
        raise typer.BadParameter(words("cli.goods.no_json", path=file)) from None


def write(file: Path, data: bytes) -> None:
    """Write a file."""
    try:
        file.write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(
            words("cli.deliveries.unwritable", path=file, why=error.strerror), param_hint="FILE"
        ) from None


async def uploaded(client: ApiClient, picture: str) -> str:
    """Return the address of a picture: the one that is given, or that of a file, which is uploaded."""
    if picture.startswith(("http://", "https://")):
        return picture
    file = Path(picture)
    answer = await client.send_file("POST /pictures", file.name, bytes_of(file), field="image")
    return str(answer["image_url"])


async def downloaded(client: ApiClient, operation: str, file: Path, query: dict[str, Any], **path: str) -> Any:
    """Write what an operation answers with to a file, in the format that its ending names. Return its name and size."""
    form = file.suffix.lower().removeprefix(".")
    data = await client.fetch_file(operation, query={**query, "format": form}, **path)
    write(file, data)
    return {"file": str(file), "bytes": len(data)}


def with_ending(*endings: str, refused: str) -> Any:
    """Return what reads the path of a file with one of the endings; ``refused`` is the sentence for another one."""

    def read(file: Path) -> Path:
        if file.suffix.lower() not in endings:
            raise typer.BadParameter(words(refused), param_hint="FILE")
        return file

    return read
