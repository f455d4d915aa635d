"""The entry of ``shoal`` and of ``python -m shoal``."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line. What it imports stays for good, and the collector never looks through it."""
    gc.disable()
    from shoal.cli.app import main as run  # noqa: PLC0415  after the collector is off

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
