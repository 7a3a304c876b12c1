"""Diagrams of recurrent encoder–decoders: with one vector, and with attention."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.vocabulary import Diagram

SOURCE = ("ein", "Hund", "rennt")
INPUT = ("BOS", "a", "dog", "runs")
LABEL = ("a", "dog", "runs", "EOS")


def encoder_decoder() -> Diagram:
    """Draw an encoder–decoder with one vector between its halves, and teacher forcing."""
    d = Diagram(
        "encoder-decoder",
        "An encoder–decoder with one vector, trained by teacher forcing",
        "Below, the encoder reads the source, ein, Hund, rennt, from left to right; its last "
        "state is the vector c. From c the decoder above computes its first state. Its input is "
        "the row BOS, a, dog, runs; its states predict a distribution at each step. Each is "
        "compared with the label, the same target one step on: a, dog, runs, EOS. The loss is the "
        "sum of −log p of the four labels.",
        variants={
            "encoder": ("encoder",),
            "vector": ("vector",),
            "decoder": ("decoder",),
            "teacher-forcing": ("input", "label"),
            "loss": ("loss", "label"),
        },
    )
    c = _encoder(d)
    xs = spread(100, 352, 4)
    with d.part("vector"):
        d.arrow(c.top, (c.x, 372), (54, 372), (54, 216), (74, 216), colour="state", strong=True)
    _decoder(d, xs)
    return d


def _encoder(d: Diagram) -> Box:
    """Draw the encoder, and return the position of its vector."""
    before = Box(0, 0, 0, 0)
    with d.part("encoder"):
        d.text(65, 402, "encoder", anchor="start", bold=True)
        d.note(6, 562, "source", anchor="start")
        for s, (x, word) in enumerate(zip((90, 174, 258), SOURCE, strict=True), start=1):
            token = d.token(x, 562, word)
            vector = d.vector(x, 500, "embedding")
            state = d.box(x, 436, 50, f"$h^e_{s}$", "state")
            d.arrow(token.top, vector.bottom)
            d.arrow(vector.top, state.bottom, label="(B, S, E)" if s == 3 else "")
            if s > 1:
                d.arrow(before.right, state.left, colour="state")
            before = state
    with d.part("vector"):
        c = d.box(346, 436, 46, "$c$", "state", height=38)
        d.arrow(before.right, c.left, colour="state", strong=True)
        d.note(346, 470, "(B, D)")
    return c


def _decoder(d: Diagram, xs: list[float]) -> None:
    """Draw the decoder with the rows of input and label."""
    with d.part("input"):
        d.note(6, 338, "input", anchor="start")
    with d.part("label"):
        d.note(6, 26, "label", anchor="start", colour="loss-text")
    with d.part("loss"):
        d.note(6, 86, "loss", anchor="start", colour="loss-text")
    with d.part("decoder"):
        d.text(6, 184, "decoder", anchor="start", bold=True)
    before = Box(0, 0, 0, 0)
    for t, x in enumerate(xs, start=1):
        with d.part("decoder", "input"):
            token = d.token(x, 338, INPUT[t - 1])
        with d.part("decoder"):
            state, output = _decoder_step(d, x, t, token)
            if t > 1:
                d.arrow(before.right, state.left, colour="state")
        with d.part("label"):
            label = d.token(x, 26, LABEL[t - 1], meaning="loss")
        with d.part("loss"):
            loss = d.box(x, 86, 66, f"−log $p_{t}$", "loss", height=30)
            d.arrow(output.top, loss.bottom, label="(B, T, V)" if t == 1 else "")
            d.arrow(label.bottom, loss.top, colour="loss")
        before = state


def _decoder_step(d: Diagram, x: float, t: int, token: Box) -> tuple[Box, Box]:
    """Draw a step of the decoder, and return its state and its output."""
    vector = d.vector(x, 280, "embedding")
    state = d.box(x, 216, 50, f"$h^d_{t}$", "state")
    output = d.box(x, 152, 50, f"$p_{t}$", "output")
    d.arrow(token.top, vector.bottom)
    d.arrow(vector.top, state.bottom, label="(B, T, E)" if t == 1 else "")
    d.arrow(state.top, output.bottom, label="(B, T, D)" if t == 1 else "")
    return state, output


def context_vector() -> Diagram:
    """Draw the two ways to hand one vector to a decoder."""
    d = Diagram(
        "context-vector",
        "Two ways to hand the vector of the source to the decoder",
        "The encoder reads ein, Hund, rennt; its last state is the vector c. Above, c is handed "
        "over at the start: from c the decoder computes its state h 0, and reads BOS, a, dog, "
        "runs without c. In the middle, c is handed over at every step: an arrow leads from c to "
        "each state of the decoder, beside the word that it reads.",
        variants={"start": ("encoder", "start"), "every": ("encoder", "every")},
    )
    with d.part("encoder"):
        c = _small_encoder(d, 452)
    with d.part("start"):
        d.text(6, 24, "at the start", anchor="start", bold=True)
        states = _small_decoder(d, 92)
        first = d.box(52, 92, 42, "$h^d_0$", "state")
        d.arrow(first.right, states[0].left, colour="state")
        exit_x = c.x - 12  # an exit of its own for each way
        d.arrow(c.top_at(exit_x), (exit_x, 402), (12, 402), (12, 92), first.left, colour="state")
    with d.part("every"):
        d.text(30, 196, "at every step", anchor="start", bold=True)
        states = _small_decoder(d, 282)
        entries = [state.x + 16 for state in states]
        d.arrow((entries[-1], 380), (entries[0], 380), colour="state", head=False)
        for state, x in zip(states, entries, strict=True):
            d.dot(x, 380, "state")
            start = c.top_at(x) if state is states[-1] else (x, 380)
            d.arrow(start, state.bottom_at(x), colour="state")
    return d


def _small_encoder(d: Diagram, y: float) -> Box:
    """Draw an encoder without its embeddings, and return the position of its vector."""
    d.text(6, y, "encoder", anchor="start", bold=True)
    before = Box(0, 0, 0, 0)
    for s, (x, word) in enumerate(zip((110, 190, 270), SOURCE, strict=True), start=1):
        token = d.token(x, y + 62, word)
        state = d.box(x, y, 50, f"$h^e_{s}$", "state")
        d.arrow(token.top, state.bottom)
        if s > 1:
            d.arrow(before.right, state.left, colour="state")
        before = state
    c = d.box(360, y, 46, "$c$", "state", height=34)
    d.arrow(before.right, c.left, colour="state", strong=True)
    return c


def _small_decoder(d: Diagram, y: float) -> list[Box]:
    """Draw the steps of a decoder up to EOS, and return its states."""
    states: list[Box] = []
    for t, x in enumerate(spread(120, 354, 4), start=1):
        token = d.token(x - 14, y + 62, INPUT[t - 1])
        states.append(d.box(x, y, 54, f"$h^d_{t}$", "state"))
        d.arrow(token.top, states[-1].bottom_at(x - 14))
        word = d.token(x, y - 58, LABEL[t - 1])
        d.arrow(states[-1].top, word.bottom)
        if t > 1:
            d.arrow(states[-2].right, states[-1].left, colour="state")
    return states
