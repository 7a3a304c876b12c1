"""Diagrams of section 2.2: one word cut by byte-pair encoding and by a unigram model."""

from __future__ import annotations

from tools.diagrams.boxes import Point, spread
from tools.diagrams.palette import Meaning
from tools.diagrams.shapes import Circle
from tools.diagrams.vocabulary import Diagram

WORD = "▁unkindness"  # the notebook compares what is drawn here with its own computation
MERGES = ("in", "es", "▁u", "ess", "ind", "▁un", "ness")  # in the order in which they apply
LETTERS = {"▁": -3.0, "u": -5.3, "n": -5.2, "k": -6.3, "i": -5.3, "d": -3.9, "e": -4.1, "s": -3.4}
LONGER = {"un": -7.0, "▁un": -7.1, "in": -6.0, "ne": -6.5, "es": -6.6, "ness": -7.3}
PROBABILITIES = LETTERS | LONGER  # of the pieces of the word, as log-probabilities
BEST = ("▁un", "k", "in", "d", "ness")
HEIGHTS = {"un": -36, "▁un": 92, "in": 50, "ne": 50, "ness": 92, "es": -36}  # of the long arcs
EDGES = spread(13, 387, len(WORD) + 1)  # left of each letter, and right of the last one
RISE = 39  # from one merge to the next


def bpe_merges() -> Diagram:
    """Draw the merges of a word, each above the two pieces that it joins."""
    d = Diagram(
        "bpe-merges",
        "The merges of one word in byte-pair encoding",
        "At the bottom the eleven letters of ▁unkindness. Above them seven merges, numbered in "
        "order, each joined to its two pieces: in; es; ▁u; ess from es and s; ind from in and d; "
        "▁un from ▁u and n; ness from n and ess. Four pieces are left: ▁un, k, ind and ness.",
    )
    bottom = 40.0 + RISE * len(MERGES)
    pieces: list[tuple[str, Point]] = []  # the text of each, and the middle of its upper edge
    left = _left(MERGES)
    for x, letter in zip(spread(30, 370, len(WORD)), WORD, strict=True):
        box = d.box(x, bottom, 26, letter, "layer" if letter == "k" else "plain", height=26)
        pieces.append((letter, box.top))
    for row, merged in enumerate(MERGES, 1):
        i = next(i for i in range(len(pieces) - 1) if pieces[i][0] + pieces[i + 1][0] == merged)
        (_, one), (_, other) = pieces[i : i + 2]
        x, y = (one[0] + other[0]) / 2, bottom - RISE * row
        meaning: Meaning = "layer" if merged in left else "plain"
        box = d.box(x, y, 26 + 8 * (len(merged) - 1), merged, meaning, height=26)
        d.note(box.right[0] + 9, y, str(row))
        for start in (one, other):
            d.arrow(start, (start[0], y + 18), (x, y + 18), box.bottom, head=False)
        pieces[i : i + 2] = [(merged, box.top)]
    return d


def _left(merges: tuple[str, ...]) -> set[str]:
    """Return the merged pieces that no later merge joins."""
    return {
        piece for piece in merges if not any(piece in later for later in merges if later != piece)
    }


def unigram_lattice() -> Diagram:
    """Draw the lattice of all segmentations of a word, with the most probable one."""
    d = Diagram(
        "unigram-lattice",
        "All segmentations of one word by a unigram model",
        "Twelve points from left to right, the ends of the eleven letters of ▁unkindness. An arrow "
        "from point to point is a piece with its log-probability: each letter, and un, ▁un, in, "
        "ne, es and ness. A path from the first point to the last is a segmentation; there are 24. "
        "The most probable is drawn thick: ▁un −7.1, k −6.3, in −6.0, d −3.9, ness −7.3.",
    )
    y = 130.0
    for x in EDGES:
        d.add(Circle(x, y, 4.0, fill="line", stroke="none"))
    start = 0
    thick = set()
    for piece in BEST:
        thick.add((start, piece))
        start += len(piece)
    for piece, value in PROBABILITIES.items():
        for i in range(len(WORD)):
            if WORD.startswith(piece, i):
                _arc(d, piece, i, y, value, best=(i, piece) in thick)
    return d


def _arc(d: Diagram, piece: str, i: int, y: float, value: float, *, best: bool) -> None:
    """Draw a piece from its first point to its last, with its log-probability."""
    start, end = EDGES[i], EDGES[i + len(piece)]
    colour = "state" if best else "line"
    text = f"{value:.1f}".replace("-", "−")
    written = "state-text" if best else "ink"
    if len(piece) == 1:
        d.arrow((start + 4, y), (end - 3, y), colour=colour, strong=best)
        d.text((start + end) / 2, y - 29, piece, colour=written, bold=best)
        d.text((start + end) / 2, y - 13, text, size=11.5, colour=written)
        return
    height = HEIGHTS[piece]
    step = 5 if height > 0 else -5
    top = y - height
    path = ((start, y - step), (start, top), (end, top), (end, y - step))
    d.arrow(*path, colour=colour, strong=best)
    label = f"{piece} {text}"
    d.text((start + end) / 2, top + (-10 if height > 0 else 13), label, size=12.5, colour=written)
