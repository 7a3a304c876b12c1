"""The diagram of section 3.2: a bidirectional encoder, and a decoder that reads c in each step."""

from __future__ import annotations

from tools.diagrams.boxes import Box
from tools.diagrams.vocabulary import Diagram

SOURCE = ("drei", "und", "vierzig")
INPUT = ("BOS", "forty", "three")
LABEL = ("forty", "three", "EOS")
COLUMNS = (112.0, 200.0, 288.0)  # of the source, and of the target
HALF = 17.0  # from a column to its forward state on the left, and its backward one on the right


def number_translation() -> Diagram:
    """Draw a recurrent encoder–decoder whose encoder reads in both directions."""
    d = Diagram(
        "number-translation",
        "An encoder that reads in both directions, and a decoder that reads c in each step",
        "Below, the encoder reads the source, drei, und, vierzig: one row of states runs from left "
        "to right, another from right to left. The last state of the first row, at vierzig, and "
        "the last state of the second, at drei, make the vector c. Above, the decoder reads the "
        "true target shifted by one, BOS, forty, three; an arrow leads from c to each of its "
        "states. Each state predicts a distribution, which is compared with the label: forty, "
        "three, EOS.",
        variants={"encoder": ("encoder",), "decoder": ("decoder",)},
    )
    c = _encoder(d)
    _decoder(d, c)
    return d


def _encoder(d: Diagram) -> Box:
    """Draw the two rows of states, and return the position of the vector that they end in."""
    forward: list[Box] = []
    backward: list[Box] = []
    with d.part("encoder"):
        d.text(6, 478, "encoder", anchor="start", bold=True)
        for x, word in zip(COLUMNS, SOURCE, strict=True):
            token = d.token(x, 532, word)
            forward.append(d.box(x - HALF, 462, 32, "→", "state", height=32))
            backward.append(d.box(x + HALF, 408, 32, "←", "state", height=32))
            d.arrow((x - HALF, token.top[1]), forward[-1].bottom)
            d.arrow((x + HALF, token.top[1]), backward[-1].bottom)
        for left, right in zip(range(2), range(1, 3), strict=True):
            d.arrow(forward[left].right, forward[right].left, colour="state")
            d.arrow(backward[right].left, backward[left].right, colour="state")
        c = d.box(366, 424, 44, "$c$", "state", height=36)
        last = forward[-1].right
        d.arrow(last, (366, last[1]), c.bottom, colour="state", strong=True)
        first = backward[0].top
        d.arrow(first, (first[0], 374), (366, 374), c.top, colour="state", strong=True)
        d.note(366, 484, "(B, D)")
    return c


def _decoder(d: Diagram, c: Box) -> None:
    """Draw three steps of the decoder, each with an arrow from the vector."""
    before = Box(0, 0, 0, 0)
    with d.part("decoder"):
        d.text(6, 222, "decoder", anchor="start", bold=True)
        d.note(6, 284, "input", anchor="start")
        d.note(6, 30, "label", anchor="start", colour="loss-text")
        rail = 330.0
        d.arrow(
            (c.x + 14, c.top[1]),
            (c.x + 14, rail),
            (COLUMNS[0] + 22, rail),
            colour="state",
            head=False,
        )
        for t, x in enumerate(COLUMNS, start=1):
            token = d.token(x - 12, 284, INPUT[t - 1])
            state = d.box(x, 222, 58, f"$h_{t}$", "state")
            output = d.box(x, 156, 58, f"$p_{t}$", "output")
            loss = d.box(x, 92, 66, f"−log $p_{t}$", "loss", height=30)
            label = d.token(x, 30, LABEL[t - 1], meaning="loss")
            d.arrow(token.top, state.bottom_at(x - 12))
            d.dot(x + 22, rail, "state")
            d.arrow((x + 22, rail), state.bottom_at(x + 22), colour="state")
            d.arrow(state.top, output.bottom, label="(B, T, D)" if t == 3 else "")
            d.arrow(output.top, loss.bottom, label="(B, T, V)" if t == 3 else "")
            d.arrow(label.bottom, loss.top, colour="loss")
            if t > 1:
                d.arrow(before.right, state.left, colour="state")
            before = state
