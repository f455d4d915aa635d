"""One fuzzing process for one door: ``python -m tests.fuzz.atheris_door DOOR CORPUS... [libFuzzer's own options]``.

libFuzzer ends it by itself; it is a program of its own because instrumented modules must be loaded by Atheris.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

if __package__ != "fuzz":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1])]

with atheris.instrument_imports(include=["shoal.xianyu", "json"]):
    from fuzz.doors import DOORS


def main() -> None:
    """Fuzz until libFuzzer's limits."""
    door = DOORS[sys.argv[1]]

    def one(data: bytes) -> None:
        door(data)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
