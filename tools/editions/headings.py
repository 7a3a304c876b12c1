"""The headings of the book in its order, from which the files make their contents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from tools.editions.articles import Part

ELEMENT = re.compile("<[^>]+>")


@dataclass(frozen=True)
class Heading:
    """A heading of the book.

    Parameters
    ----------
    level
        How deep it is: 1 for chapters.
    key
        Its id.
    content
        What it says, in HTML.
    is_title
        Whether it is the title of a page or of the solutions of a chapter.
    """

    level: int
    key: str
    content: str
    is_title: bool

    @property
    def text(self) -> str:
        """What it says, without elements; formulas in LaTeX."""
        return " ".join(unescape(ELEMENT.sub("", self.content)).split())


def read_headings(parts: list[Part]) -> Iterator[Heading]:
    """Yield each heading of the book, to which an id is given.

    Parameters
    ----------
    parts
        The parts of the book, whose headings are changed.

    Yields
    ------
    heading : Heading
        In the order of the book.
    """
    for part in parts:
        for number, heading in enumerate(part.article.find_all(re.compile("^h[1-6]$"))):
            heading["id"] = f"{part.key}--heading-{number}" if number else f"{part.key}--title"
            yield Heading(
                int(heading.name[1]),
                str(heading["id"]),
                heading.decode_contents().strip(),
                is_title=number == 0,
            )
