"""Diagrams of section 2.2: what is large in a language model, and the stages of its training."""

from __future__ import annotations

from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

STAGES: tuple[tuple[str, Meaning, str, str], ...] = (
    ("pretraining", "layer", "trillions of tokens of text", "predict the next token"),
    ("instruction tuning", "layer", "instructions with answers", "predict the answer"),
    ("preferences", "output", "pairs: one answer preferred", "raise the better one"),
    ("rewards", "output", "problems with a checker", "reward correct answers"),
)


def large_model() -> Diagram:
    """Draw text, tokenizer, model and loss with the numbers that describe their sizes."""
    d = Diagram(
        "large-model",
        "What is large in a large language model",
        "From bottom to top: the text; the tokenizer, whose vocabulary has V entries, ten thousand "
        "to a million; the D tokens that the model reads in training, up to tens of trillions; the "
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
    d.note(side, 267, "up to tens of trillions")
    model = d.box(x, 170, 160, "model", "layer", height=52)
    d.arrow(tokens.top, model.bottom)
    d.text(side, 162, "$N$ parameters")
    d.note(side, 181, "up to a trillion and more")
    d.text(side, 212, "cost: $C ≈ 6 N D$ operations")
    loss = d.box(x, 78, 160, "loss", "loss")
    d.arrow(model.top, loss.bottom)
    d.text(side, 70, "depends on $N$ and $D$")
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


def layer_sizes() -> Diagram:
    """Draw the matrices of a layer of the book's GPT, with their shapes and parameters."""
    d = Diagram(
        "layer-sizes",
        "The matrices of one layer",
        "From bottom to top: T vectors of width d; a norm; a matrix d × 3d to queries, keys and "
        "values, 3d² parameters; attention of T positions to T, without parameters; a matrix d × d "
        "out of it, d² parameters; a sum with the input; a norm; a matrix d × 4d into the hidden "
        "layer, 4d² parameters; the squared ReLU; a matrix 4d × d out of it, 4d² parameters; a sum "
        "with the input of this half. The matrices have 12d² parameters together.",
    )
    x, side = 118.0, 216.0
    y = _half(
        d,
        x,
        560,
        ("queries, keys, values", "attention", "output of attention"),
        ("3d", "d"),
        "attention",
    )
    top = _half(
        d,
        x,
        y,
        ("into the hidden layer", "squared ReLU", "out of the hidden layer"),
        ("4d", "4d"),
        "layer",
    )
    d.arrow((x, top), (x, top - 24), label="(T, d)")
    d.text(side, top + 10, "12 d² in all", anchor="start", bold=True)
    d.note(x, 572, "(T, d)")
    for row, (matrix, count) in enumerate(
        (("d × 3d", "3 d²"), ("", "no parameters"), ("d × d", "d²"))
    ):
        _sizes(d, side, 560 - 70 - 58 * row, matrix, count)
    for row, (matrix, count) in enumerate((("d × 4d", "4 d²"), ("", ""), ("4d × d", "4 d²"))):
        _sizes(d, side, y - 70 - 58 * row, matrix, count)
    return d


def _half(
    d: Diagram,
    x: float,
    y: float,
    names: tuple[str, str, str],
    widths: tuple[str, str],
    meaning: Meaning,
) -> float:
    """Draw a norm, a matrix, a step without weights, a matrix and the sum with the input."""
    norm = d.box(x, y - 30, 150, "norm", height=20, size=12.5)
    d.arrow((x, y), norm.bottom)
    first = d.box(x, y - 70, 150, names[0], meaning, height=30, size=12.5)
    d.arrow(norm.top, first.bottom)
    step = d.box(x, y - 128, 150, names[1], height=26, size=12.5)
    d.arrow(first.top, step.bottom, label=f"(T, {widths[0]})")
    second = d.box(x, y - 186, 150, names[2], meaning, height=30, size=12.5)
    d.arrow(step.top, second.bottom, label=f"(T, {widths[1]})")
    add = d.operation(x, y - 224, "+")
    d.arrow(second.top, add.bottom)
    d.dot(x, y - 7)
    d.arrow((x, y - 7), (x - 92, y - 7), (x - 92, add.y), add.left)
    return add.top[1]


def _sizes(d: Diagram, x: float, y: float, matrix: str, count: str) -> None:
    """Write the shape of a matrix and its number of parameters."""
    if matrix:
        d.text(x, y, matrix, anchor="start")
    if count:
        d.note(x + (66 if matrix else 0), y, count, anchor="start")


def experts() -> Diagram:
    """Draw a layer of four experts, of which the router chooses one for a token."""
    d = Diagram(
        "experts",
        "A mixture of four experts",
        "From bottom to top: the vector x of one token goes to the router, whose softmax gives "
        "four probabilities, and to the expert with the largest one, here the second of four. The "
        "other three are not computed. The result of the expert is multiplied by its probability, "
        "0.6, which gives y.",
    )
    xs = (50.0, 132.0, 214.0, 296.0)
    x = d.vector(187, 330, "state")
    d.note(226, 330, "x of one token", anchor="start")
    router = d.box(330, 262, 96, "router W", "attention")
    d.arrow((187, 318), (187, 262), router.left)
    d.bars((303, 321, 339, 357), 226, (0.2, 0.6, 0.1, 0.1), full=56, colour="attention")
    d.arrow(router.top, (330, 230))
    d.note(286, 210, "probabilities p", anchor="end")
    for i, at in enumerate(xs):
        chosen = i == 1
        d.box(at, 130, 74, f"FFN {i + 1}", "layer" if chosen else "absent")
    d.dot(187, 262)
    d.arrow((187, 262), (132, 262), (132, 148), strong=True)
    gate = d.operation(132, 80, "·")
    d.arrow((132, 114), gate.bottom)
    d.arrow((321, 188), (321, 170), (366, 170), (366, 80), gate.right, colour="attention")
    d.note(214, 66, "$p_2$ = 0.6")
    y = d.vector(132, 36, "state")
    d.arrow(gate.top, y.bottom)
    d.note(162, 36, "y", anchor="start")
    d.arrow(x.top, (187, 262), head=False)
    return d
