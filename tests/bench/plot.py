"""The plot of docs/performance.svg: bars of the rivals on logarithmic scales, and the price of a due step. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT = 860, 130, 90
BAR, GAP, HEAD = 16, 5, 46
COLORS = {"sopd": "#0b6e4f"}
OTHERS = "#8d99ae"
PANELS = (
    ("schedule_per_s", "steps scheduled a second (longer is better, logarithmic)"),
    ("fire_per_s", "due steps fired a second (longer is better, logarithmic)"),
    ("tag_per_s", "customers ended by a tag a second (longer is better, logarithmic)"),
    ("worker_mb", "memory of the workers while steps wait, MB (shorter is better, logarithmic)"),
)
Bar = tuple[str, float]


def drawn(report: Mapping[str, Any]) -> str:
    """The whole picture; without figures an empty frame."""
    panels = [(title, bars, OTHERS) for title, bars in _rivals(report)]
    panels += [(title, bars, COLORS["sopd"]) for title, bars in _due(report)]
    parts, top = [], 12
    for title, bars, color in panels:
        parts.append(_panel(title, bars, color, top))
        top += HEAD + len(bars) * (BAR + GAP)
    style = "<style>text{font:13px sans-serif;fill:#222}.h{font-weight:bold}.v{fill:#555}</style>"
    frame = f'<rect width="{WIDTH}" height="{top + 8}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 8}" role="img">'
    title = "<title>What sopd and others do with the same work</title>"
    return "\n".join([head, title, style, frame, *parts, "</svg>", ""])


def _rivals(report: Mapping[str, Any]) -> list[tuple[str, list[Bar]]]:
    rows = report.get("rivals", {}).get("results", [])
    return [(title, [(row["rival"], row[key]) for row in rows]) for key, title in PANELS if rows]


def _due(report: Mapping[str, Any]) -> list[tuple[str, list[Bar]]]:
    rows = report.get("due", {}).get("results", [])
    bars = [(f"{row['database']} {row['waiting']:,}", row["us_per_step"]) for row in rows]
    title = "sopd: microseconds a due step, beside so many that wait (equal is better, logarithmic)"
    return [(title, bars)] if bars else []


def _panel(title: str, bars: Sequence[Bar], color: str, top: int) -> str:
    most = max(value for _, value in bars)
    lines = [f'<text class="h" x="8" y="{top + 18}">{escape(title)}</text>']
    for at, (label, value) in enumerate(bars):
        y = top + 28 + at * (BAR + GAP)
        wide = max(_share(value, most) * (WIDTH - LEFT - RIGHT), 1)
        lines.append(f'<text x="{LEFT - 6}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{wide:.0f}" height="{BAR}" fill="{COLORS.get(label, color)}"/>')
        lines.append(f'<text class="v" x="{LEFT + wide + 5:.0f}" y="{y + 13}">{_short(value)}</text>')
    return "\n".join(lines)


def _share(value: float, most: float) -> float:
    """Of a scale from 1 to `most` on which each ten times takes the same room."""
    return math.log10(max(value, 1)) / max(math.log10(most), 1e-9)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
