"""Diagrams of the Transformer: encoder and decoder, and multi-head attention."""

from __future__ import annotations

from tools.diagrams.boxes import Box, Point
from tools.diagrams.canvas import each_part
from tools.diagrams.masks import Mask, causal, mask_icon, padding
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

WIDTH = 136.0  # of the boxes of a stack


def transformer() -> Diagram:
    """Draw the encoder–decoder of Vaswani et al. 2017 with pre-norm layers."""
    d = Diagram(
        "transformer",
        "A Transformer: encoder and decoder",
        "On the left the encoder, from bottom to top: source tokens, embedding, plus positions, "
        "then L layers of two parts, self-attention with a padding mask and a feed-forward "
        "network. On the right the decoder: target tokens, embedding, plus positions, then L "
        "layers of three parts, self-attention with a causal mask, cross-attention, whose keys "
        "and values come from the encoder's states, and a feed-forward network; then a norm, a "
        "linear map to V logits and a softmax. Before each part there is a norm, and its result "
        "is added to what it was computed from.",
        variants=each_part(
            "encoder",
            "decoder",
            "self-attention",
            "cross-attention",
            "feed-forward",
            "output",
        ),
    )
    with d.part("encoder"):
        memory = _encoder(d, 96)
    with d.part("decoder"):
        cross = _decoder(d, 296)
    with d.part("cross-attention"):
        d.arrow(memory, (cross.left[0], memory[1]), colour="state", strong=True)
    return d


def _encoder(d: Diagram, x: float) -> Point:
    """Draw the encoder, and return the point at which its states leave."""
    d.text(x, 716, "encoder", bold=True)
    bottom = embed(d, x, 690, "ein Hund rennt", "(B, S)")
    y = sublayer(d, x, bottom, "self-attention", "attention", mask=padding, side=-1)
    top = sublayer(d, x, y, "feed-forward", "layer", side=-1)
    layer_frame(d, x, bottom, top, side=-1)
    norm = d.box(x, top - 26, WIDTH, "norm", height=20, size=12.5)
    d.arrow((x, top), norm.bottom)
    d.note(x, norm.y - 22, "states (B, S, D)", colour="state-text")
    return norm.right


def _decoder(d: Diagram, x: float) -> Box:
    """Draw the decoder, and return its cross-attention."""
    d.text(x, 672, "decoder", bold=True)
    bottom = embed(d, x, 646, "BOS a dog runs", "(B, T)")
    y = sublayer(d, x, bottom, "self-attention", "attention", mask=causal, side=1)
    cross = Box(x, y - 73, WIDTH, 50)
    y = sublayer(d, x, y, "cross-attention", "attention", mask=padding, side=1)
    top = sublayer(d, x, y, "feed-forward", "layer", side=1)
    layer_frame(d, x, bottom, top, side=1)
    with d.part("output"):
        predict(d, x, top, "a dog runs EOS")
    return cross


def predict(d: Diagram, x: float, y: float, words: str, *, steps: str = "T") -> Box:
    """Draw the last norm, the output and the predicted tokens.

    Parameters
    ----------
    d
        The diagram.
    x, y
        Where the vectors come from below.
    words
        The predicted tokens.
    steps
        The letter for their number.

    Returns
    -------
    box : Box
        The position of the tokens.
    """
    norm = d.box(x, y - 26, WIDTH, "norm", height=20, size=12.5)
    d.arrow((x, y), norm.bottom)
    softmax = d.box(x, norm.y - 48, WIDTH, "linear, softmax", "output", height=30)
    d.arrow(norm.top, softmax.bottom, label=f"(B, {steps}, D)")
    word = d.token(x, softmax.y - 48, words)
    d.arrow(softmax.top, word.bottom, label=f"(B, {steps}, V)")
    return word


def layer_frame(d: Diagram, x: float, bottom: float, top: float, *, side: int) -> None:
    """Draw the ground of a layer that is repeated, and how often it is.

    Parameters
    ----------
    d
        The diagram.
    x
        The middle of the layer.
    bottom, top
        The heights at which the layer begins and ends.
    side
        Where its residual connections pass: −1 on the left, 1 on the right.
    """
    inner, outer = x - side * (WIDTH / 2 + 8), x + side * (WIDTH / 2 + 24)
    d.frame(min(inner, outer), top, max(inner, outer), bottom)
    d.text(inner - side * 5, top + 10, "× L", anchor="end" if side > 0 else "start", bold=True)


def embed(d: Diagram, x: float, y: float, words: str, shape: str) -> float:
    """Draw tokens, their embedding and their positions.

    Parameters
    ----------
    d
        The diagram.
    x, y
        The centre of the tokens.
    words
        The tokens.
    shape
        The shape of their ids.

    Returns
    -------
    top : float
        The height at which the vectors leave.
    """
    with d.part("embedding"):
        token = d.token(x, y, words)
        embedding = d.box(x, y - 50, WIDTH, "embedding", "embedding", height=28)
        d.arrow(token.top, embedding.bottom, label=shape)
        add = d.operation(x, y - 92, "+")
        d.arrow(embedding.top, add.bottom)
        d.note(x + 42, y - 92, "position", anchor="start")
        d.arrow((x + 38, y - 92), add.right)
    return y - 103


def sublayer(
    d: Diagram,
    x: float,
    y: float,
    name: str,
    meaning: Meaning,
    *,
    mask: Mask | None = None,
    side: int,
) -> float:
    """Draw a part of a layer with its norm and its residual connection.

    Parameters
    ----------
    d
        The diagram.
    x, y
        Where the vectors come from below.
    name, meaning
        What the part is.
    mask
        The mask of an attention.
    side
        Where the residual connection passes: −1 on the left, 1 on the right.

    Returns
    -------
    top : float
        The height at which the result leaves.
    """
    with d.part(name):
        norm = d.box(x, y - 30, WIDTH, "norm", height=20, size=12.5)
        d.arrow((x, y), norm.bottom)
        height = 50 if mask else 32
        box = d.box(x, norm.top[1] - 14 - height / 2, WIDTH, "", meaning, height=height)
        d.arrow(norm.top, box.bottom)
        d.text(x, box.y - (12 if mask else 0), name)
        if mask:
            mask_icon(d, x - 47, box.y + 9, mask)
            d.note(x - 29, box.y + 10, f"{mask.__name__} mask", anchor="start")
        add = d.operation(x, box.top[1] - 22, "+")
        d.arrow(box.top, add.bottom)
        d.dot(x, y - 7)
        edge, end = x + side * (WIDTH / 2 + 12), add.right if side > 0 else add.left
        d.arrow((x, y - 7), (edge, y - 7), (edge, add.y), end)
    return add.top[1]
