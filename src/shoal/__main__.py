"""The entry of ``shoal`` and of ``python -m shoal``."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line. The collector begins when the command does, and never looks through what was imported."""
    gc.disable()
    from shoal.cli.app import main as run  # noqa: PLC0415  after the collector is off

    run()


if __name__ == "__main__":
    main()
