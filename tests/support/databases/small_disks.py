"""File systems of a few MB, for tests of full disks. Where none can be mounted (it takes root), the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOUNT, UMOUNT = shutil.which("mount") or "", shutil.which("umount") or ""


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """Mount a new file system of that size (``3m``) on a new directory."""
    place.mkdir()
    if not MOUNT or os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("a small disk needs root on Linux")
    if subprocess.run([MOUNT, "-t", "tmpfs", "-o", f"size={size}", "shoal-test", place], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run([UMOUNT, place], check=True)


def mount_again(place: Path, how: str) -> None:
    """Make a mounted file system read-only (``ro``), writable (``rw``) or larger (``size=9m``)."""
    subprocess.run([MOUNT, "-o", f"remount,{how}", place], check=True)
