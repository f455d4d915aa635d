"""Runs the files of the image as a container does, and talks to a shop: ``unshare … python -m image.inside``.

It is the first process of its own namespaces of mounts, processes and networks. Server and sandbox run in a namespace
of users within them: as a user without rights, with the image's files read-only as the root, and with nothing of the
network but the loopback. It prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import Process, SandboxProcess, ServerProcess, clean_environment, end_with_the_parent, soon
from scripts.image_file import ENVIRONMENT, HEALTH_CHECK, USER_ID

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_SET_NO_NEW_PRIVILEGES = 38
_SET_MEMORY_DENY_WRITE_EXECUTE = 65
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
DEVICES = ("null", "zero", "full", "random", "urandom")
PROBE = """
import ctypes, errno, json, os, pathlib, socket

def told(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"

def unloadable(path):
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return str(error)

status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "rights": int(status["CapEff"], 16),
    "no_new_rights": status["NoNewPrivs"],
    "written": {path: told(path) for path in ("/x", "/usr/local/bin/x", "/etc/passwd", "/tmp/x", "/data/x")},
    "networks": [name for _, name in socket.if_nameindex()],
    "programs": sorted(os.listdir("/usr/local/bin")),
    "unloadable": [said for path in pathlib.Path("/usr/local/lib").rglob("*.so*") if (said := unloadable(path))],
}))
"""


def raise_the_loopback() -> None:
    """Switch the loopback of a new namespace on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        flags = struct.unpack("16sh14x", fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0)))[1]
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def mount_all(root: Path, data: Path) -> None:
    """Mount what a container has: the root read-only, the data, and small file systems of its own."""
    _mount("--bind", root, root)
    _mount("--bind", data, root / "data")
    _mount("-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", root / "tmp")
    _mount("-t", "proc", "proc", root / "proc")
    _mount("-t", "tmpfs", "-o", "mode=0755,size=64k", "tmpfs", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", root / "dev" / name)
    _mount("-o", "remount,bind,ro", root)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)  # noqa: S607


class Inside(Process):
    """A process in the root, as the image's user."""

    root: Path

    async def spawn(self, *arguments: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
        """Start the image's Python with arguments; its stderr goes to the log file."""
        with self.log_file.open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                "/usr/local/bin/python3",
                *arguments,
                env=environment | ENVIRONMENT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                preexec_fn=self.enter,
            )
        self.adopt(child)
        return child

    def enter(self) -> None:
        """Become the image's user, without a way back, and see nothing but its files."""
        end_with_the_parent()
        if _LIBC.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "no namespace of users")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{USER_ID} 0 1")
        Path("/proc/self/gid_map").write_text(f"{USER_ID} 0 1")
        os.chroot(self.root)
        os.chdir("/data")
        _LIBC.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _LIBC.prctl(_SET_MEMORY_DENY_WRITE_EXECUTE, 1, 0, 0, 0)  # as the unit of systemd has it; older kernels lack it


class Sandbox(Inside, SandboxProcess):
    """The sandbox in the root."""


class Server(Inside, ServerProcess):
    """The server in the root."""


async def ask(root: Path, log: Path, *arguments: str, environment: dict[str, str]) -> tuple[int, str]:
    """Run the image's Python to its end; return the exit code and what it printed."""
    process = Inside(log)
    process.root = root
    child = await process.spawn(*arguments, environment=environment)
    said, _ = await child.communicate()
    return child.returncode or 0, said.decode()


async def talk(root: Path, data: Path) -> dict[str, Any]:
    """Start both, let a buyer ask, and look around."""
    log = data.parent / "others.log"
    sandbox = Sandbox(data.parent / "sandbox.log")
    sandbox.root = root
    await sandbox.start(shops=1)
    # A proxy on another machine is what makes it listen on every address, as in compose.yaml.
    server = Server(data, sandbox.url, SHOAL_TRUSTED_PROXIES="10.213.77.2")
    server.root = root
    plain = clean_environment(SHOAL_PORT=str(server.port))
    before = await ask(root, log, *HEALTH_CHECK[1:], environment=plain)
    await server.start()
    (seller,) = (await sandbox.get("sellers"))["items"]
    added = await server.add("shop", seller["cookie"])
    await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "在的"}})
    await sandbox.do("say", account=seller["unb"], buyer="小鱼", text="在吗")

    async def answered() -> bool:
        return bool(await sandbox.seen(seller["unb"], "小鱼"))

    await soon(answered)
    seen = {
        "state": added["state"],
        "replies": await sandbox.seen(seller["unb"], "小鱼"),
        "pages": [(await server.http.get(page, follow_redirects=True)).status_code for page in ("/", "/help/")],
        "health": [before, await ask(root, log, *HEALTH_CHECK[1:], environment=plain)],
        "probe": json.loads((await ask(root, log, "-I", "-c", PROBE, environment=plain))[1]),
    }
    await server.http.aclose()
    seen["ended"] = await server.end()
    await sandbox.end()
    return seen


def main() -> None:
    """Mount, talk, and print."""
    root, data = (Path(argument).resolve() for argument in sys.argv[1:3])
    raise_the_loopback()
    mount_all(root, data)
    sys.stdout.write(json.dumps(asyncio.run(talk(root, data))))


if __name__ == "__main__":
    main()
