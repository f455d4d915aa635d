"""The proof that the strict sandbox stops no client that works on the real site: two are run against it as they are.

    XIANYU_AUTO_AGENT=path XIANYU_APIS=path CLIENTS_PYTHON=path \\
        python -m tests.faults.prove_other_clients [--run LABEL] [--figures FILE]

The paths are checkouts of shaxiu/XianyuAutoAgent and cv-cat/XianYuApis, and an interpreter with what they import
(``requests websockets==13.1 loguru python-dotenv openai PyExecJS blackboxprotobuf``; the second wants Node). Nothing of
them is part of this project. One that is not named is skipped, and that is said. Each runs in a copy, and each of its
connections is led to the sandbox on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from other_clients import apis, auto_agent
from other_clients.trial import StrictSite, Trial, copied, strict_site

PROOF: Final = "other_clients"
CLIENTS: Final[dict[str, tuple[str, Callable[[StrictSite, Path], Awaitable[Trial]]]]] = {
    auto_agent.NAME: ("XIANYU_AUTO_AGENT", auto_agent.try_auto_agent),
    apis.NAME: ("XIANYU_APIS", apis.try_apis),
}
"""Of each client the variable that names its checkout, and what it must be able to do."""


def main() -> int:
    """Run what is named and not done under this label; 1 when a rule stopped a client, or something failed."""
    parser = argparse.ArgumentParser(description="the strict sandbox stops no client of the real site")
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "other_clients.jsonl")
    chosen = parser.parse_args()
    done = {(row["run"], row["name"]) for row in figures.read(chosen.figures)}
    wrong = 0
    for name, (variable, tried) in CLIENTS.items():
        if (chosen.run, name) in done:
            continue
        if not os.environ.get(variable):
            sys.stdout.write(f"{name}: skipped, {variable} names no checkout\n")
            continue
        trial = asyncio.run(_tried(Path(os.environ[variable]), tried))
        figures.append(chosen.figures, PROOF, {"run": chosen.run, "name": name, **trial.row()})
        told = f"{name}: {len(trial.done)} things done; recorded and not refused: {dict(trial.recorded)}"
        sys.stdout.write("\n  ".join([told, *trial.violations]) + "\n")
        wrong += bool(trial.violations)
    return int(bool(wrong))


async def _tried(checkout: Path, tried: Callable[[StrictSite, Path], Awaitable[Trial]]) -> Trial:
    with TemporaryDirectory(prefix="shoal-clients-") as directory:
        place = Path(directory)
        async with strict_site(place, python=os.environ.get("CLIENTS_PYTHON", sys.executable)) as site:
            return await tried(site, copied(checkout, place))


if __name__ == "__main__":
    sys.exit(main())
