"""The vocabulary of the diagrams: boxes, operations, vectors, grids, tokens, arrows, frames.

Time runs from left to right, depth from bottom to top. Everything is placed by its centre, in
units of which the width has 400; the height follows from what is drawn. What has a place returns a
`Box`, whose edges arrows start from and lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from tools.diagrams import labels
from tools.diagrams.boxes import Box
from tools.diagrams.canvas import Canvas
from tools.diagrams.palette import Meaning
from tools.diagrams.shapes import Anchor, Circle, Label, Line, Point, Rectangle

TEXT, SMALL = 14.0, 12.5  # sizes of labels, and of shapes and remarks
GAP = 2.0  # between an arrow and the box that it leads to
OPERATION = 11.0  # radius of an operation

Side = Literal["left", "right", "above", "below"]


class Diagram(Canvas):
    """A diagram, drawn with the vocabulary."""

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
        """Write a label; the parameters are those of `tools.diagrams.shapes.Label`."""
        self.add(Label(x, y, text, size, anchor, colour, bold))

    def note(
        self, x: float, y: float, text: str, *, anchor: Anchor = "middle", colour: str = "soft"
    ) -> None:
        """Write a small label: a shape, a weight or a remark."""
        self.text(x, y, text, size=SMALL, anchor=anchor, colour=colour)

    def token(self, x: float, y: float, word: str, *, meaning: Meaning | None = None) -> Box:
        """Draw a token on a soft ground, or in the colours of a meaning."""
        width = max(30.0, round(labels.width(word, TEXT)) + 14)
        fill, stroke = (f"{meaning}-tint", meaning) if meaning else ("pane", "none")
        self.add(Rectangle(x, y, width, 26, fill, stroke, radius=13))
        self.text(x, y, word)
        return Box(x, y, width, 26)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        label: str = "",
        meaning: Meaning = "plain",
        *,
        height: float = 32,
        size: float = TEXT,
    ) -> Box:
        """Draw a step of the computation.

        Parameters
        ----------
        x, y, width, height
            Centre and size.
        label
            Its name or formula.
        meaning
            What it stands for, which decides on its colour.
        size
            The size of the label's letters.
        """
        dashed = meaning == "absent"
        self.add(Rectangle(x, y, width, height, f"{meaning}-tint", meaning, dashed=dashed))
        if label:
            self.text(x, y, label, size=size, colour="absent-text" if dashed else "ink")
        return Box(x, y, width, height)

    def operation(self, x: float, y: float, symbol: str) -> Box:
        """Draw an operation on each pair of numbers: ``+`` (⊕), ``·`` (⊙), or another label."""
        self.add(Circle(x, y, OPERATION))
        arm = OPERATION - 5
        if symbol == "+":
            self.add(Line(((x - arm, y), (x + arm, y)), "ink", head=False))
            self.add(Line(((x, y - arm), (x, y + arm)), "ink", head=False))
        elif symbol == "·":
            self.add(Circle(x, y, 2.6, fill="ink", stroke="none"))
        else:
            self.text(x, y, symbol, size=SMALL)
        return Box(x, y, 2 * OPERATION, 2 * OPERATION)

    def dot(self, x: float, y: float, colour: str = "line") -> Box:
        """Draw a point at which a line divides."""
        self.add(Circle(x, y, 2.8, fill=colour, stroke="none"))
        return Box(x, y, 0, 0)

    def vector(
        self,
        x: float,
        y: float,
        meaning: Meaning,
        *,
        cells: int = 4,
        cell: float = 12,
        upright: bool = False,
    ) -> Box:
        """Draw a vector as a strip of cells."""
        columns, rows = (1, cells) if upright else (cells, 1)
        return self.grid(x, y, rows=rows, columns=columns, cell=cell, meaning=lambda i, j: meaning)

    def grid(
        self,
        x: float,
        y: float,
        *,
        rows: int,
        columns: int,
        meaning: Callable[[int, int], Meaning | None],
        cell: float = 12,
        cell_height: float | None = None,
        solid: bool = False,
    ) -> Box:
        """Draw a grid of cells.

        Parameters
        ----------
        x, y
            The centre.
        rows, columns
            Their numbers, from the top and from the left.
        meaning
            What the cell of a row and a column stands for; None for an empty cell.
        cell, cell_height
            Width and height of a cell; a square where no height is given.
        solid
            Whether cells with a meaning are filled with its full colour.
        """
        height = cell if cell_height is None else cell_height
        for row in range(rows):
            for column in range(columns):
                what = meaning(row, column)
                fill, stroke = (f"{what}-tint", what) if what else ("ground", "faint")
                if what and solid:
                    fill, stroke = what, "ground"
                cell_x = x + (column - (columns - 1) / 2) * cell
                cell_y = y + (row - (rows - 1) / 2) * height
                shape = Rectangle(cell_x, cell_y, cell, height, fill, stroke, 1, radius=0)
                self.add(shape)
        return Box(x, y, columns * cell, rows * height)

    def legend(
        self, x: float, y: float, text: str, meaning: Meaning, *, solid: bool = False
    ) -> None:
        """Say what a cell of a grid stands for: a cell at (x, y), and a small label after it."""
        self.grid(x, y, rows=1, columns=1, meaning=lambda i, j: meaning, cell=12, solid=solid)
        self.note(x + 12, y, text, anchor="start")

    def bars(
        self,
        xs: Sequence[float],
        baseline: float,
        values: Sequence[float],
        *,
        full: float,
        colour: str = "output",
        width: float = 16,
    ) -> None:
        """Draw a distribution as bars.

        Parameters
        ----------
        xs
            The middle of each bar.
        baseline
            The height at which they stand.
        values
            Numbers from 0 to 1.
        full
            The height of a bar of value 1.
        colour, width
            Colour and width of a bar.
        """
        for x, value in zip(xs, values, strict=True):
            height = max(1.0, value * full)
            self.add(Rectangle(x, baseline - height / 2, width, height, colour, radius=0))

    def frame(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        *,
        fill: str = "pane",
        copies: int = 1,
    ) -> Box:
        """Draw a soft ground behind what belongs together or repeats.

        Parameters
        ----------
        left, top, right, bottom
            Its four edges.
        fill
            The name of its colour.
        copies
            How many lie one behind another, for what exists several times side by side.
        """
        x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        stroke = "none" if copies == 1 else "faint"
        for i in reversed(range(copies)):
            shift = 6 * i
            self.add(
                Rectangle(x + shift, y - shift, width, height, fill, stroke, 1, 9, background=True)
            )
        return Box(x, y, width, height)

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
        """Draw a connection as thick as its weight, from 0 to 1; it may pass behind boxes."""
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
