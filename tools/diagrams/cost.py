"""Diagrams of section 8.1: what fills a memory, attention in tiles, and formats of weights."""

from __future__ import annotations

from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

TILES, TILE = 4, 40.0
WEIGHTS = (0.5, 0.0, 0.0, -1.2, 0.0, 0.0, 0.3, 0.0)  # of the row in several formats
MEMORY: dict[str, tuple[tuple[str, Meaning, float, str], ...]] = {
    "training": (
        ("weights", "layer", 34, "$4N$ bytes"),
        ("gradients", "loss", 34, "$4N$ bytes\nLoRA"),
        ("optimizer", "state", 60, "$8N$ bytes\nMuon, LoRA"),
        ("activations", "attention", 92, "recomputation\ntiles"),
    ),
    "generation": (
        ("weights", "layer", 34, "quantization\npruning"),
        ("KV cache", "attention", 92, "grouped\nqueries"),
    ),
}


def memory_of_a_model() -> Diagram:
    """Draw what fills the memory in training and in generation, and what reduces it."""
    d = Diagram(
        "memory-of-a-model",
        "What fills the memory, and what reduces it",
        "Two stacks of boxes, from bottom to top. Training holds weights, gradients, the "
        "optimizer's running means, twice as large, and activations, the largest box when the "
        "batch is large. Generation holds the weights and the KV cache, which grows with every "
        "token of every sequence. Weights and gradients take four bytes for each of N parameters, "
        "the optimizer eight. Beside each box stands what reduces it: LoRA for gradients, Muon or "
        "LoRA for the optimizer, recomputation and attention in tiles for activations; "
        "quantization and pruning for the weights of generation, grouped queries for the KV cache.",
    )
    bottom = 270.0
    for x, (name, parts) in zip((58.0, 256.0), MEMORY.items(), strict=True):
        y = bottom
        for part, meaning, height, remedy in parts:
            d.box(x, y - height / 2, 94, part, meaning, height=height - 3)
            d.note(x + 53, y - height / 2, remedy, anchor="start")
            y -= height
        d.text(x, bottom + 18, name, bold=True)
    return d


def attention_tiles() -> Diagram:
    """Draw the scores of attention in tiles, of which one at a time exists."""
    d = Diagram(
        "attention-tiles",
        "Attention in tiles",
        "The T × T scores of attention as a grid of four by four tiles. Rows of queries come from "
        "the left, rows of keys and values from above. Only one tile exists at a time, in fast "
        "memory: that of the second block of queries and the second block of keys. With a causal "
        "mask, the tiles above the diagonal are left out. On the right, for each query of the "
        "block, three things are carried from tile to tile: the largest score m, the sum l of "
        "exponentials, and the weighted sum o of values. At the end o divided by l is the output.",
        variants=each_part("tile", "carried"),
    )
    left, top = 92.0, 104.0
    size = TILES * TILE
    for i in range(TILES):
        y = top + (i + 0.5) * TILE
        d.box(left - 40, y, 46, f"$Q_{i + 1}$", "state", height=TILE - 4)
        x = left + (i + 0.5) * TILE
        d.box(x, top - 22, TILE - 4, f"$K_{i + 1}$", "embedding", height=26)
        d.box(x, top - 52, TILE - 4, f"$V_{i + 1}$", "state", height=26)
    for row in range(TILES):
        for column in range(TILES):
            x, y = left + (column + 0.5) * TILE, top + (row + 0.5) * TILE
            here = row == column == 1
            with d.part("tile", when=here):
                meaning: Meaning = "absent" if column > row else "output" if here else "attention"
                d.box(x, y, TILE - 4, "$S_{22}$" if here else "", meaning, height=TILE - 4)
    d.note(left + size / 2, top + size + 14, "one tile at a time in fast memory")
    d.note(left + size / 2, top + size + 32, "dashed: hidden by the causal mask")
    with d.part("carried"):
        for row, (name, what) in enumerate(
            (("$m$", "largest score"), ("$l$", "sum of exp"), ("$o$", "sum of values"))
        ):
            y = top + 12 + 44 * row
            d.box(284, y, 32, name, "output", height=32)
            d.note(306, y, what, anchor="start")
        d.arrow((284, top + 118), (284, top + 134))
        d.text(284, top + 146, "$o / l$")
        d.note(306, top + 146, "output", anchor="start")
    return d


def weight_formats() -> Diagram:
    """Draw one row of weights, most of them dropped, in several formats."""
    kept = [i for i, weight in enumerate(WEIGHTS) if weight]
    d = Diagram(
        "weight-formats",
        "One row of eight weights in four formats",
        "Eight weights, five of which are dropped: 0.5, 0, 0, −1.2, 0, 0, 0.3, 0. Dense in 16 "
        "bits: eight numbers, 16 bits per weight. Bit mask and 16 bits: eight bits 1 0 0 1 0 0 1 0 "
        "and three numbers, 7 bits per weight. Numbers and columns in 16 bits each: three numbers "
        "and three columns 0, 3, 6, 12 bits per weight, not counting where rows begin. Four bits: "
        "eight integers 3, 0, 0, −7, 0, 0, 2, 0 of four bits and a scale of 16, here 6 bits "
        "per weight; with a scale for 32 weights, 4.5.",
    )
    scale = max(abs(weight) for weight in WEIGHTS) / 7
    numbers = [_short(weight) for weight in WEIGHTS]
    whole = [_short(round(weight / scale)) for weight in WEIGHTS]
    rows: tuple[tuple[str, list[tuple[str, Meaning, float]], str], ...] = (
        ("dense, 16 bits", [(number, "layer", 36) for number in numbers], "16"),
        (
            "bit mask and 16 bits",
            [
                *((str(int(i in kept)), "attention", 18.0) for i in range(len(WEIGHTS))),
                *((numbers[i], "layer", 36.0) for i in kept),
            ],
            "7",
        ),
        (
            "numbers and columns, 16 bits each",
            [
                *((numbers[i], "layer", 36.0) for i in kept),
                *((str(i), "attention", 36.0) for i in kept),
            ],
            "12",
        ),
        (
            "4 bits and a scale",
            [
                *((number, "layer", 26.0) for number in whole),
                (f"{scale:.2f}", "state", 40.0),
            ],
            "6",
        ),
    )
    for row, (name, cells, bits) in enumerate(rows):
        y, x = 52.0 + 74 * row, 8.0
        d.text(8, y - 28, name, anchor="start")
        for text, meaning, width in cells:
            d.box(x + width / 2, y, width - 2, text, meaning, height=28, size=11)
            x += width
        d.text(310, y - 6, bits, anchor="start", bold=True)
        d.note(310, y + 11, "bits/weight", anchor="start")
    return d


def _short(number: float) -> str:
    """Return a number in a few characters, with a minus sign of its own."""
    return f"{number:g}".replace("-", "−")
