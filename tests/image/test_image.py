"""The image's files start without rights on a read-only root, and answer buyers; its descriptions say the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

from image.namespaces import started, why_not
from scripts import rootfs
from scripts.image_file import CONFIG, ENVIRONMENT, HEALTH_CHECK, USER_ID, write_image, write_tar
from shoal.console import help_pages

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8") if (ROOT / "Dockerfile").is_file() else ""


@pytest.mark.outside
@pytest.mark.skipif(sys.platform != "linux", reason="the image is for Linux")
@pytest.mark.skipif(not (help_pages.SITE / "index.html").is_file(), reason="not built; run `make console docs`")
def test_the_images_files_answer_a_buyer_without_rights_on_a_read_only_root(tmp_path: Path) -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory() as on_disk:  # as the files are: they are linked there, and copied into memory
        root = Path(on_disk) / "root"
        rootfs.write(rootfs.with_compiled_files(rootfs.collect()), root, link=True)
        seen = started(root, tmp_path / "data")
    assert (seen["state"], seen["replies"], seen["pages"]) == ("running", ["在的"], [200, 200])
    assert [code for code, _ in seen["health"]] == [1, 0]
    assert seen["ended"] == 0
    probe = seen["probe"]
    assert (probe["user"], probe["rights"], probe["no_new_rights"]) == ([USER_ID, USER_ID], 0, "1")
    assert probe["written"] == {
        "/x": "EROFS", "/usr/local/bin/x": "EROFS", "/etc/passwd": "EROFS", "/tmp/x": "written", "/data/x": "written",
    }  # fmt: skip
    assert probe["networks"] == ["lo"]
    assert probe["unloadable"] == []
    assert probe["programs"] == sorted(["python", "python3", rootfs.PYTHON, "shoal"])


def a_tree(root: Path) -> Path:
    """A small directory as ``rootfs`` leaves it, with a program, a link and two names of one file."""
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/shoal").write_text("#!/usr/local/bin/python3\n")
    (root / "usr/local/bin/shoal").chmod(0o755)
    (root / "usr/local/bin/again").hardlink_to(root / "usr/local/bin/shoal")
    (root / "usr/local/bin/python").symlink_to("python3.12")
    for name, mode in rootfs.FOLDERS.items():
        (root / name).mkdir()
        (root / name).chmod(mode)
    rootfs.settle(root)
    return root


def test_two_builds_have_one_digest_and_every_part_of_the_image_its_own(tmp_path: Path) -> None:
    images = []
    for number in (1, 2):
        tree = a_tree(tmp_path / f"root{number}")
        os.utime(tree / "usr/local/bin/shoal", (number, number))
        layer, image = tmp_path / f"layer{number}", tmp_path / f"image{number}"
        write_tar(tree, layer)
        write_image(layer, image, version="0.1.0")
        images.append(image.read_bytes())
    assert images[0] == images[1]
    with tarfile.open(tmp_path / "image1") as archive:
        files = {entry.name: content(archive, entry.name) for entry in archive}
    blobs = {name.rpartition("/")[2]: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    (listed,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blobs[listed["digest"].removeprefix("sha256:")])
    (layer_entry,) = manifest["layers"]
    (for_docker,) = json.loads(files["manifest.json"])
    assert for_docker["Layers"] == [f"blobs/sha256/{layer_entry['digest'].removeprefix('sha256:')}"]
    assert for_docker["RepoTags"] == ["shoal:0.1.0", "shoal:latest"]
    config = json.loads(files[for_docker["Config"]])
    assert config["config"]["User"] == "10001:10001"
    assert config["rootfs"]["diff_ids"] == [layer_entry["digest"]]
    (tmp_path / "layer").write_bytes(blobs[layer_entry["digest"].removeprefix("sha256:")])
    with tarfile.open(tmp_path / "layer") as layer_file:
        found = {entry.name: (entry.type, oct(entry.mode), entry.uid) for entry in layer_file}
    assert found["data"] == (tarfile.DIRTYPE, "0o700", USER_ID)
    assert found["tmp"] == (tarfile.DIRTYPE, "0o1777", 0)
    assert found["usr/local/bin/again"] == found["usr/local/bin/shoal"] == (tarfile.REGTYPE, "0o755", 0)
    assert found["usr/local/bin/python"][0] == tarfile.SYMTYPE


def content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


def test_the_dockerfile_says_of_the_image_what_the_image_made_without_docker_says() -> None:
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE.rpartition("FROM scratch")[2]).splitlines()
    told: dict[str, list[str]] = {}
    for line in filter(None, lines):
        word, _, rest = line.partition(" ")
        told.setdefault(word, []).append(rest)
    assert dict(pair.split("=", 1) for pair in told["ENV"][0].split()) == ENVIRONMENT
    assert [told["USER"], told["WORKDIR"], told["VOLUME"]] == [[CONFIG["User"]], [CONFIG["WorkingDir"]], ["/data"]]
    assert json.loads(told["ENTRYPOINT"][0]) == CONFIG["Entrypoint"]
    assert json.loads(told["CMD"][0]) == CONFIG["Cmd"]
    options, _, command = told["HEALTHCHECK"][0].partition("CMD ")
    assert json.loads(command) == HEALTH_CHECK
    seconds: dict[str, Any] = {name: int(value) * 10**9 for name, value in re.findall(r"--([a-z-]+)=(\d+)s", options)}
    check = CONFIG["Healthcheck"]
    assert seconds == {
        "interval": check["Interval"], "timeout": check["Timeout"], "start-period": check["StartPeriod"],
    }  # fmt: skip
    assert f"--retries={check['Retries']}" in options
    assert f"--chown={CONFIG['User']} --chmod=0700" in told["COPY"][1]
