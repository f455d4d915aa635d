"""The proof of the image: made twice it is the same, it is small, and started it answers a buyer.

    python -m tests.image.prove_image [--run LABEL] [--figures FILE]

It is the whole image with its own compiled files; `make test` starts the files of `.venv` instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

if __package__ != "image":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from image.namespaces import started, why_not
from scripts import rootfs
from scripts.image_file import write_image, write_tar
from shoal import __version__

PROOF = "image"
MOST_MEGABYTES = 200


def main() -> int:
    """Run it unless it is done under this label; 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(description="the image is the same twice, is small, and answers a buyer")
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "image.jsonl")
    chosen = parser.parse_args()
    if any(row["run"] == chosen.run for row in figures.read(chosen.figures)):
        return 0
    with tempfile.TemporaryDirectory(prefix="shoal-image-") as directory:
        place = Path(directory)
        digests = [_built(place / name) for name in ("root1", "root2")]
        write_image(place / "root1.tar", place / "image", version=__version__)
        megabytes = round((place / "image").stat().st_size / 1e6, 1)
        why = why_not()
        seen = {} if why else started(place / "root1", place / "data")
    wrong = [] if digests[0] == digests[1] else [f"two builds differ: {digests}"]
    wrong += [] if megabytes < MOST_MEGABYTES else [f"the image has {megabytes} MB"]
    wrong += [] if why or seen["replies"] == ["在的"] else [f"the buyer was answered {seen['replies']}"]
    row = {"run": chosen.run, "megabytes": megabytes, "digest": digests[0], "started": not why, "wrong": wrong}
    figures.append(chosen.figures, PROOF, row)
    told = f"the image: {megabytes} MB, two builds sha256:{digests[0]}, {why or 'a buyer was answered'}"
    sys.stdout.write("\n  ".join([told, *wrong]) + "\n")
    return int(bool(wrong))


def _built(root: Path) -> str:
    rootfs.write(rootfs.collect(), root)
    rootfs.compile_modules(root)
    rootfs.settle(root)
    return write_tar(root, root.with_suffix(".tar"))


if __name__ == "__main__":
    sys.exit(main())
