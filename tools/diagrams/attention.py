"""Diagrams of attention between a recurrent encoder and a recurrent decoder."""

from __future__ import annotations

from tools.diagrams.boxes import Box, Point, spread
from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram

SOURCE = ("ein", "Hund", "rennt")
INPUT = ("BOS", "a", "dog", "runs")
LABEL = ("a", "dog", "runs", "EOS")
WEIGHTS = ((0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.0, 0.2, 0.8), (0.1, 0.1, 0.8))  # step, source
SHOWN = 2  # the step of section 4.2's worked example: it has read a and predicts dog


def attention() -> Diagram:
    """Draw all steps of a decoder with attention, one of them emphasized."""
    d = Diagram(
        "attention",
        "A decoder with attention: each step has its own context vector",
        "Below, the encoder has one state for each source word: ein, Hund, rennt. Above, the "
        "decoder reads BOS, a, dog, runs and predicts a, dog, runs, EOS. At every step a query, "
        "made of the words read so far, decides the weights of a sum of all encoder states, the "
        "context c of that step. Step 2, which reads a and predicts dog, is emphasized: its "
        "weights are 0.1, 0.7 and 0.2, so that it takes mostly the state of Hund.",
        emphasis=("encoder", f"step-{SHOWN}"),
        variants={
            "encoder": ("encoder",),
            **{f"step-{t}": ("encoder", f"step-{t}") for t in (1, 3, 4)},
        },
    )
    states = _encoder_states(d)
    d.text(6, 16, "decoder", anchor="start", bold=True)
    before = None
    for t, x in enumerate(spread(54, 346, 4), start=1):
        with d.part(f"step-{t}"):
            before = _attending_step(d, x, t, states, before)
    return d


def _encoder_states(d: Diagram) -> list[Box]:
    """Draw the encoder of the overview, and return its states."""
    states: list[Box] = []
    with d.part("encoder"):
        d.text(6, 452, "encoder", anchor="start", bold=True)
        for s, (x, word) in enumerate(zip((120, 220, 320), SOURCE, strict=True), start=1):
            token = d.token(x, 514, word)
            state = d.box(x, 452, 54, f"$h^e_{s}$", "state")
            d.arrow(token.top, state.bottom)
            if states:
                right, left = states[-1].right, state.left
                d.arrow((right[0], 446), (left[0], 446), colour="state")
                d.arrow((left[0], 458), (right[0], 458), colour="state")
            states.append(state)
    return states


def _attending_step(d: Diagram, x: float, t: int, states: list[Box], before: Box | None) -> Box:
    """Draw step `t` of the decoder with its context, and return its state."""
    context = d.box(x + 25, 268, 32, f"$c_{t}$", "attention", height=30)
    for state, weight in zip(states, WEIGHTS[t - 1], strict=True):
        d.weighted(state.top, context.bottom, weight)
        if t == SHOWN:
            d.box(
                *_between(state.top, context.bottom, 0.3),
                30,
                f"{weight:.1f}",
                "attention",
                height=24,
            )
    token = d.token(x - 25, 268, INPUT[t - 1])
    d.arrow(token.right, context.left)  # the query
    state = d.box(x, 188, 62, f"$h^d_{t}$", "state")
    d.arrow(token.top, state.bottom_at(x - 25))
    d.arrow(context.top, state.bottom_at(x + 25), colour="attention")
    if before:
        d.arrow(before.right, state.left, colour="state", strong=True)
    output = d.box(x, 116, 54, f"$p_{t}$", "output")
    word = d.token(x, 44, LABEL[t - 1])
    d.arrow(state.top, output.bottom)
    d.arrow(output.top, word.bottom)
    return state


def _between(start: Point, end: Point, share: float) -> Point:
    """Return the point at a share of the way from `start` to `end`."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def attention_computation() -> Diagram:
    """Draw one step of a decoder with attention in full."""
    d = Diagram(
        "attention-computation",
        "One step of attention: scores, weights, context",
        "On the left, the encoder states of the source words, ein, Hund, rennt. On the right, the "
        "decoder reads the word a; its first layer gives the query q. A score compares the query "
        "with each state. A softmax over the source turns the scores into weights, here 0.1, 0.7 "
        "and 0.2, which add up to 1. The sum of the states with these weights is the context c. "
        "The decoder's second layer reads query and context, and its output predicts the word dog "
        "from its state and the context.",
        variants=each_part("scores", "weights", "context", "decoder"),
    )
    states = _source_side(d)
    with d.part("scores"):
        score = d.box(120, 420, 192, "score$(q_t, h^e_s)$", "attention")
        for state in states:
            shape = "(B, S, D)" if state is states[-1] else ""
            d.arrow(state.top, score.bottom_at(state.x), label=shape)
    with d.part("weights"):
        softmax = d.box(120, 352, 192, "softmax over $s$", "attention")
        for state in states:
            shape = "(B, 1, S)" if state is states[-1] else ""
            d.arrow(score.top_at(state.x), softmax.bottom_at(state.x), label=shape)
    context = _weighted_sum(d, softmax, states)
    _target_side(d, score, context)
    return d


def _source_side(d: Diagram) -> list[Box]:
    """Draw the encoder's states, and return them."""
    states: list[Box] = []
    frame = d.frame(24, 486, 216, 538)
    with d.part("context"):
        d.arrow(frame.left, (7, frame.y), (7, 214), (24, 214), colour="state", strong=True)
        d.note(24, 186, "states (B, S, D)", anchor="start", colour="state-text")
    with d.part("scores", "context"):
        for s, (x, word) in enumerate(zip((56, 120, 184), SOURCE, strict=True), start=1):
            token = d.token(x, 576, word)
            states.append(d.box(x, 512, 48, f"$h^e_{s}$", "state"))
            d.arrow(token.top, states[-1].bottom)
    return states


def _weighted_sum(d: Diagram, softmax: Box, states: list[Box]) -> Box:
    """Draw the weights and the context, and return the position of the context."""
    for state, weight in zip(states, WEIGHTS[SHOWN - 1], strict=True):
        with d.part("weights"):
            cell = d.box(state.x, 286, 44, f"{weight:.1f}", "attention", height=28)
            d.arrow(softmax.top_at(state.x), cell.bottom)
        with d.part("context"):
            d.arrow(cell.top, (state.x, 230))
    with d.part("weights"):
        d.text(216, 286, "weights $α_{ts}$", anchor="start")
    with d.part("context"):
        return d.box(120, 214, 192, "$c_t = Σ_s α_{ts} h^e_s$", "attention")


def _target_side(d: Diagram, score: Box, context: Box) -> None:
    """Draw the step of the decoder: query, second layer, output."""
    with d.part("scores", "decoder"):
        token = d.token(330, 576, "a")
        query = d.box(330, 512, 50, "$q_t$", "state")
        d.arrow(token.top, query.bottom, label="(B, E)")
        d.arrow((258, 512), query.left, colour="state")
        d.arrow(query.right, (394, 512), colour="state")
        d.text(274, 494, "$q_{t-1}$", colour="state-text")
        d.arrow((344, 496), (344, 420), head=False)
    with d.part("scores"):
        d.dot(344, 420)
        d.arrow((344, 420), score.right, label="query (B, 1, D)")
    with d.part("decoder"):
        hidden = d.box(330, 146, 50, "$h^d_t$", "state")
        d.arrow((344, 420), hidden.bottom_at(344))
        d.arrow(context.right, (314, 214), hidden.bottom_at(314), colour="attention")
        d.arrow((258, 146), hidden.left, colour="state")
        d.arrow(hidden.right, (394, 146), colour="state")
        d.text(276, 127, "$h^d_{t-1}$", colour="state-text")
        output = d.box(330, 80, 50, "$p_t$", "output")
        d.arrow(hidden.top, output.bottom, label="(B, D)")
        d.dot(236, 214, "attention")
        d.arrow((236, 214), (236, 80), output.left, colour="attention")
        word = d.token(330, 24, "dog")
        d.arrow(output.top, word.bottom, label="(B, V)")
