"""The timeline of language models, which ``book/01-background`` shows."""

from __future__ import annotations

import math
from typing import NamedTuple

from tools.svg import BLUE, GREEN, ORANGE, PURPLE, RULE, SOFT_INK, TINT, Picture, Shape


class Lane(NamedTuple):
    """A lane of the timeline.

    Parameters
    ----------
    x
        The coordinate of its line.
    colour, shape
        The look of its marks.
    """

    x: int
    colour: str
    shape: Shape


class Branch(NamedTuple):
    """An arrow between two lanes.

    Parameters
    ----------
    earlier, later
        The ideas of the events at its ends: it points to the later one.
    is_answer
        Whether the later one competes with the earlier, or else builds on it.
    bend
        Where the curve bends: its share of the way across and of the way down.
    """

    earlier: str
    later: str
    is_answer: bool = False
    bend: tuple[float, float] = (0.5, 0.35)


class Event(NamedTuple):
    """A row of the timeline; ``book/01-background`` cites each.

    Parameters
    ----------
    year
        That of the paper in ``book/references.bib``.
    lane
        The name of its lane.
    idea, authors
        What was new, and whose it was.
    """

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
    Event("1977", "counting", "perplexity", "Jelinek et al."),
    Event("1990", "neural", "recurrent network", "Elman"),
    Event("1993", "translation", "translation from counts", "Brown et al."),
    Event("1995", "counting", "Kneser–Ney smoothing", "Kneser and Ney"),
    Event("1997", "neural", "LSTM", "Hochreiter and Schmidhuber"),
    Event("2003", "neural", "neural language model", "Bengio et al."),
    Event("2010", "neural", "recurrent language model", "Mikolov et al."),
    Event("2013", "neural", "word vectors alone", "Mikolov et al."),
    Event("2014", "translation", "encoder–decoder", "Cho et al.; Sutskever et al."),
    Event("2015", "translation", "attention", "Bahdanau et al."),
    Event("2017", "translation", "Transformer", "Vaswani et al."),
    Event("2018", "scale", "generative pretraining", "Radford et al."),
    Event("2019", "scale", "masked pretraining", "Devlin et al."),
    Event("2020", "scale", "scaling laws; GPT-3", "Kaplan et al.; Brown et al."),
    Event("2022", "scale", "compute-optimal training", "Hoffmann et al."),
    Event("2022", "scale", "training on preferences", "Ouyang et al."),
    Event("2023", "scale", "open weights; tools", "Touvron et al.; Schick et al."),
    Event("2023", "neural", "selective state spaces", "Gu and Dao"),
    Event("2024", "scale", "open mixture of experts", "Jiang et al."),
    Event("2024", "scale", "contexts of millions of tokens", "Gemini Team"),
    Event("2024", "scale", "reasoning model o1", "OpenAI"),
    Event("2025", "scale", "reasoning by verifiable rewards", "DeepSeek-AI"),
]
BRANCHES = [  # the bends pass the marks between
    Branch("entropy; text from n-grams", "translation from counts"),
    Branch("Kneser–Ney smoothing", "neural language model", is_answer=True, bend=(0.2, 0.6)),
    Branch("LSTM", "encoder–decoder", bend=(1, 0.4)),
    Branch("recurrent language model", "encoder–decoder", bend=(0.55, 0.7)),
    Branch("Transformer", "generative pretraining"),
    Branch("Transformer", "selective state spaces", is_answer=True, bend=(0, 0.9)),
]
EVENT_HEIGHT, TIMELINE_TOP = 37, 78
MARK_GAP, HEAD_LENGTH, HEAD_WIDTH = 11, 10, 9  # of an arrow: where it ends, and its head
LEGEND = (30, 142, 252, 392)  # where the mark of each lane is


def draw_timeline() -> Picture:
    """Draw four lanes from 1913 to 2025, one row for each event (not to scale)."""
    height = TIMELINE_TOP + len(EVENTS) * EVENT_HEIGHT
    picture = Picture(520, height, "Timeline of language models")
    for x, (name, lane) in zip(LEGEND, LANES.items(), strict=True):
        picture.mark(x, 24, lane.colour, lane.shape)
        picture.text(x + 16, 24, name, 16, anchor="start")
    picture.line("M20 48H500", RULE, 1)
    ys = [TIMELINE_TOP + row * EVENT_HEIGHT for row in range(len(EVENTS))]
    for event, y in zip(EVENTS, ys, strict=True):
        picture.line(f"M{LANES[event.lane].x} {y}H198", RULE, 1)  # leads from a mark to its words
    for name, lane in LANES.items():
        in_lane = [y for event, y in zip(EVENTS, ys, strict=True) if event.lane == name]
        picture.line(f"M{lane.x} {in_lane[0]}V{in_lane[-1]}", TINT[lane.colour], 12)
    points = {e.idea: (LANES[e.lane], y) for e, y in zip(EVENTS, ys, strict=True)}
    for branch in BRANCHES:
        (old_lane, old_y), (new_lane, new_y) = points[branch.earlier], points[branch.later]
        across, down = branch.bend
        bend_x = old_lane.x + across * (new_lane.x - old_lane.x)
        bend_y = old_y + down * (new_y - old_y)
        _draw_arrow(
            picture,
            [(old_lane.x, old_y), (bend_x, bend_y), (new_lane.x, new_y)],
            new_lane.colour,
            dashed=branch.is_answer,
        )
    for event, y in zip(EVENTS, ys, strict=True):
        _draw_event(picture, y, event)
    return picture


def _draw_event(picture: Picture, y: int, event: Event) -> None:
    """Draw a row of the timeline around `y`."""
    lane = LANES[event.lane]
    picture.text(20, y, event.year, anchor="start", fill=SOFT_INK)
    picture.mark(lane.x, y, lane.colour, lane.shape)
    picture.text(208, y - 7, event.idea, 18, anchor="start", bold=True)
    picture.text(208, y + 9, event.authors, 15, anchor="start", fill=SOFT_INK)


def _draw_arrow(
    picture: Picture, points: list[tuple[float, float]], colour: str, *, dashed: bool
) -> None:
    """Draw a curve with a head from a mark, past a bend, to the edge of another mark."""
    (x, y), (bend_x, bend_y), (end_x, end_y) = points
    length = math.dist((bend_x, bend_y), (end_x, end_y))
    dx, dy = (end_x - bend_x) / length, (end_y - bend_y) / length  # the direction of its end
    tip_x, tip_y = end_x - MARK_GAP * dx, end_y - MARK_GAP * dy
    back_x, back_y = tip_x - HEAD_LENGTH * dx, tip_y - HEAD_LENGTH * dy
    curve = f"M{x:g} {y:g}Q{bend_x:g} {bend_y:g} {back_x:.1f} {back_y:.1f}"
    picture.line(curve, colour, 2, dashed=dashed)
    side_x, side_y = -HEAD_WIDTH / 2 * dy, HEAD_WIDTH / 2 * dx
    corners = [
        (tip_x, tip_y),
        (back_x + side_x, back_y + side_y),
        (back_x - side_x, back_y - side_y),
    ]
    picture.triangle(corners, colour)
