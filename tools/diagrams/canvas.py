"""The canvas of a diagram: its shapes, the parts to which they belong, and its SVG."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import escape

from tools.diagrams.boxes import Bounds
from tools.diagrams.labels import SANS
from tools.diagrams.palette import paint
from tools.diagrams.shapes import Label, Shape

WIDTH = 400  # of every diagram, in units: text has one size on all of them
ID = "diagram-"  # ids in a file begin so
MARGIN = 10  # above and below what is drawn
SHOWN_WIDTH = 480  # in pixels, where a page sets no width


def each_part(*names: str) -> dict[str, tuple[str, ...]]:
    """Return a variant for each part, in which it alone is emphasized."""
    return {name: (name,) for name in names}


@dataclass
class Canvas:
    """The shapes of a diagram.

    Parameters
    ----------
    name
        The name of its file, and the beginning of ids in it.
    title
        What it shows, in a few words: the first part of its text alternative.
    description
        The second part, in sentences: what a reader sees who sees it.
    width
        Its width in units. Its height follows from what is drawn.
    emphasis
        Names of parts that are emphasized in the diagram itself; none for all in full colour.
    variants
        Diagrams with other emphasized parts: the ending of a name, and the names of the parts.
    """

    name: str
    title: str
    description: str
    width: float = WIDTH
    emphasis: tuple[str, ...] = ()
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shapes: list[tuple[Shape, frozenset[str]]] = field(default_factory=list, init=False)
    _parts: list[str] = field(default_factory=list, init=False)

    def add(self, shape: Shape) -> None:
        """Add a shape to the parts that are being drawn."""
        self.shapes.append((shape, frozenset(self._parts)))

    @contextmanager
    def part(self, *names: str, when: bool = True) -> Iterator[None]:
        """Give what is drawn within the block to parts, which a variant may emphasize.

        Parameters
        ----------
        names
            The names of the parts.
        when
            Whether to do so at all: a loop may give some of its steps to a part.
        """
        before = list(self._parts)
        if when:
            self._parts.extend(names)
        yield
        self._parts[:] = before

    def part_names(self) -> set[str]:
        """Return the names of all parts."""
        return set().union(*(parts for _, parts in self.shapes))

    def drawn(self, emphasized: Collection[str] = ()) -> list[Shape]:
        """Return the shapes from back to front.

        Parameters
        ----------
        emphasized
            Names of parts. If there are any, all other shapes are faded.

        Raises
        ------
        ValueError
            If there is no part of a name.
        """
        unknown = set(emphasized) - self.part_names()
        if unknown:
            known = ", ".join(sorted(self.part_names()))
            raise ValueError(f"{self.name} has no part {', '.join(unknown)}; choose from {known}")
        layers: dict[tuple[bool, bool], list[Shape]] = {}
        for shape, parts in self.shapes:
            clear = not emphasized or not parts.isdisjoint(emphasized)
            layer = layers.setdefault((not shape.background, clear), [])
            layer.append(shape if clear else shape.faded())
        return [shape for _, layer in sorted(layers.items()) for shape in layer]

    def view(self) -> Bounds:
        """Return the part of the plane that is shown: all that is drawn, with a margin."""
        bounds = [shape.bounds() for shape, _ in self.shapes]
        top, bottom = min(b.top for b in bounds), max(b.bottom for b in bounds)
        return Bounds(0, math.floor(top - MARGIN), self.width, math.ceil(bottom + MARGIN))

    def texts(self) -> list[str]:
        """Return title, description, names of variants and labels with words, each once."""
        texts = [shape.text for shape, _ in self.shapes if isinstance(shape, Label)]
        words = [text for text in texts if re.search(r"[A-Za-z]{2}", text)]
        names = [variant.replace("-", " ") for variant in self.variants]
        return list(dict.fromkeys([self.title, self.description, *names, *words]))

    def svg(
        self, variant: str | None = None, *, translate: Callable[[str], str] | None = None
    ) -> str:
        """Return the file of the diagram.

        Parameters
        ----------
        variant
            One of `variants`; None for the diagram itself.
        translate
            Gives each of `texts` in another language; None for English.

        Returns
        -------
        svg : str
            The content of the file.
        """
        translate = translate or str
        file, title = self.name, translate(self.title)
        if variant is not None:
            file, title = f"{file}-{variant}", f"{title}: {translate(variant.replace('-', ' '))}"
        shapes = [
            replace(shape, text=translate(shape.text)) if isinstance(shape, Label) else shape
            for shape in self.drawn(self.emphasis if variant is None else self.variants[variant])
        ]
        view = self.view()
        height = view.bottom - view.top
        lines = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" role="img" '
                f'aria-labelledby="{ID}{file}-title {ID}{file}-desc" '
                f'viewBox="0 {view.top:g} {self.width:g} {height:g}" '
                f'width="{SHOWN_WIDTH}" height="{SHOWN_WIDTH * height / self.width:g}" '
                f'font-family="{SANS}" fill="none">'
            ),
            f'<title id="{ID}{file}-title">{escape(title)}</title>',
            f'<desc id="{ID}{file}-desc">{escape(translate(self.description))}</desc>',
            (
                f'<rect y="{view.top:g}" width="{self.width:g}" height="{height:g}" rx="8" '
                f"{paint(fill='ground')}/>"
            ),
            *(shape.svg() for shape in shapes),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def files(self) -> dict[str, str | None]:
        """Return the variant in each of the diagram's files, by its name without ending."""
        return {self.name: None, **{f"{self.name}-{variant}": variant for variant in self.variants}}
