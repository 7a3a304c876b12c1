"""Diagrams of connectionist temporal classification: from frames to text, and all its paths."""

from __future__ import annotations

from itertools import groupby

from tools.diagrams.boxes import spread
from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.shapes import Circle, Line, Rectangle
from tools.diagrams.sketch import SMALL
from tools.diagrams.vocabulary import Diagram

BLANK = "∅"
PATH = (BLANK, "7", "7", BLANK, "7", "3", "3", BLANK)
SYMBOLS = (BLANK, "7", "3")
LOUDNESS = (4, 6, 15, 26, 34, 22, 30, 38, 40, 28, 18, 26, 33, 21, 9, 5)  # of the sound, in pixels
LABELS = (BLANK, "7", BLANK, "7", BLANK, "3", BLANK)
PROBABILITIES = (  # of ∅, 7 and 3 at each time step of the example of section 6.3
    (0.20, 0.70, 0.07),
    (0.57, 0.30, 0.10),
    (0.17, 0.70, 0.10),
    (0.40, 0.27, 0.30),
    (0.20, 0.07, 0.70),
)


def ctc() -> Diagram:
    """Draw how CTC turns sound into text: a distribution for each step, a path, its collapse."""
    d = Diagram(
        "ctc",
        "CTC: one symbol for each time step, then collapse",
        "From bottom to top: the sound in F = 16 frames, an encoder, and for each of S = 8 time "
        "steps a distribution over the blank ∅ and the digits 7 and 3. A path takes one symbol "
        "from each time step, here ∅ 7 7 ∅ 7 3 3 ∅. Equal neighbours are merged, which leaves "
        "∅ 7 ∅ 7 3 ∅; then blanks are dropped, which leaves 7 7 3: the text is 773.",
        variants=each_part("frames", "distributions", "path", "collapse"),
    )
    xs = spread(104, 376, 8)
    with d.part("frames"):
        _frames(d, xs)
    with d.part("distributions"):
        _distributions(d, xs, bottom=398)
    with d.part("path"):
        d.text(8, 270, "path", anchor="start")
        for x, symbol in zip(xs, PATH, strict=True):
            _symbol(d, x, 270, symbol)
            d.arrow((x, 316), (x, 285))
    with d.part("collapse"):
        _collapse(d, xs)
    return d


def _frames(d: Diagram, xs: list[float]) -> None:
    """Draw the sound, its frames and the encoder."""
    d.text(8, 556, "sound", anchor="start")
    encoder = d.box(240, 472, 306, "encoder", "layer")
    for i, height in enumerate(LOUDNESS):
        x = xs[0] + (i - 0.5) * (xs[1] - xs[0]) / 2 + 0.5
        d.add(Line(((x, 556 - height / 2), (x, 556 + height / 2)), "soft", 3, head=False))
        d.arrow((x, 530), encoder.bottom_at(x))
    d.note(8, 510, "(B, F, M)", anchor="start")


def _distributions(d: Diagram, xs: list[float], *, bottom: float) -> None:
    """Draw a column for each time step, in which the likeliest symbol is dark."""

    def likeliest(row: int, column: int) -> Meaning | None:
        return "output" if SYMBOLS[row] == PATH[column] else None

    cell, height = xs[1] - xs[0], 26.0
    y = bottom - 1.5 * height
    grid = d.grid(
        240, y, rows=3, columns=8, cell=cell, cell_height=height, meaning=likeliest, solid=True
    )
    for i, symbol in enumerate(SYMBOLS):
        d.text(76, y + (i - 1) * height, symbol, anchor="end")
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
    d.text(8, 194, "merge", anchor="start")
    d.text(8, 124, "drop ∅", anchor="start")
    for group in groups:
        x = sum(xs[i] for i in group) / len(group)
        for i in group:
            d.add(Line(((xs[i], 256), (x, 209)), "line", 1.5))
        symbol = PATH[group[0]]
        _symbol(d, x, 194, symbol)
        if symbol != BLANK:
            d.arrow((x, 180), (x, 139))
            _symbol(d, x, 124, symbol)
            d.add(Line(((x, 110), (240 + (x - 240) * 0.12, 70)), "line", 1.5))
    d.text(8, 54, "text", anchor="start")
    d.token(240, 54, "7 7 3")


def ctc_lattice() -> Diagram:
    """Draw all paths that collapse to one text as ways through a lattice, with forward sums."""
    d = Diagram(
        "ctc-lattice",
        "All CTC paths of the text 773, with the forward variables",
        "A lattice with a column for each of 5 time steps and a row for each label of "
        "∅ 7 ∅ 7 ∅ 3 ∅, from bottom to top. A path starts in one of the two lowest rows and ends "
        "in one of the two highest. From step to step it stays in its row or goes up one; it may "
        "skip the blank between 7 and 3, and never the one between the two 7s. Each node shows "
        "its forward variable; the last two labels of the last step have 0.211 and 0.017. One "
        "path is emphasized: 7 ∅ 7 ∅ 3. The 7 paths of the text use the nodes with an outline.",
        variants=each_part("path"),
    )
    xs, ys = spread(74, 372, len(PROBABILITIES)), spread(352, 32, len(LABELS))
    path, alpha = (1, 2, 3, 4, 5), forward_sums()
    for s, x in enumerate(xs):
        d.note(x, 386, str(s + 1))
        for i, y in enumerate(ys):
            _node(d, x, y, alpha[s][i], complete=_completes(s, i), on_path=path[s] == i)
    for s in range(len(xs) - 1):
        for i in range(len(LABELS)):
            for j in moves(i):
                if alpha[s][i] and _completes(s, i) and _completes(s + 1, j):
                    _move(d, xs, ys, (s, i, j), on_path=path[s : s + 2] == (i, j))
    for y, symbol in zip(ys, LABELS, strict=True):
        d.text(22, y, symbol)
    d.note(223, 412, "time step $s$")
    return d


def moves(i: int) -> list[int]:
    """Return the labels to which a path may move from label `i`: itself, the next, or a skip."""
    reach = [j for j in (i, i + 1) if j < len(LABELS)]
    skip = i + 2
    if skip < len(LABELS) and LABELS[skip] not in (BLANK, LABELS[i]):
        reach.append(skip)
    return reach


def forward_sums() -> list[list[float]]:
    """Return the forward variables of the text at each time step and label."""
    rows = [dict(zip(SYMBOLS, row, strict=True)) for row in PROBABILITIES]
    sums = [[rows[0][LABELS[0]], rows[0][LABELS[1]], *[0.0] * (len(LABELS) - 2)]]
    for row in rows[1:]:
        came = [
            sum(value for j, value in enumerate(sums[-1]) if i in moves(j))
            for i in range(len(LABELS))
        ]
        sums.append([row[label] * value for label, value in zip(LABELS, came, strict=True)])
    return sums


def _completes(s: int, i: int) -> bool:
    """Return whether a path at label `i` and step `s` can still reach one of the last two."""
    labels = {i}
    for _ in range(len(PROBABILITIES) - 1 - s):
        labels |= {j for label in labels for j in moves(label)}
    return bool(labels & {len(LABELS) - 2, len(LABELS) - 1})


def _node(d: Diagram, x: float, y: float, value: float, *, complete: bool, on_path: bool) -> None:
    """Draw a node of the lattice with its forward variable."""
    if not value:
        d.add(Circle(x, y, 2, "faint", stroke="none"))
        return
    with d.part("path", when=on_path):
        fill, stroke = ("output-tint", "output") if complete else ("pane", "none")
        d.add(Rectangle(x, y, 46, 24, fill, stroke, 2.5 if on_path else 1.2, radius=12))
        d.text(x, y, f"{value:.3f}", size=SMALL, colour="ink" if complete else "soft")


def _move(
    d: Diagram, xs: list[float], ys: list[float], move: tuple[int, int, int], *, on_path: bool
) -> None:
    """Draw a move of the paths from a step and a label to another label at the next step."""
    s, i, j = move
    ends = ((xs[s], ys[i]), (xs[s + 1], ys[j]))
    with d.part("path", when=on_path):
        colour, weight = ("output", 3.0) if on_path else ("faint", 1.2)
        d.add(Line(ends, colour, weight, head=False, background=True))
