"""Pictures as plain SVG text: lines, boxes, marks, labels and links to sections of the book.

The colours are those of Okabe and Ito, on an opaque light background. A picture contains labels
only; sentences belong into its caption.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Literal, TypeAlias

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PAPER, INK, SOFT_INK, RULE = "#FFFFFF", "#222222", "#5A5A5A", "#D9D9D9"
BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
TINT = {BLUE: "#E1EEF6", ORANGE: "#FCF1DC", GREEN: "#DDF2EB", PURPLE: "#F9EDF3"}
SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"
ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="14" '
    'markerHeight="14" markerUnits="userSpaceOnUse" orient="auto">'
    f'<path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>'
)

Anchor: TypeAlias = Literal["start", "middle", "end"]
Shape: TypeAlias = Literal["circle", "square", "triangle", "diamond"]
CORNERS: dict[str, list[tuple[float, float]]] = {  # in units of the mark's size
    "square": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    "triangle": [(0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
    "diamond": [(0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)],
}


@dataclass
class Picture:
    """A collection of SVG elements; coordinates are pixels from the upper left corner.

    Parameters
    ----------
    width, height
        The size in pixels.
    title
        What the picture is, for screen readers.
    elements
        The elements drawn so far, in the order of drawing.
    """

    width: int
    height: int
    title: str
    elements: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 17,
        *,
        anchor: Anchor = "middle",
        fill: str = INK,
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        """Write one line of text.

        Parameters
        ----------
        x, y
            The point at which the text starts, has its middle or ends, and the middle of its
            height.
        words, size
            The text, and the size of its letters in pixels.
        anchor
            Which part of the text is at `x`.
        fill, bold, mono
            The colour, and whether the letters are bold and of equal width.
        """
        weight = ' font-weight="bold"' if bold else ""
        family = f' font-family="{MONO}"' if mono else ""
        self.elements.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" font-size="{size}" fill="{fill}" '
            f'text-anchor="{anchor}"{weight}{family}>{escape(words)}</text>'
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        stroke: str = INK,
        fill: str = PAPER,
        radius: int = 8,
    ) -> None:
        """Draw a rectangle with rounded corners.

        Parameters
        ----------
        x, y
            The upper left corner.
        width, height
            The size in pixels.
        stroke, fill
            The colours of the edge and of the area.
        radius
            The radius of the corners in pixels.
        """
        self.elements.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="2"/>'
        )

    def line(
        self,
        path: str,
        stroke: str = INK,
        width: int = 2,
        *,
        arrow: bool = False,
        dashed: bool = False,
    ) -> None:
        """Draw a path.

        Parameters
        ----------
        path
            The path in SVG's own notation, such as "M20 60H500".
        stroke, width
            The colour, and the width in pixels.
        arrow, dashed
            Whether the path ends in an arrow head, and whether it is broken.
        """
        head = ' marker-end="url(#head)"' if arrow else ""
        head += ' stroke-dasharray="5 4"' if dashed else ""
        self.elements.append(
            f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"{head}/>'
        )

    def mark(self, x: float, y: float, fill: str, shape: Shape, size: int = 8) -> None:
        """Draw a small filled shape around (x, y), which distinguishes what a colour alone may not.

        Parameters
        ----------
        x, y
            The centre.
        fill, shape
            The colour and the shape.
        size
            Half of its width in pixels, about.
        """
        style = f'fill="{fill}" stroke="{PAPER}" stroke-width="2"'
        if shape == "circle":
            self.elements.append(f'<circle cx="{x:g}" cy="{y:g}" r="{size}" {style}/>')
            return
        points = " ".join(f"{x + size * dx:g},{y + size * dy:g}" for dx, dy in CORNERS[shape])
        self.elements.append(f'<polygon points="{points}" {style}/>')

    def triangle(self, corners: list[tuple[float, float]], fill: str) -> None:
        """Draw a filled triangle, such as the head of an arrow.

        Parameters
        ----------
        corners
            Its three points.
        fill
            The colour.
        """
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self.elements.append(f'<polygon points="{points}" fill="{fill}"/>')

    @contextmanager
    def link(self, section: str, name: str) -> Iterator[None]:
        """Make what is drawn within the block a link to the page of a section.

        Parameters
        ----------
        section
            The number of the section, such as "4.1.2". Without a notebook of it there is no link.
        name
            What is drawn, for screen readers.
        """
        number = "0" + section.replace(".", "-")
        notebook = next(NOTEBOOKS.glob(f"{number}-[a-z]*.ipynb"), None)
        if notebook is None:
            yield
            return
        label = escape(f"{section} {name}")
        self.elements.append(f'<a href="../notebooks/{notebook.stem}.html" aria-label="{label}">')
        yield
        self.elements.append("</a>")

    def svg(self) -> str:
        """Return the whole picture as text."""
        lines = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}" role="img" font-family="{SANS}">'
            ),
            f"<title>{escape(self.title)}</title>",
            ARROW_HEAD,
            f'<rect width="{self.width}" height="{self.height}" rx="10" fill="{PAPER}"/>',
            *self.elements,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"
