"""The keys of the secrets over the API and in the shell: for administrators, and no key is ever shown."""

from __future__ import annotations

import base64
from pathlib import Path

from shoal.storage.vault import key_id, read_key_file
from support.servers.doors import Door, another_person, in_shell, open_door, served
from support.site.standins import until


def keys_of(data_dir: Path) -> list[bytes]:
    return read_key_file(data_dir / "secret.key", required=True)


async def test_only_an_administrator_sees_and_changes_the_keys(door: Door) -> None:
    async with another_person(door) as bob:
        for method, path in (("GET", ""), ("POST", "/rotate"), ("POST", "/forget")):
            await bob.call(method, f"/system/keys{path}", 403)
            await door.call(method, f"/system/keys{path}", 401, headers={"Authorization": "Bearer nobody"})


async def test_a_new_key_is_taken_and_the_old_one_forgotten_and_neither_is_shown(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
        (old,) = keys_of(tmp_path)
        answers = [await door.call("GET", "/system/keys")]
        assert [key["values"] for key in answers[0]["keys"]] == [1]
        assert (await door.call("POST", "/system/keys/forget", 409))["code"] == "no_old_key"
        answers.append(await door.call("POST", "/system/keys/rotate"))
        rotation = door.server.key_rotation
        await until(lambda: rotation._task is not None and rotation._task.done())
        answers.append(await door.call("GET", "/system/keys"))
        assert [(key["newest"], key["values"]) for key in answers[-1]["keys"]] == [(True, 1), (False, 0)]
        answers.append(await door.call("POST", "/system/keys/forget"))
        (new,) = keys_of(tmp_path)
        assert [key["id"] for key in answers[-1]["keys"]] == [key_id(new).hex()]
        noted = (await door.call("GET", "/security-log?kind=keys_rotated"))["items"]
        assert [note["facts"]["step"] for note in noted] == ["old_key_forgotten", "begun"]
        answers.append(noted)
        for key in (old, new):
            assert base64.b64encode(key).decode() not in str(answers)
            assert key.hex() not in str(answers)


async def test_keys_in_the_setting_are_left_to_the_operator(tmp_path: Path) -> None:
    async with open_door(tmp_path, secret_key="5" * 64) as door:
        answer = await door.call("POST", "/system/keys/rotate", 409, headers={"Accept-Language": "en"})
        assert answer["code"] == "keys_from_setting"
        assert "Put the new key before the old one" in answer["detail"]
        assert (await door.call("GET", "/system/keys"))["from_setting"] is True


async def test_the_shell_rotates_with_a_bar_and_forgets(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door, served(door) as url:
        await door.add()
        token = door.client.headers["authorization"].removeprefix("Bearer ")
        code, said = await in_shell(url, token, "keys", "rotate")
        assert (code, "1 value uses the new key" in said, len(keys_of(tmp_path))) == (0, True, 2), said
        code, said = await in_shell(url, token, "keys", "status")
        assert (code, "shoal keys forget" in said) == (0, True), said
        code, said = await in_shell(url, token, "keys", "forget")
        assert (code, "add --yes" in said, len(keys_of(tmp_path))) == (2, True, 2), said
        code, said = await in_shell(url, token, "keys", "forget", "--yes")
        assert (code, len(keys_of(tmp_path))) == (0, 1), said
        code, said = await in_shell(url, token, "keys", "status")
        assert (code, said.split()[1:]) == (0, ["1", "values", "newest"]), said
