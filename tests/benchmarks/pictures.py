"""Bars and curves as SVG, which a browser and GitHub show without a script, by day and by night."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

WIDTH: Final = 640

STYLE: Final = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}"
    ".axis{stroke:#8b949e;stroke-width:1}.note{fill:#59636e}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}}</style>"
)

COLOURS: Final = ("#1f6feb", "#8b949e", "#bf8700", "#1a7f37", "#8250df", "#cf222e")

Curves = Mapping[str, Sequence[tuple[float, float]]]


def number(value: float) -> str:
    """Three digits are enough to compare by."""
    if value == 0:
        return "0"
    digits = max(0, 2 - floor(log10(abs(value))))
    return f"{round(value, digits):,.{digits}f}"


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img"'
        f' aria-label="{escape(title)}">'
    )
    return "\n".join([head, STYLE, _text(0, 18, title, kind="title"), *parts, "</svg>", ""])


def bars(title: str, unit: str, values: Mapping[str, float]) -> str:
    """One bar under the other, each with its value."""
    left, most = 150, max(values.values())
    parts = []
    for place, (name, value) in enumerate(values.items()):
        y = 34 + place * 30
        width = (WIDTH - left - 130) * value / most
        colour = COLOURS[0] if place == 0 else COLOURS[1]
        parts += [
            _text(left - 8, y + 15, name, "end"),
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="20" rx="3" fill="{colour}"/>',
            _text(left + width + 8, y + 15, f"{number(value)} {unit}", kind="note"),
        ]
    return _svg(44 + 30 * len(values), title, parts)


def curves(title: str, unit: str, of: str, lines: Curves) -> str:
    """Lines over a logarithmic axis from left to right, and one from zero upwards. The points must be greater than zero."""
    left, right, top, bottom = 60, WIDTH - 20, 40, 260
    xs = [x for line in lines.values() for x, _ in line]
    least, most = log10(min(xs)), log10(max(xs))
    highest = max(y for line in lines.values() for _, y in line) * 1.1

    def at(x: float, y: float) -> tuple[float, float]:
        share = (log10(x) - least) / (most - least or 1)
        return left + share * (right - left), bottom - y / highest * (bottom - top)

    parts = [
        f'<line class="axis" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>',
        f'<line class="axis" x1="{left}" y1="{top}" x2="{left}" y2="{bottom}"/>',
        _text(left - 6, bottom, "0", "end", "note"),
        _text(left - 6, at(10**least, highest / 1.1)[1] + 4, number(highest / 1.1), "end", "note"),
        _text(left, top - 6, unit, kind="note"),
        _text(right, bottom + 34, of, "end", "note"),
    ]
    parts += [
        _text(at(10**power, 0)[0], bottom + 16, f"{10**power:,}", "middle", "note")
        for power in range(ceil(least), floor(most) + 1)
    ]
    for place, (name, line) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        points = [at(x, y) for x, y in line]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        y = 306 + 20 * place
        parts.append(f'<rect x="{left}" y="{y - 10}" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(_text(left + 20, y, name))
    return _svg(310 + 20 * len(lines), title, parts)
