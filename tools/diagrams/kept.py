"""Diagram of chapter 1: what three models keep of the words before."""

from __future__ import annotations

from itertools import pairwise

from tools.diagrams.boxes import Box
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

WORDS = "the dogs behind the old fence".split()
PLACES = 30.0, 87.0, 157.0, 222.0, 277.0, 338.0  # of the words
WINDOW = 2  # words that a trigram model keeps
WEIGHTS = 0.04, 0.62, 0.04, 0.04, 0.06, 0.2  # of attention, invented; their sum is 1
ROW = 162.0  # height
KEY = 15.0  # from the middle of a value up to that of its key
CHOICE = 338.0, 92.0  # centre and width of what is predicted


def kept_words() -> Diagram:
    """Draw what an n-gram window, a recurrent state and attention keep of six words."""
    d = Diagram(
        "kept-words",
        "What three models keep of the words before",
        "Three rows; in each, a model has read the dogs behind the old fence and predicts is or "
        "are. First row, an n-gram model: a table of counts sees only old fence, dogs is lost, and "
        "it predicts is, as 15 of 20 times before. Second row, a recurrent network: each word "
        "changes one vector, and only the last vector is kept; it predicts are, with a question "
        "mark. Third row, attention: a key and a value of each word are kept, and lines lead from "
        "all six to the prediction are, the thickest from dogs.",
    )
    _window(d, 0)
    _recurrent(d, ROW)
    _attention(d, 2 * ROW)
    return d


def _row(d: Diagram, y: float, title: str, choice: str, *, kept: int = 0) -> tuple[list[Box], Box]:
    """Draw a row's title, the words read, of which the last are kept, and what is predicted."""
    d.text(12, y + 20, title, anchor="start", bold=True)
    first = len(WORDS) - kept
    words = [
        d.token(x, y + 124, word, meaning="state" if i >= first else None)
        for i, (word, x) in enumerate(zip(WORDS, PLACES, strict=True))
    ]
    return words, d.box(CHOICE[0], y + 20, CHOICE[1], choice, "output", height=28)


def _window(d: Diagram, y: float) -> None:
    """Draw the window of an n-gram model: two words, looked up in a table."""
    words, choice = _row(d, y, "n-gram model: two words", "is: 15/20", kept=WINDOW)
    table = d.box(314, y + 72, 136, "table of counts", "layer")
    for word in words[-WINDOW:]:
        d.arrow(word.top, table.bottom_at(word.x))
    d.arrow(table.top_at(choice.x), choice.bottom)


def _recurrent(d: Diagram, y: float) -> None:
    """Draw a recurrent network: each word changes one vector, and the last is kept."""
    words, choice = _row(d, y, "recurrent network: one vector", "are?")
    states = _vectors(d, words, y, "plain", last="state")
    for before, after in pairwise(states):
        d.arrow(before.right, after.left)
    d.arrow(states[-1].top, choice.bottom)


def _attention(d: Diagram, y: float) -> None:
    """Draw attention: a key and a value of each word are kept and read again."""
    words, choice = _row(d, y, "attention: key and value per word", "are")
    values = _vectors(d, words, y, "state", last="state")
    for word, value, weight in zip(words, values, WEIGHTS, strict=True):
        key = d.vector(word.x, value.y - KEY, "state", cells=3, cell=11)
        d.weighted(key.top, choice.bottom, weight)
    for row, name in [(values[-1].y - KEY, "key"), (values[-1].y, "value")]:
        d.note(PLACES[-1] + 20, row, name, anchor="start")


def _vectors(
    d: Diagram, words: list[Box], y: float, meaning: Meaning, *, last: Meaning
) -> list[Box]:
    """Draw a vector above each word."""
    meanings = [*[meaning] * (len(words) - 1), last]
    vectors = []
    for word, what in zip(words, meanings, strict=True):
        vector = d.vector(word.x, y + 82, what, cells=3, cell=11)
        d.arrow(word.top, vector.bottom)
        vectors.append(vector)
    return vectors
