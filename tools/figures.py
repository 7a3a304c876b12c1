"""Draw the book's SVG pictures into book/_static: ``python tools/figures.py``.

The map of the models (book/index), the timeline and the contract (book/01-background), the logo.
Plain SVG text on an opaque light ground, Okabe and Ito's colours, portrait shape: a phone shows
them 350 pixels wide. Labels only, no prose: the sentences stand in the pages, as captions.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER, NOTEBOOKS = ROOT / "book" / "_static", ROOT / "notebooks"
PAPER, INK, SOFT = "#FFFFFF", "#222222", "#5A5A5A"
BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
TINT = {BLUE: "#E1EEF6", ORANGE: "#FCF1DC", GREEN: "#DDF2EB", PURPLE: "#F9EDF3", SOFT: "#EFEFEF"}
SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"


@dataclass
class Picture:
    """Collects SVG elements; coordinates in pixels from the upper left corner."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def text(self, x, y, words, size=17, anchor="middle", fill=INK, bold=False, mono=False):
        """One line of text; `y` is its middle."""
        weight = ' font-weight="bold"' if bold else ""
        family = f' font-family="{MONO}"' if mono else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" font-size="{size}" fill="{fill}" '
            f'text-anchor="{anchor}"{weight}{family}>{escape(words)}</text>'
        )

    def box(self, x, y, width, height, colour=INK, fill=PAPER, radius=8):
        """A rounded rectangle with its upper left corner at (x, y)."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" '
            f'fill="{fill}" stroke="{colour}" stroke-width="2"/>'
        )

    def link(self, section: str, what: str):
        """What is drawn within ``with p.link("4.1.2", "RNN"):`` leads to the section's page."""
        number = "0" + section.replace(".", "-")
        pages = [f"../notebooks/{p.stem}.html" for p in NOTEBOOKS.glob(f"{number}-[a-z]*.ipynb")]
        return _Within(self.parts, pages[0], f"{section} {what}") if pages else nullcontext()

    def line(self, path, colour=INK, width=2, arrow=False):
        """A path in SVG's own notation, with an arrow head where `arrow`."""
        head = ' marker-end="url(#head)"' if arrow else ""
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{head}/>'
        )

    def mark(self, x, y, colour, shape, size=8):
        """A filled circle, square, triangle or diamond: shape as well as colour tells."""
        corners = {
            "square": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
            "triangle": [(0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
            "diamond": [(0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)],
        }
        style = f'fill="{colour}" stroke="{PAPER}" stroke-width="2"'
        if shape == "circle":
            self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{size}" {style}/>')
            return
        points = " ".join(f"{x + size * a:g},{y + size * b:g}" for a, b in corners[shape])
        self.parts.append(f'<polygon points="{points}" {style}/>')

    def svg(self) -> str:
        """The whole picture as a text."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" font-family="{SANS}">\n'
            f"<title>{escape(self.title)}</title>\n"
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="14" '
            f'markerHeight="14" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>\n'
        )
        ground = f'<rect width="{self.width}" height="{self.height}" rx="10" fill="{PAPER}"/>'
        return head + "\n".join([ground, *self.parts]) + "\n</svg>\n"


@dataclass
class _Within:
    """Puts an SVG link around the parts that are added inside of the with statement."""

    parts: list[str]
    address: str
    words: str

    def __enter__(self):
        self.parts.append(f'<a href="{escape(self.address)}" aria-label="{escape(self.words)}">')

    def __exit__(self, *_):
        self.parts.append("</a>")


# The map: how the history is kept (row), with or without a source (column); a cell names the
# model and the sections that build it.
MODELS = [
    ("counts", "n−1 words", ("n-gram, Kneser–Ney", "2.1"), None),
    ("window", "n−1 vectors", ("feed-forward NNLM", "4.1.1"), None),
    (
        "recurrence", "one vector",
        ("RNN, LSTM", "4.1.2, 5.1"), ("LSTM → LSTM", "5.2"),
    ),
    (
        "convolution", "the last k vectors",
        None, ("CNN → CNN", "3.2, 6.1"),
    ),
    (
        "attention", "all source vectors",
        None, ("RNN + attention", "4.2, 6.1"),
    ),
    (
        "self-attention", "all vectors",
        ("decoder-only (GPT)", "6.2, 7.3"), ("Transformer", "7.3"),
    ),
]  # fmt: skip
ROW, TOP, COLUMNS = 74, 104, ((160, BLUE), (398, GREEN))


def models() -> Picture:
    """Six ways to keep the history, two kinds of model, one contract."""
    height = TOP + len(MODELS) * ROW + 140
    p = Picture(640, height, "Map of the models")
    p.text(20, 36, "history", 17, "start", bold=True)
    p.text(20, 60, "kept as", 17, "start", bold=True)
    for (x, colour), name, form in zip(
        COLUMNS, ("language model", "encoder–decoder"),
        ("p(w | history)", "p(w | history, source)"), strict=True,
    ):  # fmt: skip
        p.text(x + 111, 36, name, 20, fill=colour, bold=True)
        p.text(x + 111, 64, form, 16, mono=True)
    for i, (kind, memory, *cells) in enumerate(MODELS):
        _row(p, TOP + i * ROW, kind, memory, cells)
    _contract_band(p, TOP + len(MODELS) * ROW + 14)
    return p


def _row(p: Picture, y: int, kind: str, memory: str, cells: list) -> None:
    p.line(f"M20 {y - 6}H620", "#D9D9D9", 1)
    p.text(20, y + 20, kind, 18, "start", bold=True)
    p.text(20, y + 43, memory, 16, "start", SOFT)
    for (x, colour), cell in zip(COLUMNS, cells, strict=True):
        if cell is None:
            continue
        name, section = cell
        sections = section.split(", ")
        with p.link(sections[0], name):
            p.box(x, y + 2, 222, 58, colour, TINT[colour])
            p.text(x + 111, y + 20, name, 19, bold=True)
        for i, number in enumerate(sections):
            with p.link(number, name):
                p.text(x + 111 + 56 * (i - (len(sections) - 1) / 2), y + 44, number, 17, fill=SOFT)


def _contract_band(p: Picture, y: int) -> None:
    """The contract below both columns, and what needs nothing else."""
    for x, _ in COLUMNS:
        p.line(f"M{x + 111} {y - 14}V{y + 4}", INK, 2, arrow=True)
    p.box(20, y + 6, 600, 46, INK, "#F4F4F4")
    p.text(320, y + 29, "model(ids, state) → (logits, state)", 19, mono=True)
    for x, name in ((20, "training"), (225, "decoding"), (430, "metrics")):
        p.line(f"M{x + 95} {y + 52}V{y + 72}", INK, 2, arrow=True)
        p.box(x, y + 74, 190, 40, ORANGE, TINT[ORANGE])
        p.text(x + 95, y + 94, name, 19)


# The timeline: (year, lane, what, who). Each event is cited in book/01-background.
LANES = {
    "counting": (BLUE, "circle"), "neural": (ORANGE, "square"),
    "translation": (GREEN, "triangle"), "scale": (PURPLE, "diamond"),
}  # fmt: skip
EVENTS = [
    ("1913", "counting", "chains of letters", "Markov"),
    ("1948", "counting", "entropy; text from n-grams", "Shannon"),
    ("1951", "counting", "guessing the next letter", "Shannon"),
    ("1977", "counting", "perplexity", "Jelinek and others"),
    ("1987", "counting", "back-off", "Katz"),
    ("1990", "neural", "the simple recurrent network", "Elman"),
    ("1993", "translation", "translation from counts", "Brown and others"),
    ("1995", "counting", "Kneser–Ney smoothing", "Kneser and Ney"),
    ("1997", "neural", "LSTM", "Hochreiter and Schmidhuber"),
    ("2003", "neural", "neural language model", "Bengio and others"),
    ("2010", "neural", "recurrent language model", "Mikolov and others"),
    ("2013", "translation", "neural translation", "Kalchbrenner and Blunsom"),
    ("2014", "translation", "encoder–decoder", "Cho; Sutskever, and others"),
    ("2015", "translation", "attention", "Bahdanau and others"),
    ("2017", "translation", "Transformer", "Vaswani and others"),
    ("2018", "scale", "generative pre-training", "Radford and others"),
    ("2020", "scale", "scaling laws; GPT-3", "Kaplan; Brown, and others"),
    ("2022", "scale", "compute-optimal training", "Hoffmann and others"),
]
STEP, START = 44, 96


def timeline() -> Picture:
    """Four lanes from 1913 to 2022, one row an event (rows are not to scale)."""
    p = Picture(520, START + len(EVENTS) * STEP, "Timeline of language models")
    x_of = {lane: 88 + 30 * i for i, lane in enumerate(LANES)}
    for i, (lane, (colour, shape)) in enumerate(LANES.items()):
        p.mark(30 + 122 * i, 32, colour, shape)
        p.text(46 + 122 * i, 32, lane, 16, "start")
    p.line("M20 60H500", "#D9D9D9", 1)
    rows = {lane: [i for i, e in enumerate(EVENTS) if e[1] == lane] for lane in LANES}
    y_of = [START + i * STEP for i in range(len(EVENTS))]
    for lane, own in rows.items():
        p.line(f"M{x_of[lane]} {y_of[own[0]]}V{y_of[own[-1]]}", LANES[lane][0], 4)
    for (old, i), (new, j) in _branches():
        a, b = (x_of[old], y_of[i]), (x_of[new], y_of[j])
        middle = (a[1] + b[1]) / 2
        colour = LANES[new][0]
        p.line(f"M{a[0]} {a[1]}C{a[0]} {middle:g} {b[0]} {middle:g} {b[0]} {b[1]}", colour, 2)
    for (year, lane, what, who), y in zip(EVENTS, y_of, strict=True):
        p.text(20, y, year, 17, "start", SOFT)
        p.mark(x_of[lane], y, *LANES[lane])
        p.text(208, y - 8, what, 18, "start", bold=True)
        p.text(208, y + 12, who, 16, "start", SOFT)
    return p


def _branches() -> list:
    """Where one lane fed another: (lane, event) → (lane, event), by the events' names."""
    place = {what: (lane, i) for i, (_, lane, what, _) in enumerate(EVENTS)}
    pairs = [
        ("entropy; text from n-grams", "translation from counts"),
        ("Kneser–Ney smoothing", "neural language model"),
        ("recurrent language model", "neural translation"),
        ("Transformer", "generative pre-training"),
    ]
    return [(place[a], place[b]) for a, b in pairs]


WORDS = ["BOS", "a", "dog", "runs", "EOS"]


def contract() -> Picture:
    """One call with T tokens, and T calls with one token: the same distributions."""
    p = Picture(640, 568, "One call with T tokens, or T calls with one token")
    xs = [104 + 144 * i for i in range(4)]
    p.text(20, 28, "training: one call", 18, "start", BLUE, bold=True)
    p.text(620, 28, "ids (1, 4)", 16, "end", mono=True)
    p.box(20, 134, 600, 46, BLUE, TINT[BLUE])
    p.text(320, 157, "model", 19, mono=True)
    p.text(20, 290, "decoding: four calls", 18, "start", GREEN, bold=True)
    p.text(620, 290, "ids (1, 1), state", 16, "end", mono=True)
    for i, x in enumerate(xs):
        p.box(x - 54, 396, 108, 46, GREEN, TINT[GREEN])
        p.text(x, 419, "model", 17, mono=True)
        _column(p, x, i, 157 - 23, 157 + 23)
        _column(p, x, i, 419 - 23, 419 + 23)
        if i < 3:
            p.line(f"M{x + 54} 419H{x + 90}", RED, 3, arrow=True)
            p.text(x + 72, 402, "state", 13, fill=RED)
    p.text(320, 537, "the same four distributions", 17, fill=SOFT)
    return p


def _column(p: Picture, x: int, i: int, top: int, bottom: int) -> None:
    """Input token below the model, the token that its distribution is for above."""
    p.text(x, bottom + 42, WORDS[i], 18, bold=True)
    p.line(f"M{x} {bottom + 28}V{bottom + 2}", INK, 2, arrow=True)
    p.line(f"M{x} {top}V{top - 24}", INK, 2, arrow=True)
    p.text(x, top - 40, f"p({WORDS[i + 1]} | …)", 17)


def logo() -> Picture:
    """A next-token distribution, one outcome drawn."""
    p = Picture(200, 200, "A next-token distribution")
    for i, (height, colour) in enumerate(
        zip((44, 82, 132, 60, 30), (BLUE, BLUE, ORANGE, BLUE, BLUE), strict=True)
    ):
        p.box(25 + 31 * i, 165 - height, 25, height, colour, colour, radius=3)
    p.line("M18 174H182", INK, 5)
    return p


def main(folder: Path = FOLDER) -> None:
    """Write the four pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in {
        "map": models(), "timeline": timeline(), "contract": contract(), "logo": logo(),
    }.items():  # fmt: skip
        (folder / f"{name}.svg").write_text(picture.svg(), encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(a) for a in sys.argv[1:2]))
