"""Coverage-guided fuzzing of every decoder by Atheris; the figures are appended.

    python -m tests.fuzz.prove_decoders [--seconds 300] [--run LABEL] [--figures FILE]

Each door is a process of its own. What it found interesting is kept beside the figures, so that every run begins where
the last one ended; an input that broke something, or took longer than ten seconds, is kept and told. A door whose
figures stand in the file under the same label is not run again.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

if __package__ != "fuzz":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from fuzz.corpus import corpus
from fuzz.doors import DOORS

ROOT = Path(__file__).parents[2]
HANG_SECONDS = 10
LONGEST_INPUT_BYTES = 16 * 1024
MEMORY_MIB = 2048
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+) ft: (\d+)")


def main() -> int:
    """Fuzz what is missing; 1 when a door broke or hung."""
    parser = argparse.ArgumentParser(description="hostile input for the decoders")
    parser.add_argument("--seconds", type=int, default=300, help="for each door (default %(default)s)")
    parser.add_argument("--run", default="", help="a label, such as the commit: a door is taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "fuzz.jsonl")
    chosen = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stdout.write("Atheris is made for Linux on x86-64 only; nothing was fuzzed here.\n")
        return 0
    done = {row["name"] for row in figures.read(chosen.figures) if row["run"] == chosen.run}
    seeds = corpus()
    broken = False
    for door in DOORS:
        if door in done:
            continue
        row = _fuzzed(door, seeds[door], chosen.seconds, chosen.figures.parent.resolve() / "corpus" / door)
        figures.append(chosen.figures, "fuzz", {"run": chosen.run, "name": door, **row})
        sys.stdout.write(f"{door}: {row['inputs']} inputs, {len(row['violations'])} violations\n")
        broken = broken or bool(row["violations"])
    return int(broken)


def _fuzzed(door: str, seeds: list[bytes], seconds: int, kept: Path) -> dict[str, Any]:
    """Run one process; its figures, and the inputs that broke it as base64."""
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (kept / f"seed{number:03}").write_bytes(seed)
    found = kept.parent / f"{door}-broken"
    found.mkdir(exist_ok=True)
    known = set(found.iterdir())
    options = {
        "max_total_time": seconds,
        "timeout": HANG_SECONDS,
        "max_len": LONGEST_INPUT_BYTES,
        "rss_limit_mb": MEMORY_MIB,
        "print_final_stats": 1,
        "artifact_prefix": f"{found}/",
    }
    said = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.atheris_door", door, str(kept), *(f"-{k}={v}" for k, v in options.items())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    executed, covered = _EXECUTED.search(said.stderr), _COVERED.findall(said.stderr)
    bad = [
        f"{file.name}: {base64.b64encode(file.read_bytes()).decode()}" for file in sorted(set(found.iterdir()) - known)
    ]
    if said.returncode != 0 and not bad:
        bad = [f"exit code {said.returncode}: {said.stderr[-2000:]}"]
    return {
        "inputs": int(executed[1]) if executed else 0,
        "edges": int(covered[-1][0]) if covered else 0,
        "seconds": seconds,
        "violations": bad,
    }


if __name__ == "__main__":
    sys.exit(main())
