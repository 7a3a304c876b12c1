"""Labels with formulas: a small part of TeX's notation, its width, and its SVG.

A label is plain text in which ``$…$`` encloses a formula: letters are italic, ``_`` and ``^`` put
the next letter or group ``{…}`` lower or higher, as in ``"state $h_{t-1}$"``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.ft2font import FT2Font

SANS = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
SERIF = "Times New Roman,Times,serif"
FORMULA_SCALE = 1.12  # letters of a serif font look smaller
INDEX_SCALE = 0.72
INDEX_SHIFT = {-1: 0.26, 0: 0.0, 1: -0.44}  # of an index, in sizes of the label, downwards
INDEX_WIDTH = 0.37  # of a letter of an index, in sizes of the label
FONT_UNITS = 2048  # of the fonts measured here: at this size, widths are whole numbers
FIXED_POINT = 65536  # in FreeType, such a width is counted in parts of this size

TOKEN = re.compile(r"([_^])(?:\{([^}]*)\}|(.))|([A-Za-zα-ω]+)|([^_^A-Za-zα-ω]+)")


class Run(NamedTuple):
    """A piece of a label in one font.

    Parameters
    ----------
    text
        Its characters.
    formula
        Whether it belongs to a formula.
    italic
        Whether it is a letter of a formula.
    level
        1 for a superscript, −1 for a subscript, else 0.
    """

    text: str
    formula: bool = False
    italic: bool = False
    level: int = 0

    @property
    def scale(self) -> float:
        """Its size, in sizes of the label."""
        if not self.formula:
            return 1.0
        return FORMULA_SCALE * (INDEX_SCALE if self.level else 1)


@lru_cache(maxsize=1024)
def parse(label: str) -> tuple[Run, ...]:
    """Return the pieces of a label of one line."""
    runs: list[Run] = []
    for i, text in enumerate(label.split("$")):
        if i % 2:
            runs.extend(_formula(text, level=0))
        elif text:
            runs.append(Run(text))
    return tuple(runs)


def _formula(text: str, *, level: int) -> Iterator[Run]:
    """Yield the pieces of a formula."""
    for mark, group, single, letters, rest in TOKEN.findall(text):
        if mark:
            yield from _formula(group or single, level=1 if mark == "^" else -1)
        else:
            yield Run(letters or rest.replace("-", "−"), True, bool(letters), level)


def width(label: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a label of one line, in fonts that are wider than most.

    Parameters
    ----------
    label
        The text to measure.
    size
        The size of its letters.
    bold
        Whether its text is bold.

    Returns
    -------
    width : float
        In the unit of the size.
    """
    end = furthest = 0.0
    for run, back in zip(parse(label), _steps_back(parse(label)), strict=True):
        advance = run.scale * _advance(run.text, _font_name(run, bold=bold))
        end += advance - back
        furthest = max(furthest, end)
    return size * furthest


def _steps_back(runs: Sequence[Run]) -> list[float]:
    """Return how far before its place each piece begins: an index below a superscript does."""
    pairs = zip((Run(""), *runs), runs, strict=False)
    return [
        len(before.text) * INDEX_WIDTH if (before.level, run.level) == (1, -1) else 0.0
        for before, run in pairs
    ]


def _font_name(run: Run, *, bold: bool) -> str:
    """Return the name of the font that stands in for those of the readers."""
    if run.formula:
        return "DejaVuSerif-Italic" if run.italic else "DejaVuSerif"
    return "DejaVuSans-Bold" if bold else "DejaVuSans"


@lru_cache(maxsize=4096)
def _advance(text: str, font: str) -> float:
    """Return the width of a text at size 1."""
    glyphs = (_load(font).load_char(ord(character)) for character in text)
    return sum(glyph.linearHoriAdvance for glyph in glyphs) / (FIXED_POINT * FONT_UNITS)


@lru_cache(maxsize=8)
def _load(font: str) -> FT2Font:
    """Load one of the fonts that come with matplotlib."""
    loaded = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"))
    loaded.set_size(FONT_UNITS, 72)  # dots per inch: a point is a dot
    return loaded


def svg(label: str, size: float) -> str:
    """Return the content of a ``<text>`` element: text, and ``<tspan>`` for parts of formulas.

    Parameters
    ----------
    label
        A label of one line.
    size
        The size of its letters.

    Returns
    -------
    content : str
        SVG.
    """
    parts, shift = [], 0.0
    for run, back in zip(parse(label), _steps_back(parse(label)), strict=True):
        target = INDEX_SHIFT[run.level] * size
        attributes = f' dx="{-back * size:.4g}"' if back else ""
        attributes += f' dy="{target - shift:.4g}"' if abs(target - shift) > 1e-6 else ""
        shift = target
        if run.formula:
            style = ' font-style="italic"' if run.italic else ""
            attributes += f' font-family="{SERIF}" font-size="{size * run.scale:.4g}"{style}'
        text = escape(run.text, quote=False)
        parts.append(f"<tspan{attributes}>{text}</tspan>" if attributes else text)
    return "".join(parts)


def plain(label: str) -> str:
    """Return a label without its notation, as a screen reader or a search finds it."""
    return "".join(run.text for run in parse(label))
