"""Diagrams of a decoder-only Transformer: its layers, and its cache while it generates."""

from __future__ import annotations

from tools.diagrams.boxes import Box
from tools.diagrams.canvas import each_part
from tools.diagrams.masks import causal
from tools.diagrams.palette import Meaning
from tools.diagrams.transformer import WIDTH, embed, layer_frame, predict, sublayer
from tools.diagrams.vocabulary import Diagram


def gpt() -> Diagram:
    """Draw a decoder-only Transformer that generates a token with its cache."""
    d = Diagram(
        "gpt",
        "A decoder-only Transformer with its key–value cache",
        "On the left, from bottom to top: the newest token, dog, its embedding plus position, L "
        "layers of causal self-attention and a feed-forward network, each with a norm before and a "
        "residual connection around it, a last norm, a linear map and a softmax; it predicts runs, "
        "which is the next input. On the right, the cache of one layer: keys and values of the "
        "tokens read before, BOS and a. Self-attention appends the key and the value of dog and "
        "then attends to all of them.",
        variants={
            "layer": ("self-attention", "feed-forward"),
            "cache": ("cache",),
            "output": ("output",),
        },
    )
    x = 118.0
    bottom = embed(d, x, 524, "dog", "(B, 1)")
    y = sublayer(d, x, bottom, "self-attention", "attention", mask=causal, side=-1)
    top = sublayer(d, x, y, "feed-forward", "layer", side=-1)
    layer_frame(d, x, bottom, top, side=-1)
    with d.part("output"):
        word = predict(d, x, top, "runs", steps="1")
    d.arrow(word.left, (12, word.y), (12, 524), (x - 23, 524), dashed=True)
    with d.part("cache", "self-attention"):
        _cache(d, Box(x, bottom - 79, WIDTH, 50))
    return d


def _cache(d: Diagram, attention: Box) -> None:
    """Draw the cache beside a self-attention."""
    x, y, cell = 324.0, attention.y, 31.0
    columns: tuple[Meaning | None, ...] = ("state", "state", "attention", None)
    for dy, name in ((-34, "keys"), (36, "values")):
        d.grid(
            x, y + dy, rows=3, columns=4, meaning=lambda i, j: columns[j], cell=cell, cell_height=12
        )
        d.note(x, y + dy - 29, f"{name} (B, H, t, d)")
    for i, word in enumerate(("BOS", "a", "dog")):
        d.note(x + (i - 1.5) * cell, y + 66, word, colour="ink")
    d.note(x - cell, y + 86, "cached", colour="state-text")
    d.note(x + 0.5 * cell, y + 86, "new", colour="attention-text")
    left, right = attention.right[0], x - 2 * cell - 2
    d.arrow((left, y - 12), (right, y - 12), colour="attention", label="append")
    d.arrow((right, y + 12), (left, y + 12), colour="state", label="read", side="below")


def kv_cache() -> Diagram:
    """Draw three calls of a model with a cache: prefill, and two steps of decoding."""
    d = Diagram(
        "kv-cache",
        "Prefill and decoding with a key–value cache",
        "Three calls of one model, from top to bottom. Prefill: the prompt BOS, a is read in one "
        "call with T = 2; two columns of keys and values are computed and stored, and dog is "
        "predicted. First step of decoding, T = 1: the query of dog attends to two stored columns "
        "and to its own, which is stored too, and predicts runs. Second step: the query of runs "
        "attends to three stored columns and its own, and predicts EOS. Nothing is computed twice.",
        variants=each_part("prefill", "decode"),
    )
    with d.part("prefill"):
        _call(d, 50, "prefill", ("BOS", "a"), cached=0, predicted="dog")
    with d.part("decode"):
        _call(d, 204, "decode", ("dog",), cached=2, predicted="runs")
        _call(d, 330, "decode", ("runs",), cached=3, predicted="EOS")
    d.legend(24, 414, "stored before", "state")
    d.legend(154, 414, "stored now", "attention")
    d.legend(264, 414, "attended to", "attention", solid=True)
    return d


def _call(
    d: Diagram, y: float, name: str, queries: tuple[str, ...], *, cached: int, predicted: str
) -> None:
    """Draw a call below the height y: the cache, and a row for each query."""
    x, cell, height = 222.0, 38.0, 26.0
    seen = cached + len(queries)

    def stored(_row: int, column: int) -> Meaning | None:
        return "state" if column < cached else "attention" if column < seen else None

    d.text(12, y, name, anchor="start", bold=True)
    d.note(12, y + 20, f"T = {len(queries)}", anchor="start")
    d.grid(x, y, rows=2, columns=5, meaning=stored, cell=cell, cell_height=11)
    d.note(x - 102, y, "cache", anchor="end", colour="state-text")
    for i, word in enumerate(("BOS", "a", "dog", "runs", "")):
        if i < seen:
            d.note(x + (i - 2) * cell, y - 22, word, colour="ink")
    rows = d.grid(
        x,
        y + 30 + height * len(queries) / 2,
        rows=len(queries),
        columns=5,
        meaning=lambda i, j: "attention" if j <= cached + i else None,
        cell=cell,
        cell_height=height,
        solid=True,
    )
    for i, word in enumerate(queries):
        d.note(x - 102, rows.top[1] + (i + 0.5) * height, word, anchor="end", colour="ink")
    end = rows.bottom[1] - height / 2
    token = d.token(370, end, predicted)
    d.arrow((rows.right[0], end), token.left)
