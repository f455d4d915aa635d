"""Write a directory as one layer, and that as an image that ``docker load`` and ``podman load`` read.

The file has the layout of the Open Container Initiative and, for Docker, a ``manifest.json``. Nothing in it depends on
the machine or on the time, which is ``SOURCE_DATE_EPOCH``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

USER_ID = 10001
"""The user and the group in the container; the data directory is theirs."""
OWNED = "data"
ENVIRONMENT = {
    "HOME": "/data",
    "PATH": "/usr/local/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    "SHOAL_DATA_DIR": "/data",
    "SHOAL_HOST": "0.0.0.0",  # noqa: S104  inside the container; what is published decides who reaches it
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
HEALTH_CHECK = ["/usr/local/bin/python3", "-I", "/usr/local/lib/shoal/healthcheck.py"]
_SECOND = 10**9
CONFIG: dict[str, Any] = {
    "User": f"{USER_ID}:{USER_ID}",
    "WorkingDir": "/data",
    "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
    "Entrypoint": ["/usr/local/bin/shoal"],
    "Cmd": ["serve"],
    "ExposedPorts": {"8080/tcp": {}},
    "Volumes": {"/data": {}},
    "Healthcheck": {
        "Test": ["CMD", *HEALTH_CHECK],
        "Interval": 30 * _SECOND,
        "Timeout": 10 * _SECOND,
        "StartPeriod": 60 * _SECOND,
        "Retries": 3,
    },
}
"""What the Dockerfile says too: a test compares them."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_CHUNK = 1 << 20


def epoch() -> int:
    """Return the time of everything that is written, in seconds."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or 1_767_225_600)  # 2026-01-01


def write_tar(directory: Path, target: Path) -> str:
    """Write a directory as a tar file: sorted, owned by root but for the data directory. Return its SHA-256."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory).as_posix()
            entry = tar.gettarinfo(str(path), name)
            if entry.islnk():  # a hard link to a file that this one shares its place on the disk with
                entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
            entry.uid = entry.gid = USER_ID if name == OWNED else 0
            entry.uname = entry.gname = ""
            entry.mtime = epoch()
            if entry.isreg():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
    return _digest(target)


def write_image(layer: Path, target: Path, *, version: str) -> None:
    """Write the image with this layer, compressed."""
    config, layer_digest = _config(layer, version), _digest(layer)
    config_digest = hashlib.sha256(config).hexdigest()
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _entry("application/vnd.oci.image.config.v1+json", config_digest, len(config)),
            "layers": [_entry("application/vnd.oci.image.layer.v1.tar", layer_digest, layer.stat().st_size)],
        }
    )
    manifest_digest = hashlib.sha256(manifest).hexdigest()
    index = _entry("application/vnd.oci.image.manifest.v1+json", manifest_digest, len(manifest))
    index["annotations"] = {
        "io.containerd.image.name": f"docker.io/library/shoal:{version}",
        "org.opencontainers.image.ref.name": version,
    }
    for_docker = {
        "Config": f"blobs/sha256/{config_digest}",
        "RepoTags": [f"shoal:{version}", "shoal:latest"],
        "Layers": [f"blobs/sha256/{layer_digest}"],
    }
    contents: dict[str, bytes | Path] = {
        f"blobs/sha256/{config_digest}": config,
        f"blobs/sha256/{layer_digest}": layer,
        f"blobs/sha256/{manifest_digest}": manifest,
        "index.json": _json({"schemaVersion": 2, "manifests": [index]}),
        "manifest.json": _json([for_docker]),
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
    }
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        _write_members(contents, packed)


def _write_members(contents: dict[str, bytes | Path], target: Any) -> None:
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in sorted(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.mode = epoch(), 0o644
            if isinstance(content, Path):
                entry.size = content.stat().st_size
                with content.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def _config(layer: Path, version: str) -> bytes:
    at = datetime.fromtimestamp(epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"title": "Shoal", "version": version, "licenses": "Apache-2.0"}
    labels = {f"org.opencontainers.image.{name}": value for name, value in about.items()}
    return _json(
        {
            "architecture": _MACHINES[platform.machine()],
            "os": "linux",
            "created": at,
            "config": CONFIG | {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
            "history": [{"created": at, "created_by": "scripts/rootfs.py"}],
        }
    )


def _entry(media: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
