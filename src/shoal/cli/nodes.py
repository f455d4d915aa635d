"""``shoal nodes …``: the servers that share one database, over the API of any of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shoal.cli.api_client import ApiClient
from shoal.cli.arguments import AsJson
from shoal.cli.output import ask, publish
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import rows_table
from shoal.cli.words import printable, words

nodes = typer.Typer(no_args_is_help=True, help=words("cli.nodes.help.nodes"))

_LOOK_SECONDS = 0.5
WARNED_SECONDS = 1.0
"""A clock that differs by more is named."""

Name = Annotated[str, typer.Argument(help=words("cli.nodes.help.name"), show_default=False)]


@nodes.command("list", help=words("cli.nodes.help.list"))
def list_nodes(url: Url = None, as_json: AsJson = False) -> None:
    """List the servers, with what each runs and how long its lease is still valid."""
    ask(url, "GET", "system", "nodes", shown=_shown, as_json=as_json)


@nodes.command("drain", help=words("cli.nodes.help.drain"))
def drain_node(
    name: Name,
    url: Url = None,
    wait: Annotated[bool, typer.Option(help=words("cli.nodes.help.wait"))] = True,
    as_json: AsJson = False,
) -> None:
    """Let a server give up its shops, and wait for it."""
    run(_drain(url, name, wait=wait, as_json=as_json))


@nodes.command("undrain", help=words("cli.nodes.help.undrain"))
def undrain_node(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Let a server take its share of the shops again."""

    def sentence(_: dict[str, Any]) -> str:
        return words("cli.nodes.back", name=printable(name))

    ask(url, "DELETE", "system", "nodes", name, "drain", shown=sentence, as_json=as_json)


async def _drain(url: str | None, name: str, *, wait: bool, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("POST", "system", "nodes", name, "drain")
        if wait:
            found = await _given_up(client, name, found)

    def sentence(found: dict[str, Any]) -> str:
        one = _of(found, name)
        if not one["live"]:
            return words("cli.nodes.stopped", name=printable(name))
        return words("cli.nodes.began" if one["shards"] else "cli.nodes.done", name=printable(name))

    publish(found, sentence, as_json=as_json)


async def _given_up(client: ApiClient, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the servers once that one owns nothing any more, is not being drained any more, or has stopped."""
    with Console(stderr=True).status("") as status:
        while (one := _of(found, name))["live"] and one["draining"] and one["shards"]:
            status.update(words("cli.nodes.going", name=printable(name), count=one["shops"]))
            await asyncio.sleep(_LOOK_SECONDS)
            found = await client.call("GET", "system", "nodes")
    return found


def _of(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a server; one with several workers as the sum of them."""
    return _whole(name, [item for item in found["items"] if _server_of(item) == name])


def _server_of(item: dict[str, Any]) -> str:
    return str(item["name"]).partition("/")[0]


def _whole(name: str, workers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a server as the sum of its workers; those that do not live count only when none does."""
    live = [one for one in workers if one["live"]] or workers
    sums = {field: sum(one[field] for one in live) for field in ("shops", "shards")}
    left = min(one["lease_left_seconds"] for one in live)
    draining = all(one["draining"] for one in live)
    return {**live[0], "name": name, **sums, "lease_left_seconds": left, "draining": draining}


def _shown(found: dict[str, Any]) -> str | Table:
    if not found["items"]:
        return words("cli.nodes.none")
    servers: dict[str, list[dict[str, Any]]] = {}
    for one in found["items"]:
        servers.setdefault(_server_of(one), []).append(one)
    names = ("server", "version", "state", "shops", "shards", "lease_left", "machine")
    return rows_table(names, [row for name in servers for row in _rows(name, servers[name])])


def _rows(name: str, workers: list[dict[str, Any]]) -> list[list[str]]:
    """Return the row of a server, and below it those of its workers."""
    if [one["name"] for one in workers] == [name]:
        return [_row(workers[0])]
    return [_row(_whole(name, workers)), *(_row({**one, "name": f"  {one['name']}"}) for one in workers)]


def _row(one: dict[str, Any]) -> list[str]:
    left = words("cli.nodes.lease_left", seconds=f"{one['lease_left_seconds']:.0f}") if one["live"] else "–"
    return [
        printable(one["name"]),
        printable(one["version"]),
        _state(one),
        str(one["shops"]),
        str(one["shards"]),
        left,
        printable(one["host"]),
    ]


def _state(one: dict[str, Any]) -> str:
    if not one["live"]:
        return words("cli.nodes.gone")
    ahead = one.get("clock_ahead_seconds", 0.0)
    if abs(ahead) > WARNED_SECONDS:
        return words("cli.nodes.clock_off", seconds=f"{ahead:+.0f}")
    if not one["draining"]:
        return words("cli.nodes.live")
    return words("cli.nodes.draining" if one["shards"] else "cli.nodes.drained")
