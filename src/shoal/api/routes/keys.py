"""The keys that encrypt secrets: figures, rotation, removal of old keys. Answers never contain a key."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel, Field

from shoal.api.http.caller import Administrator, Origin, TheServer, actor_of
from shoal.api.http.openapi_errors import ASKING, problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.auth.audit_entries import AuditEvent
from shoal.storage.key_rotation import KeyFigures

routes = Routes(tags=["system"])


class KeyBody(BaseModel):
    """One key. ``loaded``: the server has it; without a key its values cannot be decrypted."""

    id: str = Field(description="Identifies the key: part of a hash of it, not of the key itself.")
    newest: bool
    loaded: bool
    values: int = Field(description="Number of values encrypted with this key.")


class KeysBody(BaseModel):
    """The keys, newest first, and the progress of the rotation."""

    model_config = example(
        keys=[
            {"id": "5f1d0c9b7a3e2468", "newest": True, "loaded": True, "values": 40},
            {"id": "0a1b2c3d4e5f6071", "newest": False, "loaded": True, "values": 12},
        ],
        from_setting=False,
        rotating=True,
        renewed=40,
        total=52,
        unreadable=0,
        waiting_for=[],
        absent=[],
    )
    keys: list[KeyBody]
    from_setting: bool = Field(
        description="Whether the keys come from SHOAL_SECRET_KEY; then the server cannot change them."
    )
    rotating: bool = Field(description="Whether values are being encrypted again now.")
    renewed: int = Field(description="Number of values encrypted with the newest key.")
    total: int
    unreadable: int = Field(description="Number of values that their old key cannot decrypt; they stay as they are.")
    waiting_for: list[str] = Field(
        description="The servers that have not taken up the newest key, where several share the database."
    )
    absent: list[str] = Field(
        description="The servers that do not run and lacked the newest key when they last ran. Once the old key is "
        "deleted, each needs a copy of another server's secret.key before it starts."
    )


@routes.get("/system/keys", summary="List encryption keys", responses=ASKING)
async def get_keys(server: TheServer, _: Administrator) -> KeysBody:
    """Return how many secrets each key encrypts. For administrators."""
    return _body(await server.key_rotation.figures())


@routes.post("/system/keys/rotate", summary="Rotate the encryption key", responses=problems(401, 403, 409, 503))
async def rotate_keys(server: TheServer, me: Administrator, origin: Origin, response: Response) -> KeysBody:
    """Create a new key and start to encrypt all secrets again with it, while the server runs.

    `GET /system/keys` shows the progress; a restarted server continues by itself.
    """
    response.headers["Cache-Control"] = "no-store"
    body = _body(await server.key_rotation.rotate())
    await server.audit_log.record(
        AuditEvent.KEYS_ROTATED, actor=actor_of(me), user_id=me.id, origin=origin, step="begun", key=body.keys[0].id
    )
    return body


@routes.post("/system/keys/forget", summary="Delete old encryption keys", responses=problems(401, 403, 409, 503))
async def forget_keys(server: TheServer, me: Administrator, origin: Origin, response: Response) -> KeysBody:
    """Delete the old keys once no value needs them. Backups made before need the old key: keep a copy elsewhere."""
    response.headers["Cache-Control"] = "no-store"
    body = _body(await server.key_rotation.forget())
    await server.audit_log.record(
        AuditEvent.KEYS_ROTATED,
        actor=actor_of(me),
        user_id=me.id,
        origin=origin,
        step="old_key_forgotten",
        key=body.keys[0].id,
    )
    return body


def _body(figures: KeyFigures) -> KeysBody:
    return KeysBody(
        keys=[
            KeyBody(id=key.key_id, newest=place == 0, loaded=key.loaded, values=key.values)
            for place, key in enumerate(figures.keys)
        ],
        from_setting=figures.from_setting,
        rotating=figures.rotating,
        renewed=figures.renewed,
        total=figures.renewed + figures.old,
        unreadable=figures.unreadable,
        waiting_for=list(figures.waiting_for),
        absent=list(figures.absent),
    )
