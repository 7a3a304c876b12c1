"""Diagrams of section 8.2: where a model is read and changed, induction, a sparse autoencoder."""

from __future__ import annotations

from tools.diagrams.boxes import spread
from tools.diagrams.vocabulary import Diagram

FEATURES, IN_USE = 20, (3, 9, 14)


def interventions() -> Diagram:
    """Draw a model from its words to its answer, with what can be read and changed on the way."""
    d = Diagram(
        "interventions",
        "Where a model can be read and changed",
        "From bottom to top: the words, the stream, heads whose output is added to it, the stream "
        "again, more layers that add to it, and the answer. On the left, what is read: attention "
        "weights in the layers, probes and the logit lens in the stream, gradients from the answer "
        "back to the words. On the right, what is changed to test a reading: words are deleted, "
        "vectors of the stream are erased, patched or steered, heads are ablated.",
    )
    x, left, right = 200.0, 66.0, 334.0
    words = d.token(x, 404, "words")
    low = d.box(x, 334, 110, "stream", "state", height=28)
    heads = d.box(x, 264, 110, "heads", "attention", height=28)
    high = d.box(x, 194, 110, "stream", "state", height=28)
    more = d.box(x, 124, 110, "more layers", "layer", height=28)
    answer = d.box(x, 54, 110, "answer", "output", height=28)
    d.arrow(words.top, low.bottom)
    for below, part, above in ((low, heads, high), (high, more, answer)):
        d.arrow(below.top, part.bottom)
        add = d.operation(x, (part.top[1] + above.bottom[1]) / 2, "+")
        d.arrow(part.top, add.bottom)
        d.arrow(add.top, above.bottom)
        start, edge = below.top[1] - 12, x + 67
        d.dot(x, start)
        d.arrow((x, start), (edge, start), (edge, add.y), add.right)  # the residual connection
    d.text(left, 20, "read", bold=True)
    d.text(right, 20, "change", bold=True)
    d.text(left, 404, "gradients")
    d.text(right, 404, "delete words")
    d.text(left, 254, "attention")
    d.text(left, 274, "weights")
    d.text(right, 264, "ablate heads")
    for x_label, upper, lower in (
        (left, "probe, lens,", "features"),
        (right, "erase, patch,", "steer"),
    ):
        d.text(x_label, 184, upper)
        d.text(x_label, 204, lower)
    return d


def induction() -> Diagram:
    """Draw how two heads in two layers continue A B … A by B."""
    d = Diagram(
        "induction",
        "Two heads that continue A B … A by B",
        "From bottom to top: the tokens A, B, other ones, and A again. In layer 1 a previous-token "
        "head carries the first A to the position of B, whose vector is now B, after A. In layer 2 "
        "an induction head of the last position, which looks for what came after A, finds it and "
        "copies B. The model predicts B.",
    )
    columns = (40.0, 150.0, 236.0, 334.0)
    tokens = [d.token(x, 320, word) for x, word in zip(columns, ("A", "B", "…", "A"), strict=True)]
    first = d.box(columns[1], 214, 92, "B, after A", "state")
    last = d.box(columns[3], 108, 92, "A, then B", "state")
    d.arrow(tokens[1].top, first.bottom)
    d.arrow(tokens[3].top, last.bottom)
    d.arrow(tokens[0].top, (columns[0], 214), first.left, colour="attention")
    d.note(50, 254, "layer 1:\nprevious token", colour="attention-text", anchor="start")
    d.arrow(first.top, (columns[1], 108), last.left, colour="attention")
    d.note(222, 82, "layer 2: induction", colour="attention-text")
    predicted = d.token(columns[3], 34, "B", meaning="output")
    d.arrow(last.top, predicted.bottom)
    return d


def sparse_autoencoder() -> Diagram:
    """Draw a sparse autoencoder: a vector, many features of which few are in use, a sum."""
    d = Diagram(
        "sparse-autoencoder",
        "A sparse autoencoder of the stream",
        "From bottom to top: a vector x of the stream with D numbers; an encoder; M activations, "
        "many more than D, of which all but the k largest are zero, here three of twenty; and the "
        "decoder, which adds up the directions of these features, each times its activation, to a "
        "reconstruction of x with D numbers.",
    )
    x = 200.0
    vector = d.grid(x, 330, rows=1, columns=8, cell=18, meaning=lambda i, j: "state")
    d.note(x + 100, 330, "$x$, (D)", anchor="start")
    encoder = d.box(x, 266, 170, "encoder, largest k", "layer")
    d.arrow(vector.top, encoder.bottom)
    features = d.grid(
        x,
        192,
        rows=1,
        columns=FEATURES,
        cell=18,
        meaning=lambda i, j: "attention" if j in IN_USE else None,
        solid=True,
    )
    d.arrow(encoder.top, features.bottom)
    d.note(x + 20, 220, "activations $f$, (M)", anchor="start")
    sums = d.box(x, 104, 170, "decoder: a sum", "layer")
    for position, column in enumerate(IN_USE):
        start = spread(20 + 9, 380 - 9, FEATURES)[column]
        d.arrow((start, 182), (x + 40 * (position - 1), sums.bottom[1]))
    result = d.grid(x, 36, rows=1, columns=8, cell=18, meaning=lambda i, j: "state")
    d.arrow(sums.top, result.bottom)
    d.note(x + 100, 36, "$x̂$, (D)", anchor="start")
    return d
