"""Diagram of the language model of section 5.1: layers over time, inputs below, labels above."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram

INPUTS = ("BOS", "a", "dog", "runs")
LABELS = ("a", "dog", "runs", "EOS")
LAYERS = {"first": (292.0, "$h^{(1)}$"), "second": (216.0, "$h^{(2)}$")}


def stacked_lstm() -> Diagram:
    """Draw a language model of two LSTM layers over four steps, with its labels."""
    d = Diagram(
        "stacked-lstm",
        "A language model of an embedding, two LSTM layers and an output layer",
        "Time runs from left to right, depth from bottom to top. The inputs BOS, a, dog, runs each "
        "get a vector from the embedding. A first LSTM layer passes its state from step to step "
        "and hands a state of every step to a second one, which does the same. From each state of "
        "the second layer the output layer computes the logits of the next word. The labels on "
        "top are the inputs shifted by one: a, dog, runs, EOS.",
        variants=each_part("embedding", "recurrent", "output", "labels"),
    )
    before = {name: Box(26, y, 0, 0) for name, (y, _) in LAYERS.items()}
    for step, x in enumerate(spread(90, 318, 4)):
        before = _column(d, step, x, before)
    for y, text in ((430, "input"), (20, "label")):
        d.note(8, y, text, anchor="start")
    return d


def _column(d: Diagram, step: int, x: float, before: dict[str, Box]) -> dict[str, Box]:
    """Draw one step, and return the states of its layers."""
    is_last = step == len(INPUTS) - 1
    token = d.token(x, 430, INPUTS[step])
    with d.part("embedding"):
        below = d.box(x, 368, 52, "$C_w$", "embedding")
        d.arrow(token.top, below.bottom, label="(B, T)" if is_last else "")
    states = {}
    shapes = {"first": "(B, T, E)", "second": "(B, T, D)"}
    with d.part("recurrent"):
        for name, (y, text) in LAYERS.items():
            state = d.box(x, y, 52, text, "state")
            d.arrow(below.top, state.bottom, label=shapes[name] if is_last else "")
            d.arrow(before[name].right, state.left, colour="state", strong=True)
            states[name] = below = state
    with d.part("output"):
        logits = d.box(x, 140, 52, "logits", "output")
        d.arrow(below.top, logits.bottom, label="(B, T, D)" if is_last else "")
    with d.part("labels"):
        label = d.token(x, 20, LABELS[step])
        loss = d.operation(x, 80, "L")
        d.arrow(logits.top, loss.bottom, label="(B, T, V)" if is_last else "")
        d.arrow(label.bottom, loss.top)
    return states
