"""Colours of the diagrams: one for each meaning, in a light and in a dark version.

A shape names its colours, such as ``"attention-tint"``. The file of a diagram holds their light
versions; on the site `stylesheet` replaces them by variables that follow the theme. The hues are
those of Okabe and Ito; outlines have a contrast of at least 3 to the ground, text of at least 4.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

Meaning: TypeAlias = Literal[
    "plain", "embedding", "state", "attention", "layer", "output", "loss", "absent"
]
"""What a box stands for.

``plain``
    A step without a meaning of its own, such as a norm.
``embedding``
    Vectors of tokens: orange.
``state``
    What is carried from step to step, or from the encoder to the decoder: blue.
``attention``
    Scores, weights and what they select: purple.
``layer``
    A map with weights that looks at each position alone or at its neighbours (linear,
    feed-forward, convolution): green.
``output``
    Logits and distributions: black.
``loss``
    Losses, labels and gradients: vermilion.
``absent``
    Padding and what does not exist yet: an empty, broken outline.
"""


class Colour(NamedTuple):
    """A colour.

    Parameters
    ----------
    light, dark
        Its versions on light and on dark ground, such as "#0072B2".
    """

    light: str
    dark: str


COLOURS = {
    "ground": Colour("#FFFFFF", "#121212"),
    "pane": Colour("#F1F3F5", "#20252B"),
    "ink": Colour("#222222", "#E6E6E6"),
    "soft": Colour("#5A5A5A", "#B8BEC6"),
    "line": Colour("#454545", "#B8BEC6"),
    "faint": Colour("#C4C9CE", "#4A515A"),
    "faded-line": Colour("#C9CDD2", "#444B53"),
    "faded-text": Colour("#6C6C6C", "#8C9199"),
    "plain": Colour("#6B6F73", "#8C9199"),
    "plain-tint": Colour("#FFFFFF", "#121212"),
    "plain-text": Colour("#222222", "#E6E6E6"),
    "embedding": Colour("#C17F00", "#E69F00"),
    "embedding-tint": Colour("#FCEBC8", "#3A2C0C"),
    "embedding-text": Colour("#7A5200", "#FFC04D"),
    "state": Colour("#0072B2", "#56B4E9"),
    "state-tint": Colour("#DCECF7", "#0D2F44"),
    "state-text": Colour("#00629B", "#6CC0F0"),
    "attention": Colour("#B85C90", "#E39CC4"),
    "attention-tint": Colour("#F8E4EF", "#401F33"),
    "attention-text": Colour("#8C3A68", "#F0A8CF"),
    "layer": Colour("#008A64", "#3CCBA0"),
    "layer-tint": Colour("#D9F1E9", "#0B3328"),
    "layer-text": Colour("#00704F", "#4FD6AE"),
    "output": Colour("#3C3C3C", "#D0D4D9"),
    "output-tint": Colour("#E4E6E8", "#33383E"),
    "output-text": Colour("#222222", "#E6E6E6"),
    "loss": Colour("#D55E00", "#FF8A4C"),
    "loss-tint": Colour("#FBE3D4", "#44200B"),
    "loss-text": Colour("#A33F00", "#FF9A66"),
    "absent": Colour("#767676", "#8C9199"),
    "absent-tint": Colour("#FFFFFF", "#121212"),
    "absent-text": Colour("#5A5A5A", "#B8BEC6"),
}


def paint(*, fill: str = "none", stroke: str = "none") -> str:
    """Return the attributes of an SVG element for its colours.

    Parameters
    ----------
    fill, stroke
        Names of colours, or "none".

    Returns
    -------
    attributes : str
        Without those of "none".
    """
    names = (("fill", fill), ("stroke", stroke))
    return " ".join(f'{key}="{COLOURS[name].light}"' for key, name in names if name != "none")


def fade(name: str, *, of: Literal["fill", "stroke", "text"]) -> str:
    """Return the colour that takes the place of another one in a part that is not emphasized.

    Parameters
    ----------
    name
        The name of a colour, or "none".
    of
        What is painted. Text keeps a contrast of 4.5: it stays legible.

    Returns
    -------
    faded : str
        The name of a colour, or "none".
    """
    if name in ("none", "ground") or (of == "fill" and name.endswith("-tint")):
        return "none" if name == "none" else "ground"
    if of == "fill" and name == "pane":
        return "pane"
    return "faded-text" if of == "text" else "faded-line"


def stylesheet() -> str:
    """Return the style sheet that gives diagrams in a page the colours of its theme."""
    light = " ".join(f"--diagram-{name}: {colour.light};" for name, colour in COLOURS.items())
    dark = " ".join(f"--diagram-{name}: {colour.dark};" for name, colour in COLOURS.items())
    lines = [
        "/* Written by `python -m tools.diagrams`: the size and the colours of the diagrams. */",
        (
            "svg.diagram { display: block; width: 100%; max-width: 32rem; height: auto; "
            "margin: 0.5rem auto; }"
        ),
        "figure:has(> svg.diagram) { width: 100%; margin-inline: 0; padding-inline: 0; }",
        f"svg.diagram {{ {light} }}",
        f'html[data-theme="dark"] svg.diagram {{ {dark} }}',
        f'@media print {{ html[data-theme="dark"] svg.diagram {{ {light} }} }}',
        *_rules(),
    ]
    return "\n".join(lines) + "\n"


def _rules() -> Iterator[str]:
    """Yield a rule for each use of each colour: a file knows colours by their light version."""
    first_names = {colour.light: name for name, colour in reversed(COLOURS.items())}
    for light, name in sorted(first_names.items(), key=lambda item: item[1]):
        for attribute in ("fill", "stroke"):
            rule = f"{{ {attribute}: var(--diagram-{name}); }}"
            yield f'svg.diagram [{attribute}="{light}"] {rule}'
