"""Diagrams of section 8.3: where a model can fail, and the search for a suffix."""

from __future__ import annotations

from tools.diagrams.boxes import spread
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram


def failures() -> Diagram:
    """Draw a model from its training text to its answer, with what can go wrong on the way."""
    d = Diagram(
        "failures",
        "Where a model can fail",
        "From bottom to top: training text, training, the model, its answer. Input enters the "
        "model from the left. Notes beside each part name what can go wrong: poison in the "
        "training text; private lines in it that the model repeats; noise, another kind of text, "
        "attacks in the input; and an answer that is miscalibrated or memorized.",
    )
    x, left = 230.0, 70.0
    text = d.token(x, 290, "training text")
    d.note(x + 68, 290, "poison,\nprivate lines", anchor="start")
    training = d.box(x, 216, 110, "training", "layer")
    model = d.box(x, 128, 110, "model", "layer", height=36)
    d.arrow(text.top, training.bottom)
    d.arrow(training.top, model.bottom)
    given = d.token(left, 128, "input")
    d.note(left, 168, "noise, other text,\nchosen words,\nsuffixes")
    d.arrow(given.right, model.left)
    answer = d.box(x, 40, 110, "answer", "output")
    d.arrow(model.top, answer.bottom)
    d.note(x + 68, 40, "miscalibrated,\nmemorized", anchor="start")
    return d


def suffix_search() -> Diagram:
    """Draw a prompt, a suffix that is searched, and a target whose loss is measured."""
    d = Diagram(
        "suffix-search",
        "Searching a suffix by the gradient",
        "From bottom to top: a row of pieces, first the prompt, then the suffix, then the target. "
        "All enter the language model. The loss is that of the target alone. Backward arrows "
        "lead from the loss through the model to the pieces of the suffix: the gradient says how "
        "each replacement of one piece would change the loss.",
    )
    columns = spread(34, 366, 7)
    names = ("ROMEO", ":", "$u_1$", "$u_2$", "$u_3$", "I", "am")
    meanings: tuple[Meaning | None, ...] = (
        *(None, None),
        *("attention", "attention", "attention"),
        *("output", "output"),
    )
    d.box(200, 150, 364, "language model", "layer", height=34)
    for x, name, meaning in zip(columns, names, meanings, strict=True):
        piece = d.token(x, 226, name, meaning=meaning)
        d.arrow(piece.top, (x, 167))
    d.note(columns[0] + 26, 264, "prompt, fixed")
    d.note(columns[3], 264, "suffix, searched", colour="attention-text")
    d.note(columns[5] + 26, 264, "target, wanted")
    loss = d.box(columns[5] + 26, 84, 120, "loss of target", "output")
    d.arrow((columns[5] + 26, 133), loss.bottom)
    d.arrow(loss.left, (columns[3], 84), (columns[3], 133), colour="attention")
    for x in columns[2:5]:  # on to the vectors of the suffix
        d.arrow((x + 10, 167), (x + 10, 212), colour="attention")
    d.note(columns[3], 62, "gradient", colour="attention-text")
    return d
