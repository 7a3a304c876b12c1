"""Draw the book's pictures into ``book/_static``: ``python -m tools.figures``.

They are the map of the models (``book/index``), the timeline and the contract
(``book/01-background``), and the logo. Their portrait shape suits a phone, which shows them 350
pixels wide.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from tools.svg import BLUE, GREEN, INK, ORANGE, PURPLE, RED, RULE, SOFT_INK, TINT, Picture, Shape

FOLDER = Path(__file__).resolve().parents[1] / "book" / "_static"

# ---- the map ------------------------------------------------------------------------------------


class Model(NamedTuple):
    """A model of the map, and the sections that build it."""

    name: str
    sections: tuple[str, ...]


class History(NamedTuple):
    """A row of the map: how models keep the history, and which ones do.

    Parameters
    ----------
    mechanism, memory
        How the history is kept, and what is kept of it.
    language_model, encoder_decoder
        The model of each column; None for an empty cell.
    """

    mechanism: str
    memory: str
    language_model: Model | None = None
    encoder_decoder: Model | None = None


HISTORIES = [
    History("counts", "n−1 words", Model("n-gram, Kneser–Ney", ("2.1",))),
    History("window", "n−1 vectors", Model("feed-forward NNLM", ("4.1.1",))),
    History(
        "recurrence",
        "one vector",
        Model("RNN, LSTM", ("4.1.2", "5.1")),
        Model("LSTM → LSTM", ("5.2",)),
    ),
    History(
        "convolution",
        "the last k vectors",
        encoder_decoder=Model("CNN → CNN", ("3.2", "6.1")),
    ),
    History(
        "attention",
        "all source vectors",
        encoder_decoder=Model("RNN + attention", ("4.2", "6.1")),
    ),
    History(
        "self-attention",
        "all vectors",
        Model("decoder-only (GPT)", ("6.2", "7.3")),
        Model("Transformer", ("7.3",)),
    ),
]
ROW_HEIGHT, MAP_TOP = 74, 104
COLUMN_WIDTH = 222


class Column(NamedTuple):
    """A column of the map: its left edge, its colour, and the models in it."""

    x: int
    colour: str
    name: str
    distribution: str

    @property
    def middle(self) -> int:
        """The x coordinate of the middle."""
        return self.x + COLUMN_WIDTH // 2


COLUMNS = [
    Column(160, BLUE, "language model", "p(w | history)"),
    Column(398, GREEN, "encoder–decoder", "p(w | history, source)"),
]


def draw_map() -> Picture:
    """Draw six ways to keep the history, two sorts of model and one contract."""
    picture = Picture(640, MAP_TOP + len(HISTORIES) * ROW_HEIGHT + 140, "Map of the models")
    picture.text(20, 36, "history", anchor="start", bold=True)
    picture.text(20, 60, "kept as", anchor="start", bold=True)
    for column in COLUMNS:
        picture.text(column.middle, 36, column.name, 20, fill=column.colour, bold=True)
        picture.text(column.middle, 64, column.distribution, 16, mono=True)
    for row, history in enumerate(HISTORIES):
        _draw_history(picture, MAP_TOP + row * ROW_HEIGHT, history)
    _draw_contract_band(picture, MAP_TOP + len(HISTORIES) * ROW_HEIGHT + 14)
    return picture


def _draw_history(picture: Picture, y: int, history: History) -> None:
    """Draw a row of the map below `y`."""
    picture.line(f"M20 {y - 6}H620", RULE, 1)
    picture.text(20, y + 20, history.mechanism, 18, anchor="start", bold=True)
    picture.text(20, y + 43, history.memory, 16, anchor="start", fill=SOFT_INK)
    models = (history.language_model, history.encoder_decoder)
    for column, model in zip(COLUMNS, models, strict=True):
        if model is not None:
            _draw_model(picture, column, y, model)


def _draw_model(picture: Picture, column: Column, y: int, model: Model) -> None:
    """Draw a box with a model and the numbers of its sections, all of them links."""
    with picture.link(model.sections[0], model.name):
        colour = column.colour
        picture.box(column.x, y + 2, COLUMN_WIDTH, 58, stroke=colour, fill=TINT[colour])
        picture.text(column.middle, y + 20, model.name, 19, bold=True)
    for i, section in enumerate(model.sections):
        x = column.middle + 56 * (i - (len(model.sections) - 1) / 2)
        with picture.link(section, model.name):
            picture.text(x, y + 44, section, fill=SOFT_INK)


def _draw_contract_band(picture: Picture, y: int) -> None:
    """Draw the contract below both columns, and what needs nothing but it."""
    for column in COLUMNS:
        picture.line(f"M{column.middle} {y - 14}V{y + 4}", arrow=True)
    picture.box(20, y + 6, 600, 46, fill="#F4F4F4")
    picture.text(320, y + 29, "model(ids, state) → (logits, state)", 19, mono=True)
    for x, user in ((20, "training"), (225, "decoding"), (430, "metrics")):
        picture.line(f"M{x + 95} {y + 52}V{y + 72}", arrow=True)
        picture.box(x, y + 74, 190, 40, stroke=ORANGE, fill=TINT[ORANGE])
        picture.text(x + 95, y + 94, user, 19)


# ---- the timeline -------------------------------------------------------------------------------


class Lane(NamedTuple):
    """A lane of the timeline: its x coordinate, and the look of its marks."""

    x: int
    colour: str
    shape: Shape


class Event(NamedTuple):
    """A row of the timeline; ``book/01-background`` cites each."""

    year: str
    lane: str
    idea: str
    authors: str


LANES = {
    "counting": Lane(88, BLUE, "circle"),
    "neural": Lane(118, ORANGE, "square"),
    "translation": Lane(148, GREEN, "triangle"),
    "scale": Lane(178, PURPLE, "diamond"),
}
EVENTS = [
    Event("1913", "counting", "chains of letters", "Markov"),
    Event("1948", "counting", "entropy; text from n-grams", "Shannon"),
    Event("1951", "counting", "guessing the next letter", "Shannon"),
    Event("1977", "counting", "perplexity", "Jelinek and others"),
    Event("1987", "counting", "back-off", "Katz"),
    Event("1990", "neural", "the simple recurrent network", "Elman"),
    Event("1993", "translation", "translation from counts", "Brown and others"),
    Event("1995", "counting", "Kneser–Ney smoothing", "Kneser and Ney"),
    Event("1997", "neural", "LSTM", "Hochreiter and Schmidhuber"),
    Event("2003", "neural", "neural language model", "Bengio and others"),
    Event("2010", "neural", "recurrent language model", "Mikolov and others"),
    Event("2013", "translation", "neural translation", "Kalchbrenner and Blunsom"),
    Event("2014", "translation", "encoder–decoder", "Cho; Sutskever, and others"),
    Event("2015", "translation", "attention", "Bahdanau and others"),
    Event("2017", "translation", "Transformer", "Vaswani and others"),
    Event("2018", "scale", "generative pre-training", "Radford and others"),
    Event("2020", "scale", "scaling laws; GPT-3", "Kaplan; Brown, and others"),
    Event("2022", "scale", "compute-optimal training", "Hoffmann and others"),
]
BRANCHES = [  # ideas of one lane that led to an idea of another
    ("entropy; text from n-grams", "translation from counts"),
    ("Kneser–Ney smoothing", "neural language model"),
    ("recurrent language model", "neural translation"),
    ("Transformer", "generative pre-training"),
]
EVENT_HEIGHT, TIMELINE_TOP = 44, 96


def draw_timeline() -> Picture:
    """Draw four lanes from 1913 to 2022, one row for each event (not to scale)."""
    height = TIMELINE_TOP + len(EVENTS) * EVENT_HEIGHT
    picture = Picture(520, height, "Timeline of language models")
    for i, (name, lane) in enumerate(LANES.items()):
        picture.mark(30 + 122 * i, 32, lane.colour, lane.shape)
        picture.text(46 + 122 * i, 32, name, 16, anchor="start")
    picture.line("M20 60H500", RULE, 1)
    ys = [TIMELINE_TOP + row * EVENT_HEIGHT for row in range(len(EVENTS))]
    for name, lane in LANES.items():
        in_lane = [y for event, y in zip(EVENTS, ys, strict=True) if event.lane == name]
        picture.line(f"M{lane.x} {in_lane[0]}V{in_lane[-1]}", lane.colour, 4)
    points = {e.idea: (LANES[e.lane], y) for e, y in zip(EVENTS, ys, strict=True)}
    for earlier, later in BRANCHES:
        (old_lane, old_y), (new_lane, new_y) = points[earlier], points[later]
        middle = (old_y + new_y) / 2
        curve = f"C{old_lane.x} {middle:g} {new_lane.x} {middle:g} {new_lane.x} {new_y}"
        picture.line(f"M{old_lane.x} {old_y}{curve}", new_lane.colour, 2)
    for event, y in zip(EVENTS, ys, strict=True):
        _draw_event(picture, y, event)
    return picture


def _draw_event(picture: Picture, y: int, event: Event) -> None:
    """Draw a row of the timeline around `y`."""
    lane = LANES[event.lane]
    picture.text(20, y, event.year, anchor="start", fill=SOFT_INK)
    picture.mark(lane.x, y, lane.colour, lane.shape)
    picture.text(208, y - 8, event.idea, 18, anchor="start", bold=True)
    picture.text(208, y + 12, event.authors, 16, anchor="start", fill=SOFT_INK)


# ---- the contract -------------------------------------------------------------------------------

TOKENS = ["BOS", "a", "dog", "runs", "EOS"]
MODEL_HEIGHT = 46


def draw_contract() -> Picture:
    """Draw one call with T tokens, and T calls with one token: the same distributions."""
    picture = Picture(640, 568, "One call with T tokens, or T calls with one token")
    one_call, many_calls = 134, 396  # the upper edges of the models
    picture.text(20, 28, "training: one call", 18, anchor="start", fill=BLUE, bold=True)
    picture.text(620, 28, "ids (1, 4)", 16, anchor="end", mono=True)
    picture.box(20, one_call, 600, MODEL_HEIGHT, stroke=BLUE, fill=TINT[BLUE])
    picture.text(320, one_call + 23, "model", 19, mono=True)
    picture.text(20, 290, "decoding: four calls", 18, anchor="start", fill=GREEN, bold=True)
    picture.text(620, 290, "ids (1, 1), state", 16, anchor="end", mono=True)
    for i in range(4):
        x = 104 + 144 * i
        picture.box(x - 54, many_calls, 108, MODEL_HEIGHT, stroke=GREEN, fill=TINT[GREEN])
        picture.text(x, many_calls + 23, "model", mono=True)
        for top in (one_call, many_calls):
            _draw_prediction(picture, x, top, token=TOKENS[i], next_token=TOKENS[i + 1])
        if i < 3:
            picture.line(f"M{x + 54} {many_calls + 23}H{x + 90}", RED, 3, arrow=True)
            picture.text(x + 72, many_calls + 6, "state", 13, fill=RED)
    picture.text(320, 537, "the same four distributions", fill=SOFT_INK)
    return picture


def _draw_prediction(picture: Picture, x: int, top: int, *, token: str, next_token: str) -> None:
    """Draw an input token below a model with its upper edge at `top`, and above it what follows."""
    bottom = top + MODEL_HEIGHT
    picture.text(x, bottom + 42, token, 18, bold=True)
    picture.line(f"M{x} {bottom + 28}V{bottom + 2}", arrow=True)
    picture.line(f"M{x} {top}V{top - 24}", arrow=True)
    picture.text(x, top - 40, f"p({next_token} | …)")


# ---- the logo -----------------------------------------------------------------------------------

LOGO_BARS = [(44, BLUE), (82, BLUE), (132, ORANGE), (60, BLUE), (30, BLUE)]  # height and colour


def draw_logo() -> Picture:
    """Draw a distribution of the next token, with one outcome drawn from it."""
    picture = Picture(200, 200, "A next-token distribution")
    for i, (height, colour) in enumerate(LOGO_BARS):
        x, y = 25 + 31 * i, 165 - height
        picture.box(x, y, 25, height, stroke=colour, fill=colour, radius=3)
    picture.line("M18 174H182", INK, 5)
    return picture


def main(folder: Path = FOLDER) -> None:
    """Write the four pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "map": draw_map(),
        "timeline": draw_timeline(),
        "contract": draw_contract(),
        "logo": draw_logo(),
    }
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_text(picture.svg(), encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
