"""Diagrams of connectionist temporal classification: from frames to text, and all its paths."""

from __future__ import annotations

from itertools import groupby

from tools.diagrams.boxes import spread
from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.shapes import Circle, Line
from tools.diagrams.vocabulary import Diagram

BLANK = "∅"
PATH = (BLANK, "d", "d", BLANK, "o", "g", "g", BLANK)
SYMBOLS = (BLANK, "d", "o", "g")
LOUDNESS = (4, 6, 15, 26, 34, 22, 30, 38, 40, 28, 18, 26, 33, 21, 9, 5)  # of the sound, in pixels


def ctc() -> Diagram:
    """Draw how CTC turns sound into text: a distribution for each frame, a path, its collapse."""
    d = Diagram(
        "ctc",
        "CTC: one symbol for each frame, then collapse",
        "From bottom to top: the sound, an encoder, and for each of S = 8 frames a distribution "
        "over the blank ∅ and the letters d, o, g. A path takes one symbol from each frame, here "
        "∅ d d ∅ o g g ∅. Equal neighbours are merged, which leaves ∅ d ∅ o g ∅; then blanks are "
        "dropped, which leaves d o g: the text is “dog”.",
        variants=each_part("frames", "distributions", "path", "collapse"),
    )
    xs = spread(104, 376, 8)
    with d.part("frames"):
        _frames(d, xs)
    with d.part("distributions"):
        _distributions(d, xs, bottom=398)
    with d.part("path"):
        d.text(8, 246, "path", anchor="start")
        for x, symbol in zip(xs, PATH, strict=True):
            _symbol(d, x, 246, symbol)
            d.arrow((x, 292), (x, 261))
    with d.part("collapse"):
        _collapse(d, xs)
    return d


def _frames(d: Diagram, xs: list[float]) -> None:
    """Draw the sound and the encoder."""
    d.text(8, 556, "sound", anchor="start")
    for i, height in enumerate(LOUDNESS):
        x = xs[0] + (i - 0.5) * (xs[1] - xs[0]) / 2 + 0.5
        d.add(Line(((x, 556 - height / 2), (x, 556 + height / 2)), "soft", 3, head=False))
    encoder = d.box(240, 472, 306, "encoder", "layer")
    for x in xs:
        d.arrow((x, 532), encoder.bottom_at(x))
    d.note(8, 510, "(B, F, M)", anchor="start")


def _distributions(d: Diagram, xs: list[float], *, bottom: float) -> None:
    """Draw a column for each frame, in which the likeliest symbol is dark."""

    def likeliest(row: int, column: int) -> Meaning | None:
        return "output" if SYMBOLS[row] == PATH[column] else None

    cell, height = xs[1] - xs[0], 26.0
    y = bottom - 2 * height
    grid = d.grid(
        240, y, rows=4, columns=8, cell=cell, cell_height=height, meaning=likeliest, solid=True
    )
    for i, symbol in enumerate(SYMBOLS):
        d.text(76, y + (i - 1.5) * height, symbol, anchor="end")
    for x in xs:
        d.arrow((x, 456), grid.bottom_at(x))
    d.note(8, 428, "(B, S, V)", anchor="start")


def _symbol(d: Diagram, x: float, y: float, symbol: str) -> None:
    """Draw a symbol of a path; blanks are pale."""
    d.add(Circle(x, y, 13, "pane" if symbol == BLANK else "output-tint", stroke="none"))
    d.text(x, y, symbol, colour="soft" if symbol == BLANK else "ink")


def _collapse(d: Diagram, xs: list[float]) -> None:
    """Draw the two steps of the collapse, and the text."""
    groups = [list(group) for _, group in groupby(range(8), key=lambda i: PATH[i])]
    d.text(8, 170, "merge", anchor="start")
    d.text(8, 100, "drop ∅", anchor="start")
    for group in groups:
        x = sum(xs[i] for i in group) / len(group)
        for i in group:
            d.add(Line(((xs[i], 232), (x, 185)), "line", 1.5))
        symbol = PATH[group[0]]
        _symbol(d, x, 170, symbol)
        if symbol != BLANK:
            d.arrow((x, 156), (x, 115))
            _symbol(d, x, 100, symbol)
            d.add(Line(((x, 86), (240 + (x - 240) * 0.12, 46)), "line", 1.5))
    d.text(8, 30, "text", anchor="start")
    d.token(240, 30, "dog")


def ctc_lattice() -> Diagram:
    """Draw all paths that collapse to one text as ways through a lattice."""
    d = Diagram(
        "ctc-lattice",
        "All CTC paths of one text",
        "A lattice with a column for each of 8 frames and a row for each symbol of ∅ d ∅ o ∅ g ∅, "
        "from bottom to top. A path starts in one of the two lowest rows and ends in one of the "
        "two highest. From frame to frame it stays in its row, goes up one, or skips a blank "
        "between two different letters. One of the paths is emphasized: ∅ d d ∅ o g g ∅. The "
        "forward recursion adds up the probabilities of all of them, node by node.",
        variants=each_part("path"),
    )
    xs, ys = spread(62, 380, 8), spread(344, 32, 7)
    symbols = (BLANK, "d", BLANK, "o", BLANK, "g", BLANK)
    path = (0, 1, 1, 2, 3, 5, 5, 6)
    for t, x in enumerate(xs):
        d.note(x, 376, str(t + 1))
        for s, y in enumerate(ys):
            _node(d, x, y, symbols[s], reachable=_reachable(t, s), on_path=path[t] == s)
    for t in range(7):
        for s in range(7):
            for step in (0, 1, 2):
                if _allowed(t, s, step, symbols):
                    _move(d, xs, ys, t, s, step, on_path=path[t : t + 2] == (s, s + step))
    for y, symbol in zip(ys, symbols, strict=True):
        d.text(22, y, symbol)
    d.note(221, 402, "frame $t$")
    return d


def _reachable(t: int, s: int) -> bool:
    """Return whether some path of the text “dog” over 8 frames passes row `s` at frame `t`."""
    latest = 2 * t + 1 if t < 3 else 6
    earliest = 5 - 2 * (7 - t) if t > 4 else 0
    return earliest <= s <= latest


def _allowed(t: int, s: int, step: int, symbols: tuple[str, ...]) -> bool:
    """Return whether paths move by `step` rows from row `s` at frame `t`."""
    skips_blank = step < 2 or symbols[s] != BLANK
    inside = s + step < len(symbols)
    return inside and skips_blank and _reachable(t, s) and _reachable(t + 1, s + step)


def _node(d: Diagram, x: float, y: float, symbol: str, *, reachable: bool, on_path: bool) -> None:
    """Draw a node of the lattice."""
    if not reachable:
        d.add(Circle(x, y, 2, "faint", stroke="none"))
        return
    with d.part("path", when=on_path):
        fill = "output" if on_path else "ground" if symbol == BLANK else "output-tint"
        d.add(Circle(x, y, 9, fill, "output", 1.5))


def _move(
    d: Diagram, xs: list[float], ys: list[float], t: int, s: int, step: int, *, on_path: bool
) -> None:
    """Draw a move of the paths from one frame to the next."""
    ends = ((xs[t], ys[s]), (xs[t + 1], ys[s + step]))
    with d.part("path", when=on_path):
        colour, weight = ("output", 3.0) if on_path else ("faint", 1.2)
        d.add(Line(ends, colour, weight, head=False, background=True))
