"""The map of the models, which the first page of the book shows."""

from __future__ import annotations

from typing import NamedTuple

from tools.svg import BLUE, GREEN, ORANGE, RULE, SOFT_INK, TINT, Picture


class Model(NamedTuple):
    """A model of the map.

    Parameters
    ----------
    name
        Its name in the map.
    sections
        The numbers of the sections that build it.
    """

    name: str
    sections: tuple[str, ...]


class HistoryRow(NamedTuple):
    """A row of the map: what models keep of what they have read, and which ones do.

    Parameters
    ----------
    mechanism, memory
        How a model remembers, and what it keeps.
    language_model, encoder_decoder
        The model of each column; None for an empty cell.
    """

    mechanism: str
    memory: str
    language_model: Model | None = None
    encoder_decoder: Model | None = None


HISTORIES = [
    HistoryRow("counts", "n−1 words", Model("n-gram, Kneser–Ney", ("2.1",))),
    HistoryRow("window", "n−1 vectors", Model("feed-forward NNLM", ("4.1.1",))),
    HistoryRow(
        "recurrence",
        "fixed-size state",
        Model("RNN, LSTM", ("4.1.2", "5.1")),
        Model("RNN → RNN", ("2.3", "5.2", "6.1")),
    ),
    HistoryRow(
        "convolution",
        "k−1 vectors per layer",
        encoder_decoder=Model("CNN → CNN", ("3.2", "6.1")),
    ),
    HistoryRow(
        "attention",
        "all source vectors",
        encoder_decoder=Model("RNN + attention", ("4.2", "6.1")),
    ),
    HistoryRow(
        "self-attention",
        "all vectors",
        Model("decoder-only (GPT)", ("6.2", "7.3")),
        Model("Transformer", ("7.3", "6.1")),
    ),
]
ROW_HEIGHT, MAP_TOP = 74, 104
COLUMN_WIDTH = 222


class Column(NamedTuple):
    """A column of the map.

    Parameters
    ----------
    x
        Its left edge.
    colour
        The colour of its models.
    name, distribution
        What the models are called, and which distribution they give.
    """

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
    """Draw six ways to remember, two sorts of model and one contract."""
    picture = Picture(640, MAP_TOP + len(HISTORIES) * ROW_HEIGHT + 140, "Map of the models")
    picture.text(20, 36, "mechanism", 18, anchor="start", bold=True)
    picture.text(20, 62, "what it keeps", 16, anchor="start", fill=SOFT_INK)
    for column in COLUMNS:
        picture.text(column.middle, 36, column.name, 20, fill=column.colour, bold=True)
        picture.text(column.middle, 64, column.distribution, 16, mono=True)
    for row, history in enumerate(HISTORIES):
        _draw_history(picture, MAP_TOP + row * ROW_HEIGHT, history)
    _draw_contract_band(picture, MAP_TOP + len(HISTORIES) * ROW_HEIGHT + 14)
    return picture


def _draw_history(picture: Picture, y: int, history: HistoryRow) -> None:
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
