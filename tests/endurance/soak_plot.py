"""Draws what a soak measured of the server's memory, as an SVG: one line for each allocator, over the hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from endurance.gauges import GAUGES, Sample

LINES: Final = {
    "memory": "#1f5fa8", "glibc": "#b3541e", "glibc_free": "#d9a441", "mapped": "#6b4ea0", "sqlite": "#2f7d4f",
    "python": "#8a8a8a",
}  # fmt: skip
_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 190, 20, 30
_MOST_POINTS: Final = 200
_STEP: Final = 50


def plot(samples: Sequence[Sample], about: str) -> str:
    """Return the SVG. Blocks of Python are drawn in ten thousands, all else in MiB; a new life begins a new line."""
    samples = samples[:: -(-len(samples) // _MOST_POINTS) or 1]
    hours = max((lived for lived, *_ in samples), default=0) / 3600 or 1
    units = {name: 10_000 if name == "python" else GAUGES[name][1] for name in LINES}
    values = [figures[name] / units[name] for *_, figures in samples for name in LINES if name in figures]
    top = (int(max(values, default=0)) // _STEP + 1) * _STEP

    def x(lived: float) -> float:
        return _LEFT + lived / 3600 / hours * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    drawn = []
    for value in range(0, top + 1, _STEP):
        drawn.append(f'<path stroke="#ccc" d="M{_LEFT} {y(value):.0f}H{_WIDTH - _RIGHT}"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.0f}" text-anchor="end">{value}</text>')
    drawn += [f'<text x="{x(hours * part * 900):.0f}" y="{_HEIGHT - 10}">{hours * part / 4:.2g} h</text>'
              for part in range(5)]  # fmt: skip
    lowest = float(_HEIGHT)
    ends = [(figures[name] / units[name], name) for *_, figures in samples[-1:] for name in LINES if name in figures]
    for last, name in sorted(ends):
        for life in sorted({life for _, life, *_ in samples}):
            points = " ".join(
                f"{x(lived):.0f},{y(figures[name] / units[name]):.0f}"
                for lived, of_life, _, figures in samples
                if of_life == life and name in figures
            )
            drawn.append(f'<polyline fill="none" stroke="{LINES[name]}" stroke-width="2" points="{points}"/>')
        lowest = min(y(last) + 4, lowest - 15)  # titles do not cover each other
        title = f"{GAUGES[name][0]}: " + (f"{last * 10_000:,.0f}" if name == "python" else f"{last:.0f} MiB")
        drawn.append(f'<text x="{_WIDTH - _RIGHT + 6}" y="{lowest:.0f}" fill="{LINES[name]}">{title}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{about}" '
        'font-family="sans-serif" font-size="12" fill="#444">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )
