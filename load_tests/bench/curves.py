"""Curves of wait over sessions: where one reaches a wait, and a picture of several (SVG, without a plotting library)."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 60, 60
COLOURS = ("#1f6f8b", "#c8553d", "#588157", "#6d597a")


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    points: tuple[tuple[float, float], ...]
    """Sessions and seconds."""


def at_wait(points: Sequence[tuple[float, float]], wait_s: float) -> float | None:
    """The sessions at which the wait is first exceeded, between the points on a straight line. None: outside of what was measured."""
    for (few, low), (many, high) in zip(points, points[1:], strict=False):
        if low <= wait_s < high:
            return round(few + (many - few) * (wait_s - low) / (high - low), 2)
    return None


def drawn(title: str, lines: Sequence[Line], wait_s: float) -> str:
    most = max(x for line in lines for x, _ in line.points)
    highest = max(wait_s, *(y for line in lines for _, y in line.points)) * 1.1

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / most
        return round(across, 1), round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / highest, 1)

    parts = [_text(WIDTH / 2, 28, title, "middle", 16), _axes(place, most, highest), _bound(place, most, wait_s)]
    for line, colour in zip(lines, COLOURS, strict=False):
        parts.append(_curve([place(x, y) for x, y in line.points], line.name, colour))
    box = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([box, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>"]) + "\n"


def _axes(place, most: float, highest: float) -> str:  # type: ignore[no-untyped-def]
    (x0, y0), (x1, _), (_, y1) = place(0, 0), place(most, 0), place(0, highest)
    parts = [f'<path d="M{x0} {y1} V{y0} H{x1}" fill="none" stroke="#444"/>']
    for step in range(0, int(most) + 1, max(1, int(most) // 6)):
        x, y = place(step, 0)
        parts.append(_text(x, y + 20, str(step), "middle"))
    for tenth in range(6):
        value = highest * tenth / 5
        x, y = place(0, value)
        parts.append(_text(x - 8, y + 4, f"{value:.1f}", "end"))
    parts.append(_text((x0 + x1) / 2, HEIGHT - 14, "sessions at once", "middle"))
    parts.append(_text(14, TOP - 14, "seconds from the end of speech to the first sound, 95th percentile", "start"))
    return "\n".join(parts)


def _bound(place, most: float, wait_s: float) -> str:  # type: ignore[no-untyped-def]
    (x0, y), (x1, _) = place(0, wait_s), place(most, wait_s)
    return f'<path d="M{x0} {y} H{x1}" stroke="#999" stroke-dasharray="4 4"/>\n' + _text(x1, y - 6, f"{wait_s} s", "end")


def _curve(points: Sequence[tuple[float, float]], name: str, colour: str) -> str:
    path = " L".join(f"{x} {y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in points)
    x, y = points[-1]
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}\n' + _text(x, y - 12, name, "end", 13, colour)


def _text(x: float, y: float, words: str, anchor: str, size: int = 12, colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(words)}</text>'
