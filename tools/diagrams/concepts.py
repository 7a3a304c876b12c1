"""Diagram of chapter 2: one prediction without a source, and with the source in two places."""

from __future__ import annotations

from tools.diagrams.vocabulary import Diagram

SOURCE = {"ein": 34.0, "Hund": 85.0, "rennt": 143.0}  # words, and where they stand
HISTORY = {"BOS": 262.0, "a": 308.0, "dog": 354.0}
ENCODER, DECODER, BOTH = (92.0, 160.0), (308.0, 150.0), (197.5, 371.0)  # centre and width
ROW = 158.0  # height
PROBABILITIES = 0.1, 0.8, 0.8  # of the next word, in the text's example


def conditions() -> Diagram:
    """Draw the next word without a source, with an encoded one, and with one in the history."""
    d = Diagram(
        "conditions",
        "One prediction under three conditions",
        "Three rows; in each, a model predicts runs after a dog, with probability 0.1 in the first "
        "row and 0.8 in the others. First row: a language model reads BOS, a, dog. Second row, an "
        "encoder–decoder: an encoder reads ein Hund rennt, and its vectors are a memory that the "
        "decoder reads beside BOS, a, dog. Third row: a language model reads ein Hund rennt BOS a "
        "dog as one history.",
    )
    _row(d, 0, "no source")
    _read(d, 0, "language model", DECODER, HISTORY)
    _row(d, 1, "source in a memory")
    _read(d, 1, "decoder", DECODER, HISTORY)
    _read(d, 1, "encoder", ENCODER, SOURCE)
    y = ROW + 70
    d.arrow((ENCODER[0] + ENCODER[1] / 2, y), (DECODER[0] - DECODER[1] / 2, y), label="memory")
    _row(d, 2, "source in the history")
    _read(d, 2, "language model", BOTH, SOURCE | HISTORY)
    return d


def _row(d: Diagram, row: int, title: str) -> None:
    """Draw the title of a row, and the word that is predicted in it."""
    y = ROW * row
    d.text(12, y + 24, title, anchor="start", bold=True)
    word = d.token(HISTORY["dog"], y + 24, "runs", meaning="output")
    d.arrow((word.x, y + 54), word.bottom)
    d.text(word.x - 32, y + 24, f"$p$ = {PROBABILITIES[row]}", anchor="end")


def _read(
    d: Diagram, row: int, name: str, place: tuple[float, float], words: dict[str, float]
) -> None:
    """Draw a model and the words that it reads."""
    y = ROW * row
    model = d.box(place[0], y + 70, place[1], name, "state" if name == "encoder" else "layer")
    for word, x in words.items():
        token = d.token(x, y + 120, word)
        d.arrow(token.top, (x, model.bottom[1]))
