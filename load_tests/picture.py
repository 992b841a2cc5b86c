"""A line chart as SVG, without a drawing library: a picture for a result, that a browser and a code host show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 110, 20, 50
COLOURS = ("#2563eb", "#d97706", "#dc2626", "#059669", "#7c3aed")
TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    """From left to right."""


def chart(lines: Sequence[Line], x_name: str, y_name: str, mark: float | None = None) -> str:
    """`mark`: an x that gets a vertical line. Both axes begin at zero."""
    x_most = max((x for line in lines for x, _ in line.points), default=1.0)
    y_most = _round_up(max((y for line in lines for _, y in line.points), default=1.0))

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / x_most * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / y_most * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 10, x_name), _text(14, HEIGHT / 2, y_name, turned=True)]
    for step in range(TICKS + 1):
        y = y_most * step / TICKS
        left, right = at(0, y), at(x_most, y)
        parts += [_line(left, right, "#ddd"), _text(left[0] - 8, left[1] + 4, f"{y:g}", anchor="end")]
    for x in sorted({x for line in lines for x, _ in line.points}):
        parts.append(_text(at(x, 0)[0], HEIGHT - BOTTOM + 18, f"{x:g}"))
    if mark is not None:
        parts += [_line(at(mark, 0), at(mark, y_most), "#059669", dashed=True), _text(at(mark, 0)[0] + 4, TOP + 12, "knee", anchor="start")]
    for line, colour in zip(lines, COLOURS, strict=False):
        places = [at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        if places:
            parts.append(_text(places[-1][0] + 8, places[-1][1] + 4, line.name, anchor="start", colour=colour))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def _round_up(value: float) -> float:
    """To a number whose fifth is round."""
    unit = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return math.ceil(value / unit * 2) / 2 * unit


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = "#333", turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{turn}>{escape(text)}</text>'
