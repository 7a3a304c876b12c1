"""Diagrams of a decoder-only Transformer: its layers, and its cache while it generates."""

from __future__ import annotations

from tools.diagrams.boxes import Box
from tools.diagrams.canvas import each_part
from tools.diagrams.masks import causal, mask_icon
from tools.diagrams.palette import Meaning
from tools.diagrams.transformer import WIDTH, layer_frame, predict, sublayer
from tools.diagrams.vocabulary import Diagram


def gpt() -> Diagram:
    """Draw a decoder-only Transformer that generates a token with its cache."""
    d = Diagram(
        "gpt",
        "A decoder-only Transformer with its key–value cache",
        "On the left, from bottom to top: the newest token, dog, its embedding, L layers of causal "
        "self-attention and a feed-forward network, each with a norm before and a residual "
        "connection around it, a last norm, a linear map and a softmax; it predicts runs, which is "
        "the next input. Position enters inside self-attention alone, which rotates queries and "
        "keys by it. On the right, the cache of one layer: keys and values of the tokens read "
        "before. Self-attention appends the key and the value of dog and then attends to all of "
        "them.",
        variants={
            "layer": ("self-attention", "feed-forward"),
            "cache": ("cache",),
            "output": ("output",),
        },
    )
    x = 118.0
    bottom = 441.0
    with d.part("embedding"):
        token = d.token(x, 524, "dog")
        embedding = d.box(x, 474, WIDTH, "embedding", "embedding", height=28)
        d.arrow(token.top, embedding.bottom, label="(B, 1)")
        d.arrow(embedding.top, (x, bottom))
    y = _self_attention(d, x, bottom)
    top = sublayer(d, x, y, "feed-forward", "layer", side=-1)
    layer_frame(d, x, bottom, top, side=-1)
    with d.part("output"):
        word = predict(d, x, top, "runs", steps="1")
    d.arrow(word.left, (12, word.y), (12, 524), (x - 23, 524), dashed=True)
    with d.part("cache", "self-attention"):
        _cache(d, Box(x, bottom - 88, WIDTH, 68))
    return d


def _self_attention(d: Diagram, x: float, y: float) -> float:
    """Draw self-attention with rotary positions, and return the height at which it ends."""
    with d.part("self-attention"):
        norm = d.box(x, y - 30, WIDTH, "norm", height=20, size=12.5)
        d.arrow((x, y), norm.bottom)
        box = d.box(x, y - 88, WIDTH, "", "attention", height=68)
        d.arrow(norm.top, box.bottom)
        d.text(x, box.y - 22, "self-attention")
        d.note(x, box.y - 3, "rotates q and k")
        mask_icon(d, x - 47, box.y + 18, causal)
        d.note(x - 29, box.y + 19, "causal mask", anchor="start")
        add = d.operation(x, box.top[1] - 22, "+")
        d.arrow(box.top, add.bottom)
        d.dot(x, y - 7)
        edge = x - WIDTH / 2 - 12
        d.arrow((x, y - 7), (edge, y - 7), (edge, add.y), add.left)
    return add.top[1]


def _cache(d: Diagram, attention: Box) -> None:
    """Draw the cache beside a self-attention."""
    x, y, cell = 324.0, attention.y, 31.0
    columns: tuple[Meaning | None, ...] = ("state", "state", "attention", None)
    for dy, name in ((-34, "keys"), (36, "values")):
        d.grid(
            x, y + dy, rows=3, columns=4, meaning=lambda i, j: columns[j], cell=cell, cell_height=12
        )
        d.note(x, y + dy - 29, f"{name} (B, H, t, d)")
    for i, word in enumerate(("and", "a", "dog")):
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
        "Three calls of one model, from top to bottom. Prefill: the prompt, “and a”, is read in "
        "one call with T = 2; two columns of keys and values are computed and stored, and dog is "
        "predicted. First step of decoding, T = 1: the query of dog attends to two stored columns "
        "and to its own, which is stored too, and predicts runs. Second step: the query of runs "
        "attends to three stored columns and its own, and predicts past. Nothing is computed "
        "twice.",
        variants=each_part("prefill", "decode"),
    )
    with d.part("prefill"):
        _call(d, 50, "prefill", ("and", "a"), cached=0, predicted="dog")
    with d.part("decode"):
        _call(d, 204, "decode", ("dog",), cached=2, predicted="runs")
        _call(d, 330, "decode", ("runs",), cached=3, predicted="past")
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
    for i, word in enumerate(("and", "a", "dog", "runs", "")):
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
