"""Make the root file system of Shoal's image: ``python scripts/rootfs.py DIRECTORY [--image FILE]``.

Run it with the Python in which Shoal and its pinned packages are installed, on Linux. The directory then has that
Python, the packages that Shoal needs and the system's libraries that they load; no shell and no package manager. The
Dockerfile calls it, and so does ``make release`` on a machine without Docker. Two runs over the same packages give the
same files, times and modes: ``SOURCE_DATE_EPOCH`` is the time.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Collection
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scripts.image_file import USER_ID, epoch, write_image, write_tar  # noqa: E402  they lie beside this file

Tree = dict[str, Path | bytes | PurePosixPath]
"""What stands at each path: a file with that content, bytes, or a symbolic link."""

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = f"usr/local/lib/{PYTHON}"
PACKAGES = f"{LIBRARY}/site-packages"
PINS = ROOT / "requirements" / "run.txt"
_UNUSED_FOLDERS = {
    *("__pycache__", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tests", "tkinter", "turtledemo"),
    *("dist-packages", "venv"),
}
_UNUSED_MODULES = re.compile(
    r"(?:_test|_ctypes_test|_xxtest|xxlimited|_tkinter|_curses|_gdbm|_dbm|nis|ossaudiodev|readline|turtle|sitecustomize|usercustomize)[\w.-]*"
)
"""Of the standard library: what its own tests need, and what needs libraries for windows and terminals."""
_OF_THE_INSTALLER = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
"""Files of an installed package that name where and how it was installed here."""
_LOADED_BY_NAME = ("libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")
"""Libraries that the C library looks for while it runs, beside itself."""
_LOADER = re.compile(r"^\s+(/\S+) \(0x", re.MULTILINE)
"""The C library's loader, as it lists itself among what a binary loads."""
_ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\nshoal:x:{USER_ID}:{USER_ID}:Shoal:/data:/nonexistent\n",
    "etc/group": f"root:x:0:\nshoal:x:{USER_ID}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/resolv.conf": "",
    "etc/hostname": "shoal\n",
}
FOLDERS = {"data": 0o700, "dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777}
"""Folders that the container's system mounts something on, and their modes."""


def collect() -> Tree:
    """Return the whole tree. Raise ``SystemExit`` with a sentence when something of it is missing."""
    tree: Tree = {**_python(), **_standard_library(), **_packages(), **_shoal()}
    tree |= {path: text.encode() for path, text in _ACCOUNTS.items()}
    tree["etc/ssl/certs/ca-certificates.crt"] = _authorities()
    tree["usr/share/zoneinfo"] = PurePosixPath("/", PACKAGES, "tzdata/zoneinfo")
    return {**tree, **_libraries(tree)}


def _python() -> Tree:
    """Return the interpreter under its names."""
    real = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    links = {f"usr/local/bin/{name}": PurePosixPath(PYTHON) for name in ("python", "python3")}
    return {f"usr/local/bin/{PYTHON}": real, **links}


def _standard_library() -> Tree:
    source = Path(sysconfig.get_path("stdlib"))
    tree: Tree = {}
    for path in _files(source, _UNUSED_FOLDERS):
        parts = path.relative_to(source).parts
        in_use = not parts[0].startswith("config-")
        if in_use and not _UNUSED_MODULES.fullmatch(parts[-1]) and path.suffix not in {".pyc", ".a", ".exe"}:
            tree["/".join((LIBRARY, *parts))] = path
    return tree


def _packages() -> Tree:
    """Return the files of every package that Shoal needs, without what installing them here left."""
    tree: Tree = {}
    for name in _pinned():
        try:
            files = metadata.distribution(name).files
        except metadata.PackageNotFoundError:
            raise SystemExit(f"{name} is not installed beside {sys.executable}: install requirements/run.txt") from None
        for file in files or ():
            if ".." in file.parts or "__pycache__" in file.parts or file.name in _OF_THE_INSTALLER:
                continue
            tree[f"{PACKAGES}/{file.as_posix()}"] = Path(str(file.locate()))
    return tree


def _pinned() -> list[str]:
    """Return the names of the packages that an installed Shoal needs on this machine."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.rstrip("\\ ")) for line in lines if line[:1].isalnum()]
    return [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate()]


def _shoal() -> Tree:
    """Return Shoal's own files, its command and the health check."""
    found = importlib.util.find_spec("shoal")
    if found is None or found.origin is None:
        raise SystemExit(f"Shoal is not installed beside {sys.executable}")
    source = Path(found.origin).parent
    if not (source / "console/static/index.html").is_file() or not (source / "console/help_site/index.html").is_file():
        raise SystemExit("Shoal has no console or no help: run `make console docs`, or install its wheel")
    tree: Tree = {
        f"{PACKAGES}/shoal/{path.relative_to(source).as_posix()}": path for path in _files(source, {"__pycache__"})
    }
    about = metadata.distribution("shoal")
    tree[f"{PACKAGES}/shoal-{about.version}.dist-info/METADATA"] = str(about.read_text("METADATA")).encode()
    command = f"#!/usr/local/bin/{PYTHON}\nfrom shoal.__main__ import main\n\nmain()\n"
    return {
        **tree,
        "usr/local/bin/shoal": command.encode(),
        "usr/local/lib/shoal/healthcheck.py": ROOT / "deploy" / "healthcheck.py",
    }


def _authorities() -> Path:
    """Return the file of the certificate authorities that the system trusts."""
    paths = ssl.get_default_verify_paths()
    places = (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/cert.pem")
    for place in places:
        if place and Path(place).is_file():
            return Path(place)
    raise SystemExit("this system has no file of certificate authorities: install ca-certificates")


def _libraries(tree: Tree) -> Tree:
    """Return the system's libraries that the binaries of a tree load, beside the C library, and their loader."""
    own = {path.resolve() for path in tree.values() if isinstance(path, Path) and _is_binary(path)}
    (loader,) = _LOADER.findall(_printed("ldd", tree[f"usr/local/bin/{PYTHON}"]))
    listed = "".join(_printed(loader, "--list", path) for path in sorted(own))  # `ldd` starts two shells for each file
    if "not found" in listed:
        lacking = sorted(set(re.findall(r"^\s+(\S+) => not found", listed, re.MULTILINE)))
        raise SystemExit(f"these libraries are missing here: {', '.join(lacking)}")
    loaders = set(_LOADER.findall(listed))
    found = {Path(path) for path in re.findall(r" => (/\S+) \(0x", listed)}
    libc = next(path for path in found if path.name.startswith("libc.so"))
    found |= {libc.with_name(name) for name in _LOADED_BY_NAME if libc.with_name(name).exists()}
    beside = libc.parent.as_posix().removeprefix("/").removeprefix("usr/")
    libraries: Tree = {f"{beside}/{path.name}": path.resolve() for path in found if path.resolve() not in own}
    return {**libraries, **{loader.removeprefix("/"): Path(loader).resolve() for loader in loaders}}


def _printed(*command: object) -> str:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False).stdout


def _is_binary(path: Path) -> bool:
    if ".so" not in path.name and not path.name.startswith("python"):
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _files(folder: Path, unused: Collection[str]) -> list[Path]:
    """Return the files below a folder, without those in folders of an unused name."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in unused]
        found += [Path(place, name) for name in names]
    return sorted(path for path in found if path.is_file())


def write(tree: Tree, target: Path, *, link: bool = False) -> None:
    """Write a tree into a new directory; ``link``: as hard links to its sources, where that is possible."""
    target.mkdir(mode=0o755, parents=True)
    for name, mode in FOLDERS.items():
        (target / name).mkdir()
        (target / name).chmod(mode)
    made = {""}
    for name, content in sorted(tree.items()):
        folder = name.rpartition("/")[0]
        if folder not in made:
            (target / folder).mkdir(parents=True, exist_ok=True)
            made.add(folder)
        if link and isinstance(content, Path) and _linked(content, f"{target}/{name}"):
            continue
        path = target / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, Path):
            shutil.copy2(content, path)
        else:
            path.symlink_to(content)
        if name.startswith("usr/local/bin/") and isinstance(content, bytes):
            path.chmod(0o755)


def with_compiled_files(tree: Tree) -> Tree:
    """Return a tree with the compiled files of its modules too, where there are any.

    Each names the time of its source: they hold until that changes.
    """
    compiled: Tree = {}
    for name, content in tree.items():
        if name.endswith(".py") and isinstance(content, Path):
            found = Path(importlib.util.cache_from_source(str(content)))
            if found.is_file():
                compiled[str(PurePosixPath(name).parent / "__pycache__" / found.name)] = found
    return {**tree, **compiled}


def _linked(source: Path, path: str) -> bool:
    try:
        os.link(source, path)
    except OSError:  # another file system
        return False
    return True


def compile_modules(target: Path) -> None:
    """Compile every module for good: the image is read-only, and a compiled file does not name a time."""
    command = [sys.executable, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    result = subprocess.run(
        [*command, "-s", str(target), "-p", "/", str(target / LIBRARY)],
        env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise SystemExit(f"these modules cannot be compiled:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def settle(target: Path) -> None:
    """Give each file and folder the same time and mode in every build."""
    at = (epoch(), epoch())
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_symlink():
            os.utime(path, at, follow_symlinks=False)
            continue
        mode = FOLDERS.get(path.relative_to(target).as_posix())
        if mode is None:
            mode = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
        path.chmod(mode)
        os.utime(path, at)
    os.utime(target, at)


def main() -> None:
    """Make the directory, and the image when a file for it is named."""
    parser = argparse.ArgumentParser(description="Make the root file system of Shoal's image.")
    parser.add_argument("directory", type=Path, help="a directory that is not there yet")
    parser.add_argument("--image", type=Path, metavar="FILE", help="also write an image, for `docker load -i FILE`")
    chosen = parser.parse_args()
    if chosen.directory.exists():
        raise SystemExit(f"{chosen.directory} is there already")
    write(collect(), chosen.directory)
    compile_modules(chosen.directory)
    settle(chosen.directory)
    if chosen.image is not None:
        layer = chosen.image.with_suffix(".layer")
        digest = write_tar(chosen.directory, layer)
        write_image(layer, chosen.image, version=metadata.version("shoal"))
        layer.unlink()
        sys.stdout.write(f"{chosen.image}: {chosen.image.stat().st_size / 1e6:.1f} MB, files sha256:{digest}\n")


if __name__ == "__main__":
    main()
