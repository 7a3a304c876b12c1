"""Labels and arrows of the diagrams, and the lines that connect what has a place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from tools.diagrams.boxes import Box, Point
from tools.diagrams.canvas import Canvas
from tools.diagrams.shapes import Anchor, Circle, Label, Line

TEXT, SMALL = 14.0, 12.5  # sizes of labels, and of shapes and remarks
GAP = 2.0  # between an arrow and the box that it leads to

Side: TypeAlias = Literal["left", "right", "above", "below"]


class Sketch(Canvas):
    """A canvas with labels, arrows and other lines."""

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = TEXT,
        anchor: Anchor = "middle",
        colour: str = "ink",
        bold: bool = False,
    ) -> None:
        r"""Write a label, its middle at the height y.

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
        colour, bold
            The name of its colour, and whether it is bold.
        """
        self.add(Label(x, y, text, size, anchor, colour, bold))

    def note(
        self, x: float, y: float, text: str, *, anchor: Anchor = "middle", colour: str = "soft"
    ) -> None:
        """Write a small label: a shape, a weight or a remark.

        Parameters
        ----------
        x, y, text, anchor, colour
            As in `text`.
        """
        self.text(x, y, text, size=SMALL, anchor=anchor, colour=colour)

    def dot(self, x: float, y: float, colour: str = "line") -> Box:
        """Draw a point at which a line divides.

        Parameters
        ----------
        x, y
            Where it is.
        colour
            The name of its colour.

        Returns
        -------
        box : Box
            Its position.
        """
        self.add(Circle(x, y, 2.8, fill=colour, stroke="none"))
        return Box(x, y, 0, 0)

    def arrow(
        self,
        *points: Point,
        label: str = "",
        side: Side | None = None,
        colour: str = "line",
        strong: bool = False,
        dashed: bool = False,
        head: bool = True,
        halo: bool = False,
    ) -> None:
        """Draw an arrow through points.

        Parameters
        ----------
        points
            From where, over which bends, and to where.
        label
            A shape or a weight beside its longest straight part.
        side
            Where the label is: as a rule on the right of an upright part and above a level one.
        colour, strong, dashed
            The name of its colour, whether it is thick, and whether it is broken.
        head
            Whether it has a head.
        halo
            Whether it passes over another line, which is interrupted there.
        """
        path = list(points)
        if head:
            path[-1] = _before(path[-1], path[-2])
        weight = 2.6 if strong else 1.5
        self.add(Line(tuple(path), colour, weight, dashed=dashed, head=head, halo=halo))
        if label:
            self._beside(path, label, side)

    def weighted(
        self, start: Point, end: Point, weight: float, *, colour: str = "attention"
    ) -> None:
        """Draw a connection as thick as its weight; it may pass behind boxes.

        Parameters
        ----------
        start, end
            Its ends.
        weight
            A number from 0 to 1.
        colour
            The name of its colour.
        """
        self.add(Line((start, end), colour, 0.8 + 5 * weight, head=False, background=True))

    def _beside(self, points: Sequence[Point], label: str, side: Side | None) -> None:
        """Write a label beside the longest straight part of a line."""
        ends = list(pairwise(points))
        (x1, y1), (x2, y2) = max(
            ends, key=lambda ends: abs(ends[0][0] - ends[1][0]) + abs(ends[0][1] - ends[1][1])
        )
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        side = side or ("right" if abs(y2 - y1) > abs(x2 - x1) else "above")
        if side in ("right", "left"):
            step = 7 if side == "right" else -7
            self.note(x + step, y, label, anchor="start" if side == "right" else "end")
        else:
            self.note(x, y + (-11 if side == "above" else 12), label)


def _before(tip: Point, origin: Point) -> Point:
    """Return the point just before the tip of an arrow that comes from a point."""
    dx, dy = tip[0] - origin[0], tip[1] - origin[1]
    length = max(abs(dx), abs(dy)) or 1.0
    return tip[0] - GAP * dx / length, tip[1] - GAP * dy / length
