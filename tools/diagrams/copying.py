"""Diagrams of section 2.3: networks that copy a word, with one vector and with attention."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.vocabulary import Diagram

COPY_WEIGHTS = (0.1, 0.8, 0.1, 0.0)  # of the states of c, h, i, p, when h is predicted


def copier() -> Diagram:
    """Draw the encoder–decoder of section 2.3, whose vector is pressed to k numbers."""
    d = Diagram(
        "copier",
        "An encoder–decoder that passes k numbers",
        "Below, the encoder reads c, h, i, p. The matrix W narrow projects its last state, D "
        "numbers, to the vector c of k numbers; W widen computes the first state of the decoder, D "
        "numbers, from c. Above, the decoder reads BOS, c, h, i, p and predicts c, h, i, p, EOS.",
    )
    d.text(6, 326, "encoder", anchor="start", bold=True)
    before = Box(0, 0, 0, 0)
    for s, (x, letter) in enumerate(zip(spread(100, 328, 4), "chip", strict=True), start=1):
        token = d.token(x, 386, letter)
        state = d.box(x, 326, 48, f"$h^e_{s}$", "state")
        d.arrow(token.top, state.bottom)
        if s > 1:
            d.arrow(before.right, state.left, colour="state")
        before = state
    narrow = d.box(328, 240, 78, "$W_{narrow}$", "layer")
    c = d.box(204, 240, 46, "$c$", "state", height=34)
    widen = d.box(84, 240, 72, "$W_{widen}$", "layer")
    d.arrow(before.top, narrow.bottom, colour="state", strong=True)
    d.arrow(narrow.left, c.right, colour="state", strong=True)
    d.arrow(c.left, widen.right, colour="state", strong=True)
    d.note(366, 283, "(B, D)")
    d.note(204, 272, "(B, k)")
    d.note(58, 208, "(B, D)")
    d.text(6, 74, "decoder", anchor="start", bold=True)
    before = d.box(28, 132, 42, "$h^d_0$", "state")
    d.arrow(widen.left, (28, 240), before.bottom, colour="state", strong=True)
    inputs, labels = ("BOS", *"chip"), (*"chip", "EOS")
    for t, x in enumerate(spread(100, 368, 5), start=1):
        state = d.box(x, 132, 46, f"$h^d_{t}$", "state")
        d.arrow(d.token(x, 190, inputs[t - 1]).top, state.bottom)
        d.arrow(state.top, d.token(x, 74, labels[t - 1]).bottom)
        d.arrow(before.right, state.left, colour="state")
        before = state
    return d


def copier_attention() -> Diagram:
    """Draw one step of section 2.3's decoder that attends to all states of the encoder."""
    d = Diagram(
        "copier-attention",
        "One step of attention while copying a word",
        "At the bottom, the encoder's states after c, h, i, p; on the right, the decoder's state "
        "after reading c. The state of the decoder gives a score to each state of the encoder. A "
        "softmax over the source positions turns the scores into weights, here 0.1, 0.8, 0.1 and "
        "0.0, which add up to one. The mean of the encoder's states with these weights is the "
        "context of this step. A hidden layer reads context and state, and h is predicted.",
    )
    frame = d.frame(12, 340, 260, 388)
    mean = d.box(136, 98, 238, "weighted mean $c_t$", "attention")
    softmax = d.box(136, 218, 238, "softmax over $s$", "attention")
    score = d.box(136, 280, 238, "scores $h^d_t · W_a h^e_s$", "attention")
    for s, (x, letter) in enumerate(zip(spread(40, 232, 4), "chip", strict=True), start=1):
        state = d.box(x, 364, 46, f"$h^e_{s}$", "state", height=34)
        d.arrow(d.token(x, 424, letter).top, state.bottom)
        d.arrow((x, frame.top[1]), score.bottom_at(x))
        d.arrow(score.top_at(x), softmax.bottom_at(x))
        weight = d.box(x, 160, 46, f"{COPY_WEIGHTS[s - 1]:.1f}", "attention", height=28)
        d.arrow(softmax.top_at(x), weight.bottom)
        d.arrow(weight.top, mean.bottom_at(x))
    d.text(262, 160, "weights $α_{ts}$", anchor="start")
    d.text(136, 460, "encoder", bold=True)
    d.text(344, 460, "decoder", bold=True)
    d.arrow(frame.left, (2, 364), (2, 98), mean.left, colour="state")
    query = d.box(344, 364, 50, "$h^d_t$", "state")
    d.arrow(d.token(344, 424, "c").top, query.bottom)
    mix = d.box(344, 98, 62, "tanh", "layer")
    d.arrow(query.top, mix.bottom, colour="state")
    d.dot(344, 280)
    d.arrow((344, 280), score.right)
    d.arrow(mean.right, mix.left, colour="attention")
    d.arrow(mix.top, d.token(344, 38, "h").bottom)
    return d
