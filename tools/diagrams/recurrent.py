"""Diagrams of recurrent networks: unrolled over time, and the cells of LSTM and GRU."""

from __future__ import annotations

from tools.diagrams.boxes import Box, spread
from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram

WORDS = ("BOS", "a", "dog", "runs", "EOS")


def rnn() -> Diagram:
    """Draw a recurrent language model over four steps."""
    d = Diagram(
        "rnn",
        "A recurrent language model, unrolled over four steps",
        "Time runs from left to right. At each step the word vector x comes from below and the "
        "previous hidden state from the left; together they give the next hidden state h, from "
        "which a softmax above predicts the next word: BOS is followed by a, a by dog, dog by "
        "runs, runs by EOS. The weights from x to h, from h to h and from h to the output are the "
        "same at every step.",
        variants=each_part("state", "step", "output"),
    )
    xs = spread(78, 330, 4)
    d.text(16, 222, "$h_0$", colour="state-text")
    before = Box(28, 222, 0, 0)
    for t, x in enumerate(xs, start=1):
        with d.part("step", when=t == 3):
            before = _step(d, x, t, before)
    with d.part("state"):
        d.arrow(before.right, (394, 222), colour="state", strong=True)
    return d


def _step(d: Diagram, x: float, t: int, before: Box) -> Box:
    """Draw step `t`, and return its hidden state."""
    first, last = t == 1, t == 4
    token = d.token(x, 378, WORDS[t - 1])
    vector = d.box(x, 312, 50, f"$x_{t}$", "embedding")
    d.arrow(token.top, vector.bottom)
    with d.part("state"):
        state = d.box(x, 222, 50, f"$h_{t}$", "state")
        d.arrow(vector.top, state.bottom, label="$W_{xh}$" if first else "(B, E)" if last else "")
        d.arrow(before.right, state.left, colour="state", strong=True)
        if t == 2:
            d.note(x - 42, 206, "$W_{hh}$")
    with d.part("output"):
        output = d.box(x, 132, 50, f"$p_{t}$", "output")
        d.arrow(state.top, output.bottom, label="$W_{hy}$" if first else "(B, D)" if last else "")
        word = d.token(x, 44, WORDS[t])
        d.arrow(output.top, word.bottom, label="(B, V)" if last else "")
    return state


GATES = {"f": "forget", "i": "input", "u": "candidate", "o": "output"}


def lstm() -> Diagram:
    """Draw one step of an LSTM."""
    d = Diagram(
        "lstm",
        "One step of an LSTM",
        "From bottom to top: one linear map reads the input x and the previous hidden state h and "
        "gives four vectors: through a sigmoid the forget gate f, the input gate i and the output "
        "gate o, through tanh the candidate u. The cell state c runs along the top, from left to "
        "right: the previous c is multiplied by f, then i times u is added, which gives the new c. "
        "The new hidden state is tanh of c times o; it leaves on the right.",
        variants=each_part("gates", "forget", "input", "output", "cell-state"),
    )
    columns = dict(zip(GATES, (90.0, 158.0, 226.0, 304.0), strict=True))
    _lstm_gates(d, columns)
    with d.part("cell-state"):
        _cell_state(d, columns)
    with d.part("input"):
        product = d.operation(192, 178, "·")
        d.arrow((columns["i"], 277), (columns["i"], 178), product.left)
        d.arrow((columns["u"], 277), (columns["u"], 178), product.right)
        d.arrow(product.top, (192, 93))
    with d.part("output"):
        _lstm_output(d, columns["o"])
    return d


def _lstm_gates(d: Diagram, columns: dict[str, float]) -> None:
    """Draw the linear map and what follows it in each of its four parts."""
    with d.part("gates"):
        linear = d.box(200, 366, 282, "$W_x x_t + W_h h_{t-1} + b$", "layer", height=36)
        vector = d.box(200, 428, 50, "$x_t$", "embedding", height=30)
        d.arrow(vector.top, linear.bottom, label="(B, E)")
        d.arrow((6, 366), linear.left, colour="state")
        d.text(26, 350, "$h_{t-1}$", colour="state-text")
    for name, x in columns.items():
        part = {"f": "forget", "i": "input", "u": "input", "o": "output"}[name]
        with d.part("gates", part):
            squash = "tanh" if name == "u" else "$σ$"
            gate = d.box(x, 292, 48, squash, "layer", height=30)
            d.arrow(linear.top_at(x), gate.bottom, label="(B, D)" if name == "f" else "")
            d.text(x + 8, 238, f"${name}_t$", anchor="start")
            d.note(x + 8, 258, GATES[name], anchor="start")


def _cell_state(d: Diagram, columns: dict[str, float]) -> None:
    """Draw the line of the cell state with its two operations."""
    with d.part("forget"):
        forget = d.operation(columns["f"], 80, "·")
        d.arrow((columns["f"], 277), forget.bottom)
    add = d.operation(192, 80, "+")
    d.arrow((6, 80), forget.left, colour="state", strong=True)
    d.arrow(forget.right, add.left, colour="state", strong=True)
    d.arrow(add.right, (394, 80), colour="state", strong=True)
    d.text(28, 62, "$c_{t-1}$", colour="state-text")
    d.text(380, 62, "$c_t$", colour="state-text")
    d.note(192, 50, "cell state (B, D)")


def _lstm_output(d: Diagram, x: float) -> None:
    """Draw how the hidden state comes from the cell state and the output gate."""
    tanh = d.box(x, 124, 50, "tanh", "plain", height=28)
    product = d.operation(x, 178, "·")
    d.dot(x, 80, "state")
    d.arrow((x, 80), tanh.top)
    d.arrow(tanh.bottom, product.top)
    d.arrow((x, 277), product.bottom)
    d.arrow(product.right, (368, 178), (368, 366), (394, 366), colour="state")
    d.text(382, 350, "$h_t$", colour="state-text")


def gru() -> Diagram:
    """Draw one step of a GRU, in the form in which PyTorch computes it."""
    d = Diagram(
        "gru",
        "One step of a GRU",
        "The hidden state runs along the top from left to right: the previous h is multiplied by "
        "the update gate z, then 1 − z times the candidate u is added, which gives the new h. "
        "Below, both gates are a sigmoid of a linear map of x and the previous h. The reset gate r "
        "multiplies a second linear map, of the previous h alone; a third, of x alone, is added, "
        "and tanh gives the candidate.",
        variants={
            "update": ("update",),
            "reset": ("reset",),
            "candidate": ("candidate", "reset"),
        },
    )
    gates = d.box(116, 374, 108, "$W_x x_t +$\n$W_h h_{t-1} + b$", "layer", height=52)
    with d.part("reset"):
        old = d.box(235, 374, 92, "$W_{hu} h_{t-1}$\n$+ b_{hu}$", "layer", height=52)
    with d.part("candidate"):
        new = d.box(342, 374, 88, "$W_{xu} x_t$\n$+ b_{xu}$", "layer", height=52)
    _gru_inputs(d, gates, old, new)
    with d.part("update"):
        _gru_update(d, gates)
    _gru_candidate(d, gates, old, new)
    return d


def _gru_inputs(d: Diagram, gates: Box, old: Box, new: Box) -> None:
    """Draw the hidden state, which comes from the left, and the input, from below."""
    d.dot(44, 72, "state")
    d.arrow((44, 72), (44, 420), (old.x, 420), old.bottom, colour="state")
    d.arrow((90, 420), gates.bottom_at(90), colour="state")
    d.dot(90, 420, "state")
    vector = d.box(235, 474, 50, "$x_t$", "embedding", height=30)
    d.arrow(vector.left, (142, 474), gates.bottom_at(142), halo=True)
    d.arrow(vector.right, (new.x, 474), new.bottom, label="(B, E)")


def _gru_update(d: Diagram, gates: Box) -> None:
    """Draw the line of the hidden state and the gate that decides how much of it is kept."""
    z = d.box(90, 300, 38, "$σ$", "layer", height=30)
    keep = d.operation(90, 72, "·")
    add = d.operation(342, 72, "+")
    d.arrow(gates.top_at(90), z.bottom)
    d.arrow(z.top, keep.bottom)
    d.text(98, 254, "$z_t$", anchor="start")
    d.note(98, 272, "update", anchor="start")
    d.arrow((6, 72), keep.left, colour="state", strong=True)
    d.arrow(keep.right, add.left, colour="state", strong=True)
    d.arrow(add.right, (394, 72), colour="state", strong=True)
    d.text(28, 54, "$h_{t-1}$", colour="state-text")
    d.text(380, 54, "$h_t$", colour="state-text")
    d.note(216, 54, "hidden state (B, D)")
    rest = d.operation(216, 140, "1−")
    product = d.operation(342, 140, "·")
    d.dot(90, 140)
    d.arrow((90, 140), rest.left)
    d.arrow(rest.right, product.left)
    d.arrow(product.top, add.bottom)


def _gru_candidate(d: Diagram, gates: Box, old: Box, new: Box) -> None:
    """Draw the candidate, which sees the old state through the reset gate."""
    with d.part("reset"):
        r = d.box(154, 300, 38, "$σ$", "layer", height=30)
        reset = d.operation(235, 250, "·")
        d.arrow(gates.top_at(154), r.bottom)
        d.arrow(r.top, (154, 250), reset.left)
        d.arrow(old.top, reset.bottom)
        d.text(180, 236, "$r_t$")
        d.note(180, 268, "reset")
    with d.part("candidate"):
        add = d.operation(342, 250, "+")
        tanh = d.box(342, 200, 50, "tanh", "layer", height=28)
        d.arrow(reset.right, add.left)
        d.arrow(new.top, add.bottom)
        d.arrow(add.top, tanh.bottom)
        d.arrow(tanh.top, (342, 151))
        d.text(334, 169, "$u_t$", anchor="end")
        d.note(310, 200, "candidate", anchor="end")
