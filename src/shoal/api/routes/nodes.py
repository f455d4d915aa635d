"""The servers that share one database: who is there, what each runs, and draining one before it is stopped."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from shoal.api.http.caller import Administrator, Origin, TheServer, actor_of
from shoal.api.http.openapi_errors import ACTING, ASKING
from shoal.api.http.routing import Routes
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.users import User
from shoal.cluster.nodes import NodeFacts

routes = Routes(tags=["system"])

NodeName = Annotated[
    str, Path(max_length=60, description="The server's name: SHOAL_NODE; of one with workers, for all of them.")
]


class NodeShape(BaseModel):
    """One server, or one of its workers. One that does not live has no lease; its shops are run by the others."""

    name: str = Field(description="SHOAL_NODE; of a worker with its number, such as `one/2`.")
    host: str
    address: str = Field(description="Where the other servers call it; empty: nowhere.")
    version: str
    schema_revision: str
    live: bool
    draining: bool = Field(description="Whether it gives up its shops and takes none, until it is started again.")
    lease_left_seconds: float = Field(description="When it is silent for so long, the others take over its shops.")
    shards: int = Field(description="How many of the 1,024 parts of all shops it owns.")
    shops: int = Field(description="How many shops are in them, also disabled ones.")
    started_at: str
    clock_ahead_seconds: float = Field(
        description="How far its clock is ahead of the database's; from 10 s on, either way, it takes no shops."
    )


_NODE = {
    "name": "one", "host": "machine-1", "address": "", "version": "0.1.0", "schema_revision": "0024", "live": True,
    "draining": False, "lease_left_seconds": 12.4, "shards": 512, "shops": 40, "started_at": "2026-01-01T00:00:00.000Z",
    "clock_ahead_seconds": 0.0,
}  # fmt: skip


class NodesShape(BaseModel):
    """The servers, the living first. ``answered_by``: the one that answers; null where there is a single one."""

    model_config = example(answered_by="one", items=[_NODE])
    answered_by: str | None
    items: list[NodeShape]


@routes.get("/system/nodes", summary="List the servers of this database", responses=ASKING)
async def get_nodes(server: TheServer, _: Administrator) -> NodesShape:
    """Return the servers that share this database, with what each runs. The list of a single server is empty."""
    return await _shown(server)


@routes.post("/system/nodes/{name:path}/drain", summary="Let a server give up its shops", responses=ACTING)
async def drain_node(name: NodeName, server: TheServer, me: Administrator, origin: Origin) -> NodesShape:
    """Let a server give up its shops to the others, some at a time, and take none until it is started again.

    Any server may be asked. Answers 409 (`last_node`) when no other server would take them, and (`one_server`) where
    a single one serves the database, and (`drained_by_server`) for a worker: those of a server are drained together,
    by its name. `GET /system/nodes` shows how many are left.
    """
    await _mark(server, me, origin, name, draining=True)
    return await _shown(server)


@routes.delete(
    "/system/nodes/{name:path}/drain",
    summary="Let a server take its share of the shops again",
    responses=ACTING,
)
async def undrain_node(name: NodeName, server: TheServer, me: Administrator, origin: Origin) -> NodesShape:
    """Let a server that is being drained, or was, take its share of the shops again. Any server may be asked."""
    await _mark(server, me, origin, name, draining=False)
    return await _shown(server)


async def _mark(server: Server, me: User, origin: str, name: str, *, draining: bool) -> None:
    await server.nodes.drain(name, draining=draining)
    await server.audit_log.record(
        AuditEvent.NODE_DRAINED, actor=actor_of(me), user_id=me.id, origin=origin, node=name, draining=draining
    )


async def _shown(server: Server) -> NodesShape:
    return NodesShape(answered_by=server.nodes.name, items=[_shape(one) for one in await server.nodes.all()])


def _shape(node: NodeFacts) -> NodeShape:
    return filled(
        NodeShape,
        node,
        schema_revision=node.schema,
        live=node.is_live,
        lease_left_seconds=node.lease_left_ms / 1000,
        clock_ahead_seconds=node.clock_offset_ms / 1000,
    )
