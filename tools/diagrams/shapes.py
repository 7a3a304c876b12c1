"""Shapes of which a diagram consists: rectangles, circles, lines and labels.

Coordinates are units of the view box, from its upper left corner. Colours are names of
`tools.diagrams.palette`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal, TypeAlias

from tools.diagrams import labels
from tools.diagrams.boxes import Bounds, Point
from tools.diagrams.palette import fade, paint

Anchor: TypeAlias = Literal["start", "middle", "end"]

HEAD_LENGTH, HEAD_WIDTH = 8.0, 7.0
HALO_START = 8.0  # of a halo, after the start of its line
CORNER = 8.0  # radius of the bends of a line
LEADING = 1.32  # distance of two lines of a label, in sizes of its letters
ASCENT, DESCENT, HALF_HEIGHT = 0.74, 0.2, 0.35  # of letters, in their size


@dataclass(frozen=True)
class Rectangle:
    """A rectangle around (x, y).

    Parameters
    ----------
    x, y, width, height
        The centre and the size.
    fill, stroke
        Names of colours, or "none".
    weight
        The width of its outline.
    radius
        The radius of its corners.
    dashed
        Whether the outline is broken.
    background
        Whether it lies behind everything else, so that lines may cross it.
    """

    x: float
    y: float
    width: float
    height: float
    fill: str = "none"
    stroke: str = "none"
    weight: float = 1.5
    radius: float = 5.0
    dashed: bool = False
    background: bool = False

    def bounds(self) -> Bounds:
        """Return the rectangle that it covers."""
        half_width, half_height = self.width / 2, self.height / 2
        return Bounds(
            self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height
        )

    def faded(self) -> Rectangle:
        """Return the rectangle as a part that is not emphasized."""
        return replace(self, fill=fade(self.fill, of="fill"), stroke=fade(self.stroke, of="stroke"))

    def svg(self) -> str:
        """Return the SVG element."""
        left, top, _, _ = self.bounds()
        outline = "" if self.stroke == "none" else f' stroke-width="{self.weight:g}"'
        outline += ' stroke-dasharray="4 3"' if self.dashed else ""
        return (
            f'<rect x="{left:g}" y="{top:g}" width="{self.width:g}" height="{self.height:g}" '
            f'rx="{self.radius:g}" {paint(fill=self.fill, stroke=self.stroke)}{outline}/>'
        )


@dataclass(frozen=True)
class Circle:
    """A circle around (x, y).

    Parameters
    ----------
    x, y, radius
        The centre and the size.
    fill, stroke
        Names of colours, or "none".
    weight
        The width of its outline.
    dashed
        Whether the outline is broken.
    background
        Whether it lies behind everything else, so that lines may cross it.
    """

    x: float
    y: float
    radius: float
    fill: str = "ground"
    stroke: str = "line"
    weight: float = 1.5
    dashed: bool = False
    background: bool = False

    def bounds(self) -> Bounds:
        """Return the rectangle that it covers."""
        r = self.radius
        return Bounds(self.x - r, self.y - r, self.x + r, self.y + r)

    def faded(self) -> Circle:
        """Return the circle as a part that is not emphasized."""
        return replace(self, fill=fade(self.fill, of="fill"), stroke=fade(self.stroke, of="stroke"))

    def svg(self) -> str:
        """Return the SVG element."""
        outline = "" if self.stroke == "none" else f' stroke-width="{self.weight:g}"'
        outline += ' stroke-dasharray="4 3"' if self.dashed else ""
        return (
            f'<circle cx="{self.x:g}" cy="{self.y:g}" r="{self.radius:g}" '
            f"{paint(fill=self.fill, stroke=self.stroke)}{outline}/>"
        )


@dataclass(frozen=True)
class Line:
    """A line through points, with rounded bends.

    Parameters
    ----------
    points
        Two points or more.
    stroke, weight, dashed
        The name of its colour, its width, and whether it is broken.
    head
        Whether it ends in an arrow head.
    halo
        Whether it is drawn on a strip of the ground's colour, to cross another line.
    background
        Whether it lies behind everything else.
    """

    points: tuple[Point, ...]
    stroke: str = "line"
    weight: float = 1.5
    dashed: bool = False
    head: bool = True
    halo: bool = False
    background: bool = False

    def bounds(self) -> Bounds:
        """Return the rectangle that it covers."""
        xs, ys = zip(*self.points, strict=True)
        return Bounds(min(xs), min(ys), max(xs), max(ys))

    def segments(self) -> Iterator[tuple[Point, Point]]:
        """Yield the two ends of each straight part."""
        yield from pairwise(self.points)

    def faded(self) -> Line:
        """Return the line as a part that is not emphasized."""
        return replace(self, stroke=fade(self.stroke, of="stroke"))

    def svg(self) -> str:
        """Return the SVG elements."""
        points = list(self.points)
        head = ""
        if self.head:
            length = HEAD_LENGTH * max(1.0, self.weight / 1.8)
            tip, points[-1] = points[-1], towards(points[-1], points[-2], length - 1)
            head = f'<path d="{_head(tip, self.points[-2], length)}" {paint(fill=self.stroke)}/>'
        dash = ' stroke-dasharray="5 4"' if self.dashed else ""
        path = f'<path d="{_rounded(points)}" {paint(stroke=self.stroke)}'
        line = f'{path} stroke-width="{self.weight:g}"{dash}/>'
        return (self._halo(points) if self.halo else "") + line + head

    def _halo(self, points: Sequence[Point]) -> str:
        """Return a strip of ground behind a line, but for its ends, where boxes are."""
        start = towards(points[0], points[1], HALO_START)
        end = towards(points[-1], points[-2], HALO_START)
        path = _rounded([start, *points[1:-1], end])
        return f'<path d="{path}" {paint(stroke="ground")} stroke-width="{self.weight + 6:g}"/>'


def towards(start: Point, end: Point, distance: float) -> Point:
    """Return the point at a distance from the start of a line.

    Parameters
    ----------
    start, end
        The ends of the line.
    distance
        How far to go from its start; it may pass the end.

    Returns
    -------
    point : tuple of float
        The coordinates x and y.
    """
    length = math.dist(start, end) or 1.0
    share = distance / length
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _head(tip: Point, origin: Point, length: float) -> str:
    """Return the path of an arrow head at the end of a line that comes from a point."""
    back = towards(tip, origin, length)
    half = HEAD_WIDTH / HEAD_LENGTH / 2
    dx, dy = half * (tip[1] - back[1]), half * (tip[0] - back[0])
    corners = [tip, (back[0] + dx, back[1] - dy), (back[0] - dx, back[1] + dy)]
    return "M" + "L".join(f"{x:.5g} {y:.5g}" for x, y in corners) + "z"


def _rounded(points: Sequence[Point]) -> str:
    """Return the path through points, with its bends rounded."""
    path = f"M{points[0][0]:.5g} {points[0][1]:.5g}"
    for before, bend, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(CORNER, math.dist(before, bend) / 2, math.dist(bend, after) / 2)
        (x1, y1), (x2, y2) = towards(bend, before, radius), towards(bend, after, radius)
        path += f"L{x1:.5g} {y1:.5g}Q{bend[0]:.5g} {bend[1]:.5g} {x2:.5g} {y2:.5g}"
    return f"{path}L{points[-1][0]:.5g} {points[-1][1]:.5g}"


@dataclass(frozen=True)
class Label:
    r"""A text of one or more lines, its middle at the height y.

    Parameters
    ----------
    x, y
        Where it starts, has its middle or ends, and the middle of its height.
    text
        A label as in `tools.diagrams.labels`; ``\n`` begins a new line.
    size
        The size of its letters.
    anchor
        Which part of it is at `x`.
    colour
        The name of its colour.
    bold
        Whether it is bold.
    """

    background: ClassVar[bool] = False

    x: float
    y: float
    text: str
    size: float
    anchor: Anchor = "middle"
    colour: str = "ink"
    bold: bool = False

    @property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.split("\n")

    def baselines(self) -> list[float]:
        """Return the height of each line's baseline."""
        first = self.y - (len(self.lines) - 1) * LEADING * self.size / 2 + HALF_HEIGHT * self.size
        return [first + i * LEADING * self.size for i in range(len(self.lines))]

    def bounds(self) -> Bounds:
        """Return the rectangle that it covers in a wide font."""
        wide = max(labels.width(line, self.size, bold=self.bold) for line in self.lines)
        left = self.x - {"start": 0.0, "middle": wide / 2, "end": wide}[self.anchor]
        first, last = self.baselines()[0], self.baselines()[-1]
        top, bottom = first - ASCENT * self.size, last
        levels = [{run.level for run in labels.parse(line)} for line in self.lines]
        bottom += self.size * (DESCENT + (0.1 if -1 in levels[-1] else 0))
        return Bounds(left, top - (0.15 * self.size if 1 in levels[0] else 0), left + wide, bottom)

    def faded(self) -> Label:
        """Return the label as a part that is not emphasized."""
        return replace(self, colour=fade(self.colour, of="text"))

    def svg(self) -> str:
        """Return the SVG element."""
        weight = ' font-weight="bold"' if self.bold else ""
        baselines = self.baselines()
        content = labels.svg(self.lines[0], self.size)
        for baseline, line in zip(baselines[1:], self.lines[1:], strict=True):
            inner = labels.svg(line, self.size)
            content += f' <tspan x="{self.x:g}" y="{baseline:.5g}">{inner}</tspan>'
        return (
            f'<text x="{self.x:g}" y="{baselines[0]:.5g}" font-size="{self.size:g}" '
            f'text-anchor="{self.anchor}" {paint(fill=self.colour)}{weight}>{content}</text>'
        )


Shape: TypeAlias = Rectangle | Circle | Line | Label
