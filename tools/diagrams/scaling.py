"""Diagrams of section 2.2: what is large in a language model, and the stages of its training."""

from __future__ import annotations

from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

STAGES: tuple[tuple[str, Meaning, str, str], ...] = (
    ("pretraining", "layer", "trillions of tokens of text", "predict the next token"),
    ("instruction tuning", "layer", "instructions with answers", "predict the answer"),
    ("preferences", "output", "pairs: one answer preferred", "raise the better one"),
    ("rewards", "output", "problems with a checker", "raise what is right"),
)


def large_model() -> Diagram:
    """Draw text, tokenizer, model and loss with the numbers that describe their sizes."""
    d = Diagram(
        "large-model",
        "What is large in a large language model",
        "From bottom to top: the text; the tokenizer, whose vocabulary has V entries, ten thousand "
        "to a million; the D tokens that the model reads in training, up to some ten trillion; the "
        "model with N parameters, up to a trillion and more; and the loss in nats per token, a "
        "function of N and D. Between model and tokens: the cost, about six times N times D "
        "operations.",
    )
    x, side = 96.0, 290.0
    text = d.token(x, 402, "we saw the red sea …")
    tokenizer = d.box(x, 336, 160, "tokenizer", "embedding")
    d.arrow(text.top, tokenizer.bottom)
    d.text(side, 328, "$V$ entries")
    d.note(side, 347, "ten thousand to a million")
    tokens = d.grid(x, 256, rows=1, columns=8, cell=18, meaning=lambda i, j: "embedding")
    d.arrow(tokenizer.top, tokens.bottom)
    d.text(side, 248, "$D$ tokens read")
    d.note(side, 267, "up to some ten trillion")
    model = d.box(x, 170, 160, "model", "layer", height=52)
    d.arrow(tokens.top, model.bottom)
    d.text(side, 162, "$N$ parameters")
    d.note(side, 181, "up to a trillion and more")
    d.text(side, 212, "cost: $C ≈ 6 N D$ operations")
    loss = d.box(x, 78, 160, "loss", "loss")
    d.arrow(model.top, loss.bottom)
    d.text(side, 70, "$L(N, D)$")
    d.note(side, 89, "nats per token")
    return d


def model_life() -> Diagram:
    """Draw the stages from random weights to a model that answers."""
    d = Diagram(
        "model-life",
        "The stages of training a large language model",
        "From top to bottom, four stages, each with its data on the right. Pretraining: text of "
        "trillions of tokens, the next token is predicted. Instruction tuning: examples of an "
        "instruction and its answer, the answer is predicted. Preferences: pairs of answers, of "
        "which people prefer one. Rewards: problems whose answers a program can check. The first "
        "two minimize cross-entropy, the last two change which answers are probable.",
    )
    x, side, previous = 88.0, 284.0, None
    for row, (name, meaning, data, task) in enumerate(STAGES):
        box = d.box(x, 40 + 84 * row, 152, name, meaning, height=40)
        d.text(side, 32 + 84 * row, data)
        d.note(side, 52 + 84 * row, task)
        if previous is not None:
            d.arrow(previous.bottom, box.top)
        previous = box
    return d
