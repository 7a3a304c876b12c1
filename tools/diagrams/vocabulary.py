"""The vocabulary of the diagrams: boxes, operations, vectors, grids, tokens, frames.

Labels and arrows are in `tools.diagrams.sketch`.

Time runs from left to right, depth from bottom to top. Everything is placed by its centre, in
units of which the width has 400; the height follows from what is drawn. What has a place returns a
`Box`, whose edges arrows start from and lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.diagrams import labels
from tools.diagrams.boxes import Box
from tools.diagrams.palette import Meaning
from tools.diagrams.shapes import Circle, Line, Rectangle
from tools.diagrams.sketch import SMALL, TEXT, Sketch

OPERATION = 11.0  # radius of an operation


class Diagram(Sketch):
    """A diagram, drawn with the vocabulary."""

    def token(self, x: float, y: float, word: str, *, meaning: Meaning | None = None) -> Box:
        """Draw a token on a soft ground, or in the colours of a meaning.

        Parameters
        ----------
        x, y
            Its centre.
        word
            Its text.
        meaning
            What it stands for; None for nothing but itself.

        Returns
        -------
        box : Box
            Its position.
        """
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
        x, y, width
            Centre and width.
        label
            Its name or formula.
        meaning
            What it stands for, which decides on its colour.
        height, size
            Its height, and the size of the label's letters.

        Returns
        -------
        box : Box
            Its position.
        """
        dashed = meaning == "absent"
        self.add(Rectangle(x, y, width, height, f"{meaning}-tint", meaning, dashed=dashed))
        if label:
            self.text(x, y, label, size=size, colour="absent-text" if dashed else "ink")
        return Box(x, y, width, height)

    def operation(self, x: float, y: float, symbol: str) -> Box:
        """Draw an operation on each pair of numbers.

        Parameters
        ----------
        x, y
            Its centre.
        symbol
            ``+`` (⊕), ``·`` (⊙), or another label.

        Returns
        -------
        box : Box
            Its position.
        """
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
        """Draw a vector as a strip of cells.

        Parameters
        ----------
        x, y
            Its centre.
        meaning
            What it stands for, which decides on its colour.
        cells, cell
            The number of cells, and the width and height of one.
        upright
            Whether the strip stands upright.

        Returns
        -------
        box : Box
            Its position.
        """
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

        Returns
        -------
        box : Box
            Its position.
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
        """Say what a cell of a grid stands for: a cell, and a small label after it.

        Parameters
        ----------
        x, y
            The centre of the cell.
        text
            The label.
        meaning, solid
            As in `grid`.
        """
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

        Returns
        -------
        box : Box
            Its position.
        """
        x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        stroke = "none" if copies == 1 else "faint"
        for i in reversed(range(copies)):
            shift = 6 * i
            self.add(
                Rectangle(x + shift, y - shift, width, height, fill, stroke, 1, 9, background=True)
            )
        return Box(x, y, width, height)
