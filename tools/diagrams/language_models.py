"""Diagrams of language models with a window: counts of n-grams, and the feed-forward network."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram

COUNTS = {"drank": (0, 0, 1), "red": (0, 2, 0), "the": (2, 0, 1)}  # the toy corpus of section 2.1
NEXT_WORDS = ("red", "sea", "tea")


def ngram() -> Diagram:
    """Draw the table of an n-gram model: a row for each context, a column for each next word."""
    d = Diagram(
        "ngram",
        "An n-gram model is a table of counts",
        "From bottom to top: of the text we, saw, the, a bigram model uses the last word only, its "
        "context. It selects the row “the” of a table that counts which word followed: red twice, "
        "sea never, tea once, 3 in all. Each count divided by the sum is a probability of the next "
        "word, drawn as a bar above its column: 2/3, 0 and 1/3.",
        variants=each_part("context", "counts", "probabilities"),
    )
    columns = spread(190, 322, 3)
    with d.part("counts"):
        row = _table(d, columns, top=166)
    with d.part("probabilities"):
        _probabilities(d, columns, baseline=126)
    with d.part("context"):
        d.token(36, 362, "we")
        d.token(84, 362, "saw")
        d.frame(110, 343, 158, 381)
        d.token(134, 362, "the", meaning="state")
        d.token(190, 362, "?", meaning="absent")
        d.arrow((134, 343), row.bottom_at(134))
        d.note(146, 318, "context: last $n - 1$ words", anchor="start")
        d.note(214, 362, "next word", anchor="start")
    return d


def _table(d: Diagram, columns: list[float], *, top: float) -> Box:
    """Draw the table of counts below `top`, and return its last row, which is selected."""
    d.note(86, top, "context")
    for x, word in zip(columns, NEXT_WORDS, strict=True):
        d.text(x, top, word)
    d.note(374, top, "sum")
    d.arrow((10, top + 16), (392, top + 16), colour="faint", head=False)
    row = Box(201, top + 110, 382, 34)
    d.box(*row[:3], meaning="state", height=row.height)
    for i, (context, counts) in enumerate(COUNTS.items()):
        y = top + 38 + 36 * i
        d.text(86, y, context)
        for x, count in zip(columns, counts, strict=True):
            d.text(x, y, str(count))
        d.text(374, y, str(sum(counts)), bold=True)
    return row


def _probabilities(d: Diagram, columns: list[float], *, baseline: float) -> None:
    """Draw the distribution of the next word above the table."""
    counts = COUNTS["the"]
    values = [count / sum(counts) for count in counts]
    d.bars(columns, baseline, values, full=150, width=34)
    for x, count, value in zip(columns, counts, values, strict=True):
        d.text(x, baseline - 150 * value - 14, f"{count} / {sum(counts)}")
    d.arrow((154, baseline), (358, baseline), head=False)
    d.text(86, 72, "$p(w$ | the$)$")
    d.note(86, 96, "count / sum")


def nnlm() -> Diagram:
    """Draw the feed-forward language model of section 4.1.1 with a window of three words."""
    d = Diagram(
        "nnlm",
        "A feed-forward neural language model",
        "From bottom to top: each of the last n − 1 = 3 words, BOS, a, dog, is looked up in one "
        "table C of word vectors. The three vectors of length E, side by side, are the input x. A "
        "hidden layer computes a = tanh(d + Hx), of length D. The logits are b + Ua + Wx, V "
        "numbers, where Wx comes directly from x. Their softmax is the distribution of the next "
        "word, in which “runs” has the largest probability.",
        variants=each_part("lookup", "hidden", "output"),
    )
    xs = spread(82, 282, 3)
    with d.part("lookup"):
        inputs = _lookup(d, xs)
    with d.part("hidden"):
        hidden = d.box(136, 308, 168, "$a$ = tanh$(d + Hx)$", "layer")
        d.arrow(inputs.top_at(136), hidden.bottom, label="(B, ($n - 1$) · E)")
    with d.part("output"):
        logits = d.box(182, 228, 260, "$y = b + Ua + Wx$", "layer")
        d.arrow(hidden.top, logits.bottom_at(136), label="(B, D)")
        d.arrow(inputs.top_at(302), logits.bottom_at(302), label="direct,\n$W$")
        softmax = d.box(182, 158, 260, "softmax", "output")
        d.arrow(logits.top, softmax.bottom, label="(B, V)")
        _next_word(d, softmax)
    return d


def nnlm_gradients() -> Diagram:
    """Draw how gradients go back through the model of section 4.1.1, along two paths."""
    d = Diagram(
        "nnlm-gradients",
        "The gradients of a feed-forward neural language model",
        "From bottom to top: word vectors x, hidden layer z = d + Hx and a = tanh z, logits y = b "
        "+ Ua + Wx, loss L. Beside each arrow upwards, a broken arrow leads back down with a "
        "gradient: g from L to y, Uᵀg from y to a, δ from a to z. Hᵀδ from z and Wᵀg directly "
        "from y reach x, where they add. In the boxes stand the gradients of their own "
        "parameters: of U gaᵀ, of W gxᵀ, of H δxᵀ, and of the rows of C the sum at x.",
    )
    loss = d.box(200, 36, 340, "$L = -$log $p(w$ | window$)$", "loss")
    logits = _with_gradients(
        d, 200, 108, 340, "$y = b + Ua + Wx$", "gradients of $U$: $ga^T$, of $W$: $gx^T$"
    )
    hidden = d.box(126, 180, 192, "$a$ = tanh $z$", "layer")
    before = _with_gradients(d, 126, 252, 192, "$z = d + Hx$", "gradient of $H$: $\u03b4x^T$")
    inputs = d.box(200, 324, 340, "$x$: rows of $C$, which get $H^T\u03b4 + W^Tg$", "embedding")
    _step_back(d, logits, loss, 126, "$g = p - e_w$")
    _step_back(d, hidden, logits, 126, "$U^Tg$")
    _step_back(d, before, hidden, 126, "$\u03b4$")
    _step_back(d, inputs, before, 126, "$H^T\u03b4$")
    _step_back(d, inputs, logits, 300, "$W^Tg$")
    return d


def _with_gradients(d: Diagram, x: float, y: float, width: float, step: str, gradients: str) -> Box:
    """Draw a layer, and below its formula the gradients of its parameters."""
    box = d.box(x, y, width, meaning="layer", height=48)
    d.text(x, y - 10, step)
    d.text(x, y + 11, gradients, colour="loss-text")
    return box


def _step_back(d: Diagram, below: Box, above: Box, x: float, gradient: str) -> None:
    """Draw a step up from one value to the next, and its gradient down."""
    d.arrow(below.top_at(x - 14), above.bottom_at(x - 14))
    down = above.bottom_at(x + 8), below.top_at(x + 8)
    d.arrow(*down, label=gradient, colour="loss", dashed=True)


def _lookup(d: Diagram, xs: list[float]) -> Box:
    """Draw tokens, table and word vectors; return the position of all vectors together."""
    table = d.box(182, 462, 312, "table $C$: V rows of E numbers", "embedding")
    for x, word in zip(xs, ("BOS", "a", "dog"), strict=True):
        token = d.token(x, 532, word)
        d.arrow(token.top, table.bottom_at(x))
        strip = d.vector(x, 392, "embedding", cells=7, cell=14)
        d.arrow(table.top_at(x), strip.bottom)
    d.note(314, 532, "(B, $n - 1$)", anchor="start")
    d.text(348, 392, "$x$")
    return Box(182, 392, 298, 14)


def _next_word(d: Diagram, softmax: Box) -> None:
    """Draw a distribution above the softmax."""
    xs = spread(102, 262, 6)
    d.arrow(softmax.top, (softmax.x, 98))
    d.bars(xs, 92, (0.06, 0.12, 0.6, 0.03, 0.3, 0.09), full=80, width=18)
    d.arrow((80, 92), (284, 92), head=False)
    d.text(xs[2], 30, "runs")
    d.text(294, 60, "$p(w$ | history$)$", anchor="start")
