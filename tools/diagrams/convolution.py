"""Diagrams of convolutional networks: an encoder, and a causal decoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tools.diagrams.palette import Meaning
from tools.diagrams.shapes import Circle, Line
from tools.diagrams.vocabulary import Diagram

RADIUS = 10.0
Row = dict[int, tuple[float, float]]  # the place of each node of a layer


def cnn_encoder() -> Diagram:
    """Draw two convolutions over a source, with the receptive field of one state, and pooling."""
    d = Diagram(
        "cnn-encoder",
        "A convolutional encoder",
        "Five source tokens, ein, hundert, ein, und, vierzig; each has a vector, to which its "
        "position is added. A convolution of width k = 3 computes each node of the next layer from "
        "three nodes below: one on the left, one in the middle, one on the right; at both ends "
        "zeros stand in. After two layers the middle state depends on all five tokens: its "
        "receptive field is 5 positions wide. Above, pooling over all positions gives the one "
        "vector c.",
        variants={
            "receptive-field": ("field",),
            "pooling": ("pooling",),
        },
    )
    columns = {i: 69.0 + 54 * i for i in range(-1, 6)}
    words = ("ein", "hundert", "ein", "und", "vierzig")
    heights = (372, 278, 184)
    _tokens(d, columns, words, heights[0], field=range(5))
    field: list[Sequence[int]] = [range(5), (1, 2, 3), (2,)]
    rows = [
        _row(d, columns, y, layer, range(5), field[layer], (-1, 5) if layer < 2 else ())
        for layer, y in enumerate(heights)
    ]
    for layer in (1, 2):
        for i in range(5):
            _connect(d, rows[layer - 1], rows[layer], i, (-1, 0, 1), i in field[layer])
    with d.part("pooling"):
        pooling = d.box(columns[2], 118, 246, "mean or max over positions", "plain")
        for i in range(5):
            x, y = rows[2][i]
            d.arrow((x, y - RADIUS), pooling.bottom_at(x), label="(B, S, D)" if i == 4 else "")
        vector = d.box(columns[2], 50, 50, "$c$", "state")
        d.arrow(pooling.top, vector.bottom, label="(B, D)")
    _layer_names(d, heights, ("$x^{(0)}$", "$x^{(1)}$", "$x^{(2)}$"), x=357)
    d.note(390, heights[0] + 40, "+ position", anchor="end")
    _bracket(d, columns[0], columns[4], 466)
    return d


def cnn_decoder() -> Diagram:
    """Draw two causal convolutions over a target, with the receptive field of the last step."""
    d = Diagram(
        "cnn-decoder",
        "A convolutional decoder",
        "Four target tokens, BOS, two, hundred, forty, preceded by zeros. A causal convolution of "
        "width k = 3 computes each node of the next layer from the node below it and the two "
        "before that, none to the right. In each layer a projection of the encoder's vector c is "
        "added at every position. After two layers the last node depends on the last 5 inputs, and "
        "predicts EOS; the nodes before it predict two, hundred, forty.",
        variants={
            "receptive-field": ("field",),
            "source": ("source",),
        },
    )
    columns = {-2: 20.0, -1: 60.0, 0: 106.0, 1: 169.0, 2: 236.0, 3: 304.0}  # as wide as the words
    words = ("BOS", "two", "hundred", "forty")
    heights = (372, 278, 184)
    with d.part("source"):
        _source_vector(d, heights)
    _tokens(d, columns, words, heights[0], field=range(4))
    field: list[Sequence[int]] = [(-1, 0, 1, 2, 3), (1, 2, 3), (3,)]
    rows = [
        _row(d, columns, y, layer, range(4), field[layer], (-2, -1) if layer < 2 else ())
        for layer, y in enumerate(heights)
    ]
    for layer in (1, 2):
        for i in range(4):
            _connect(d, rows[layer - 1], rows[layer], i, (-2, -1, 0), i in field[layer])
    for i, word in enumerate(("two", "hundred", "forty", "EOS")):
        x, y = rows[2][i]
        with d.part("field", when=i == 3):
            output = d.box(x, 112, 42, f"$p_{i + 1}$", "output", height=30)
            d.arrow((x, y - RADIUS), output.bottom)
            d.arrow(output.top, d.token(x, 44, word).bottom)
    _bracket(d, columns[-1], columns[3], 466)
    return d


def _tokens(
    d: Diagram, columns: dict[int, float], words: Sequence[str], y: float, field: Sequence[int]
) -> None:
    """Draw the tokens below the first row of nodes."""
    for i, word in enumerate(words):
        with d.part("field", when=i in field):
            token = d.token(columns[i], y + 70, word)
            d.arrow(token.top, (columns[i], y + RADIUS))


def _row(
    d: Diagram,
    columns: dict[int, float],
    y: float,
    layer: int,
    nodes: Sequence[int],
    field: Sequence[int],
    zeros: Sequence[int],
) -> Row:
    """Draw the nodes of a layer and the zeros beside them; those of the field are filled."""
    meaning: Meaning = "layer" if layer else "embedding"
    for i in nodes:
        with d.part("field", when=i in field):
            fill = meaning if i in field and layer else f"{meaning}-tint"
            d.add(Circle(columns[i], y, RADIUS, fill, meaning, 2.6 if i in field else 1.5))
    for i in zeros:
        with d.part("field", when=i in field):
            d.add(Circle(columns[i], y, RADIUS, "ground", "absent", dashed=True))
            d.note(columns[i], y, "0")
    return {i: (columns[i], y) for i in (*nodes, *zeros)}


def _connect(
    d: Diagram, below: Row, above: Row, i: int, offsets: Sequence[int], in_field: bool
) -> None:
    """Draw the connections of node `i` with those that its convolution covers."""
    for offset in offsets:
        (x1, y1), (x2, y2) = below[i + offset], above[i]
        with d.part("field", when=in_field):
            colour, weight = ("layer", 2.4) if in_field else ("faint", 1.2)
            line = Line(((x1, y1), (x2, y2)), colour, weight, head=False, background=True)
            d.add(line)


def _layer_names(d: Diagram, heights: Sequence[float], names: Sequence[str], x: float) -> None:
    """Write the names of the layers on the right, and the width of the convolutions between."""
    for y, name in zip(heights, names, strict=True):
        d.text(x, y, name, anchor="start")
    for below, above in pairwise(heights):
        d.note(x, (below + above) / 2, "$k$ = 3", anchor="start")


def _bracket(d: Diagram, left: float, right: float, y: float) -> None:
    """Draw the width of the receptive field below the tokens."""
    with d.part("field"):
        ends = ((left, y), (left, y + 7), (right, y + 7), (right, y))
        d.arrow(*ends, colour="layer", head=False)
        d.note((left + right) / 2, y + 21, "receptive field: 5 positions", colour="layer-text")


def _source_vector(d: Diagram, heights: Sequence[float]) -> None:
    """Draw the vector of the encoder, which is added in each layer."""
    vector = d.box(366, 442, 40, "$c$", "state")
    for y in heights[1:]:
        band = d.frame(84, y - 18, 326, y + 18, fill="state-tint")
        d.arrow(vector.top, (366, y), band.right, colour="state")
        d.note(346, y - 14, "$+ Ac$")
