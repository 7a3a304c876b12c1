"""Diagram of multi-head self-attention, with the numbers of one head."""

from __future__ import annotations

from tools.diagrams.boxes import Box
from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

WORDS = ("a", "dog", "runs")
WEIGHTS = ((1.0,), (0.4, 0.6), (0.1, 0.7, 0.2))
ROW = 18.0  # height of the row of a word


def self_attention() -> Diagram:
    """Draw causal self-attention over three words, with the numbers of one head."""
    d = Diagram(
        "self-attention",
        "Causal self-attention, one of H heads",
        "From bottom to top: three words, a, dog, runs, are a matrix with one row of D numbers for "
        "each. Three linear maps give queries q, keys k and values v, each with d = D/H numbers "
        "per word. The product of q and k, divided by the root of d, scores each query with each "
        "key. The causal mask empties what is above the diagonal, and a softmax makes each row add "
        "up to 1: a attends to itself alone, 1.0; dog to a and dog, 0.4 and 0.6; runs to all "
        "three, 0.1, 0.7 and 0.2. These weights times v give one row for each word. The H heads do "
        "this side by side; their results are joined and mapped to D numbers.",
        variants=each_part("projections", "scores", "weights", "values"),
    )
    d.frame(12, 108, 374, 530, copies=3)
    d.text(14, 84, "× H heads", anchor="start", bold=True)
    x = _matrix(d, 200, 596, 6, "embedding")
    for i, word in enumerate(WORDS):
        d.note(148, 596 + (i - 1) * ROW, word, anchor="end", colour="ink")
    d.note(252, 596, "(B, T, D)", anchor="start")
    d.arrow(x.top, (200, 548), head=False)
    with d.part("projections"):
        d.dot(200, 548)
        q, k, v = (
            _projection(d, column, name) for column, name in ((80, "q"), (200, "k"), (320, "v"))
        )
    with d.part("scores"):
        scores = d.box(140, 340, 176, "$q k^⊤ / √d$", "attention")
        d.arrow(q.top, scores.bottom_at(q.x))
        d.arrow(k.top, scores.bottom_at(k.x), label="(B, H, T, d)")
    with d.part("weights"):
        weights = _weights(d, 140, 236, scores)
    with d.part("values"):
        _result(d, weights, v)
    return d


def _matrix(d: Diagram, x: float, y: float, columns: int, meaning: Meaning) -> Box:
    """Draw a matrix with a row for each word."""
    return d.grid(
        x, y, rows=3, columns=columns, meaning=lambda i, j: meaning, cell=14, cell_height=ROW
    )


def _projection(d: Diagram, column: float, name: str) -> Box:
    """Draw one of the three linear maps with its result."""
    linear = d.box(column, 500, 70, f"$W^{name.upper()}$", "layer")
    d.arrow((200, 548), (column, 548), linear.bottom)
    result = _matrix(d, column, 420, 3, "attention")
    d.arrow(linear.top, result.bottom)
    d.text(column + 28, 420, f"${name}$", anchor="start")
    return result


def _weights(d: Diagram, x: float, y: float, scores: Box) -> Box:
    """Draw the matrix of weights with its numbers."""
    cell, height = 44.0, 28.0
    grid = d.grid(
        x,
        y,
        rows=3,
        columns=3,
        cell=cell,
        cell_height=height,
        meaning=lambda i, j: "attention" if j <= i else None,
    )
    for i, row in enumerate(WEIGHTS):
        d.note(x - 74, y + (i - 1) * height, WORDS[i], anchor="end", colour="ink")
        d.note(x + (i - 1) * cell, grid.top[1] - 12, WORDS[i], colour="ink")
        for j, weight in enumerate(row):
            d.text(x + (j - 1) * cell, y + (i - 1) * height, f"{weight:.1f}")
    d.arrow(scores.top, grid.bottom, label="mask, softmax")
    d.note(x + 76, y, "(B, H, T, T)", anchor="start")
    return grid


def _result(d: Diagram, weights: Box, v: Box) -> None:
    """Draw the product of weights and values, and how heads are joined."""
    product = d.box(200, 136, 296, "weights · $v$", "attention")
    d.arrow((weights.x, weights.top[1] - 22), product.bottom_at(weights.x))
    d.arrow(v.top, product.bottom_at(v.x))
    joined = d.box(200, 60, 296, "join heads, $W^O$", "layer")
    d.arrow(product.top, joined.bottom)
    d.arrow(joined.top, (200, 12), label="(B, T, D)")
