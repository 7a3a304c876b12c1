"""Diagrams of section 9.1: three ways to a label, and the convolutions of Kim 2014."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

WORDS = ("it", "is", "not", "dull", ".")
SPANS = (2, 3)
NUM_FILTERS = 3


def text_classifiers() -> Diagram:
    """Draw three ways from a sentence to two logits: counts, a vector, and a prompt."""
    d = Diagram(
        "text-classifiers",
        "Three ways from a sentence to a label",
        "Three columns, each from bottom to top, begin with the sentence “it is not dull .”. First "
        "column, counts: the words and pairs of words of the sentence, F numbers 0 or 1, enter a "
        "linear layer. Second column, a vector: word vectors enter an encoder, a mean, "
        "convolutions, a GRU or a Transformer, new or pretrained, whose vector of length D enters "
        "a linear layer. Third column, a prompt: the sentence and the words “This is” enter a "
        "language model, and the probabilities of “good” and of “bad” as the next word are "
        "compared. Each column ends in two numbers, for blame and for praise.",
        variants=each_part("counts", "vector", "prompt"),
    )
    columns = (72.0, 200.0, 328.0)
    with d.part("counts"):
        _counts(d, columns[0])
    with d.part("vector"):
        _vector(d, columns[1])
    with d.part("prompt"):
        _prompt(d, columns[2])
    return d


def _ends(d: Diagram, x: float, title: str) -> tuple[Box, Box]:
    """Draw what all columns begin and end with, and return the sentence and the two numbers."""
    d.text(x, 14, title, bold=True)
    output = d.box(x, 54, 116, "blame | praise", "output", height=30)
    sentence = d.token(x, 372, "it is not dull .")
    return sentence, output


def _counts(d: Diagram, x: float) -> None:
    """Draw the column of counts."""
    _, output = _ends(d, x, "counts")
    features = d.vector(x, 268, "embedding", cells=8)
    d.note(x, 288, "not  ·  not dull  ·  …")
    d.arrow((x, 359), (x, 300))
    linear = d.box(x, 130, 104, "linear", "layer")
    d.arrow(features.top, linear.bottom, label="($F$)")
    d.arrow(linear.top, output.bottom, label="(2)")


def _vector(d: Diagram, x: float) -> None:
    """Draw the column of encoders."""
    sentence, output = _ends(d, x, "a vector")
    encoder = d.box(x, 264, 104, "encoder", "layer", height=64)
    d.arrow(sentence.top, encoder.bottom, label="($S$)")
    linear = d.box(x, 130, 104, "linear", "layer")
    vector = d.vector(x, 196, "state", cells=5)
    d.arrow(encoder.top, vector.bottom)
    d.arrow(vector.top, linear.bottom, label="($D$)")
    d.arrow(linear.top, output.bottom, label="(2)")


def _prompt(d: Diagram, x: float) -> None:
    """Draw the column of a prompt."""
    sentence, output = _ends(d, x, "a prompt")
    added = d.token(x, 328, "This is")
    d.arrow(sentence.top, added.bottom, head=False)
    model = d.box(x, 264, 116, "language\nmodel", "layer", height=52)
    d.arrow(added.top, model.bottom, label="($T$)")
    choice = d.box(x, 146, 116, "$p$(bad)\n$p$(good)", "plain", height=52)
    d.arrow(model.top, choice.bottom, label="($V$)")
    d.arrow(choice.top, output.bottom, label="(2)")


def text_cnn() -> Diagram:
    """Draw convolutions over word vectors, each with its maximum over time."""
    d = Diagram(
        "text-cnn",
        "Convolutions over a sentence, and their maxima over time",
        "From bottom to top: the words it, is, not, dull and a full stop have one vector each, of "
        "length E; two zero vectors stand before and two after them. Filters of span 2 answer at "
        "each of 6 windows, filters of span 3 at each of 7; there are three filters of each span, "
        "the rows of two grids. One window of each is marked: it is, and not dull with the full "
        "stop. Of each row only the largest number is kept. The six numbers, side by side, are the "
        "vector of the sentence, which a linear layer turns into two logits, blame and praise.",
        variants={"windows": ("windows",), "maximum": ("maximum",)},
    )
    columns = spread(32, 368, 9)
    _word_vectors(d, columns)
    maxima = []
    for centre, span in zip((104.0, 292.0), SPANS, strict=True):
        maxima.append(_filters(d, columns, centre, span))
    with d.part("maximum"):
        vector = d.vector(200, 112, "state", cells=2 * NUM_FILTERS, cell=14)
        for strip, side in zip(maxima, (-1, 1), strict=True):
            end = (200 + side * 21, 119)
            d.arrow(strip.top, (strip.x, 136), (end[0], 136), end)
        d.note(252, 112, "(B, 2$K$)", anchor="start")
    output = d.box(200, 40, 130, "blame | praise", "output", height=30)
    d.arrow(vector.top, output.bottom, label="linear: (B, 2)")
    return d


def _word_vectors(d: Diagram, columns: list[float]) -> None:
    """Draw the tokens and their vectors, with zeros on both sides."""
    y = 372.0
    for i, x in enumerate(columns):
        is_zero = not 2 <= i < 2 + len(WORDS)
        meaning: Meaning = "absent" if is_zero else "embedding"
        strip = d.vector(x, y, meaning, cells=4, cell=11, upright=True)
        if is_zero:
            d.note(x, y + 58, "0")
        else:
            token = d.token(x, y + 58, WORDS[i - 2])
            d.arrow(token.top, strip.bottom)
    d.note(200, y + 84, "word vectors: (B, $S$, $E$)")


def _filters(d: Diagram, columns: list[float], centre: float, span: int) -> Box:
    """Draw the answers of the filters of one span and their maxima, which are returned."""
    num_windows = len(WORDS) + span - 1
    cell, y = 18.0, 254.0
    first = 2 * (span - 1)  # the column where the marked window begins
    window = first - (3 - span)  # its number among those of this span
    grid = d.grid(
        centre,
        y,
        rows=NUM_FILTERS,
        columns=num_windows,
        cell=cell,
        cell_height=14,
        meaning=lambda i, j: "layer" if i == 0 and j == window else None,
    )
    with d.part("windows"):
        left, right = columns[first] - 14, columns[first + span - 1] + 14
        top = 336.0
        d.arrow((left, 346), (left, top), (right, top), (right, 346), colour="layer", head=False)
        x = centre + (window - (num_windows - 1) / 2) * cell
        d.arrow(((left + right) / 2, top), (x, grid.bottom[1]), colour="layer")
    d.note(centre, y - 33, f"span {span}: (B, $K$, $S$ + {span - 1})")
    with d.part("maximum"):
        maxima = d.vector(centre, 170, "state", cells=NUM_FILTERS, cell=14)
        d.arrow((centre, 209), maxima.bottom, label="max over time")
    return maxima
