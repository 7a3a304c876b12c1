"""Diagrams of one model in several libraries: a ported layer, backends, left padding."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

WEIGHTS = ((1, 0, 2), (-1, 1, 0))  # of the layer, a row for each output
CELL = 30
BACKENDS = ("TensorFlow", "JAX", "PyTorch")
PADDED = ("PAD", "PAD", "a", "b", "c")  # a text with padding on its left
PADDINGS = 2


def dense_carried() -> Diagram:
    """Draw the weights of a linear layer as PyTorch and as Keras store them."""
    d = Diagram(
        "dense-carried",
        "A linear layer in PyTorch and in Keras: the same six numbers",
        "On the left, the matrix W of PyTorch has two rows of three numbers: 1, 0, 2 for the first "
        "output and −1, 1, 0 for the second. On the right, the kernel K of Keras has these as two "
        "columns. An arrow between them says that K is W transposed. Below, both layers give the "
        "same outputs, 7.5 and 0.5, for the inputs 1, 2, 3 and the biases 0.5 and −0.5.",
    )
    d.text(98, 24, "PyTorch: $W$ (out, in)", bold=True)
    d.text(302, 24, "Keras: $K$ (in, out)", bold=True)
    matrix = _numbers(d, 98, 94, rows=2, columns=3, transposed=False)
    kernel = _numbers(d, 302, 94, rows=3, columns=2, transposed=True)
    d.arrow(matrix.right, kernel.left, label="$K = W^T$")
    left = d.box(98, 178, 172, "$y = x W^T + b$", "layer")
    right = d.box(302, 178, 172, "$y = x K + b$", "layer")
    d.arrow((98, matrix.bottom[1]), left.top)
    d.arrow((302, kernel.bottom[1]), right.top)
    result = d.box(200, 248, 230, "$y = (7.5, 0.5)$", "output")
    d.arrow(left.bottom, result.top_at(130))
    d.arrow(right.bottom, result.top_at(270))
    d.note(200, 282, "for $x = (1, 2, 3)$ and $b = (0.5, -0.5)$")
    return d


def _numbers(d: Diagram, x: float, y: float, *, rows: int, columns: int, transposed: bool) -> Box:
    """Draw the weights as a grid, those of the first output coloured."""

    def meaning(i: int, j: int) -> Meaning:
        return "embedding" if (j if transposed else i) == 0 else "state"

    grid = d.grid(x, y, rows=rows, columns=columns, cell=CELL, meaning=meaning)
    for i in range(rows):
        for j in range(columns):
            number = WEIGHTS[j][i] if transposed else WEIGHTS[i][j]
            at_x, at_y = x + (j - (columns - 1) / 2) * CELL, y + (i - (rows - 1) / 2) * CELL
            d.text(at_x, at_y, str(number).replace("-", "−"))
    return grid


def keras_backends() -> Diagram:
    """Draw one class of Keras and one set of weights that run on three backends."""
    d = Diagram(
        "keras-backends",
        "One model in Keras on three backends, compared with the same model in PyTorch",
        "At the top left, the GPT of this book in PyTorch hands on its 107,584 weights, transposed "
        "and reordered; at the top right stands the class KerasGPT. Broken arrows lead from the "
        "weights, unbroken ones from the class, to three processes, one each for TensorFlow, JAX "
        "and PyTorch. Each process computes logits of the shape 4, 16, 69, gradients and three "
        "steps of the optimizer. An arrow from the GPT of this book leads directly to the bottom, "
        "where its results are compared with those of all three.",
    )
    own = d.box(117, 40, 210, "this book's GPT, in PyTorch", "layer", height=36)
    code = d.box(310, 40, 150, "class KerasGPT", "layer", height=36)
    weights_y, code_y, apart = 92.0, 112.0, 18.0
    xs = spread(94, 334, len(BACKENDS))
    first, last = xs[0] - apart, xs[-1] + apart
    label = "107,584 weights, by $π$"
    d.arrow(own.bottom_at(first), (first, weights_y), label=label, head=False, dashed=True)
    d.arrow(code.bottom_at(last), (last, code_y), label="code", side="right", head=False)
    d.arrow((first, weights_y), (xs[-1] - apart, weights_y), head=False, dashed=True)
    d.arrow((xs[0] + apart, code_y), (last, code_y), head=False)
    results = "logits (4, 16, 69), gradients, steps: equal to $10^{-5}$"
    compared = d.box(200, 232, 376, results, "output", height=36)
    d.arrow(own.bottom_at(24), compared.top_at(24))
    for x, backend in zip(xs, BACKENDS, strict=True):
        process = d.box(x, 160, 108, f"on {backend}", "state", height=36)
        d.arrow((x - apart, weights_y), process.top_at(x - apart), dashed=True)
        d.arrow((x + apart, code_y), process.top_at(x + apart))
        d.arrow(process.bottom, compared.top_at(x))
    return d


def left_padding() -> Diagram:
    """Draw the mask and the positions of three tokens with two paddings on their left."""
    d = Diagram(
        "left-padding",
        "Left padding: the mask and the positions",
        "A grid with a row for each query and a column for each key over PAD, PAD, a, b, c. The "
        "causal mask allows each query the keys up to itself, a triangle. In the columns of PAD "
        "its cells are grey, because the padding mask removes them; those of a, b and c are "
        "coloured. Below, the position of each column: 0, 1, 2, 3, 4 without repair, and 0, 0, "
        "0, 1, 2 if positions are counted from the mask.",
    )
    cell, x, y = 34.0, 230.0, 120.0

    def meaning(query: int, key: int) -> Meaning | None:
        if key > query:
            return None
        return "output" if key < PADDINGS else "attention"

    grid = d.grid(x, y, rows=len(PADDED), columns=len(PADDED), cell=cell, meaning=meaning)
    left, below = grid.left[0] - 10, grid.bottom[1]
    d.note(left, grid.top[1] - 12, "query", anchor="end")
    rows = {"key": (16.0, PADDED), "position": (44.0, "01234"), "position id": (68.0, "00012")}
    for name, (down, entries) in rows.items():
        d.note(left, below + down, name, anchor="end")
        for i, entry in enumerate(entries):
            d.text(x + (i - (len(PADDED) - 1) / 2) * cell, below + down, entry)
    for i, query in enumerate(PADDED):
        d.text(left, y + (i - (len(PADDED) - 1) / 2) * cell, query, anchor="end")
    return d
