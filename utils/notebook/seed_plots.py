"""Curves over seeds: means with bands, and baselines as labelled lines.

`seed_curves` draws them. Each name has one colour and marker in all figures of the book: those of
LOOKS, or of `set_look`, or else the first that no other name has. Names are drawn literally, even
with dollars or Chinese characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from utils.arguments import check_bool, check_choice
from utils.notebook.plotting import COLOURS, LINE_STYLES, MARKERS, MARKERS_PER_CURVE, legend_label
from utils.notebook.relative_error import Array

SeedCurve: TypeAlias = tuple[Sequence[Any], Any]
"""The x values (N,) of a curve, and for each seed as many y values: a mapping, or (seeds, N)."""

BANDS = ("range", "deviation", "interval")
BAND_OPACITY = 0.2


class Look(NamedTuple):
    """How a name looks in all figures.

    Parameters
    ----------
    colour
        A name of `COLOURS`.
    marker
        One of `MARKERS`, which also decides the line style.
    """

    colour: str
    marker: str

    def options(self) -> dict[str, Any]:
        """Return the look as arguments of matplotlib's ``plot``."""
        line_style = LINE_STYLES[MARKERS.index(self.marker)]
        return {"color": COLOURS[self.colour], "marker": self.marker, "linestyle": line_style}


LOOKS = {  # of the names that occur in several sections
    "LSTM": Look("blue", "o"),
    "RNN": Look("orange", "s"),
    "CNN": Look("green", "^"),
    "GPT": Look("red", "D"),
    "Transformer": Look("purple", "v"),
    "GRU": Look("sky", "P"),
    "n-gram": Look("black", "X"),
    "NNLM": Look("black", "o"),
    "attention": Look("red", "s"),
    "unigram": Look("black", "^"),
    "uniform": Look("black", "D"),
    "majority class": Look("black", "s"),
}

_own_looks: dict[str, Look] = {}  # of other names, while this process runs


def look_of(name: str, *, avoid: Iterable[Look] = ()) -> Look:
    """Return the look of a name, the same at every call.

    Parameters
    ----------
    name
        The name of a curve or a baseline.
    avoid
        Looks of the same figure, whose colours a new name does not get if another one is free.

    Returns
    -------
    look : Look
        The colour and the marker.
    """
    if look := _own_looks.get(name) or LOOKS.get(name):
        return look
    taken, near = {*LOOKS.values(), *_own_looks.values()}, list(avoid)
    all_looks = [
        Look(colour, MARKERS[(i + shift) % len(MARKERS)])
        for shift in range(len(MARKERS))
        for i, colour in enumerate(COLOURS)
    ]
    free = [look for look in all_looks if look not in taken] or all_looks

    def likeness(look: Look) -> tuple[bool, bool]:
        return look.colour in {n.colour for n in near}, look.marker in {n.marker for n in near}

    _own_looks[name] = min(free, key=likeness)
    return _own_looks[name]


def set_look(name: str, *, colour: str, marker: str) -> None:
    """Give a name another look in all later figures.

    Parameters
    ----------
    name
        The name of a curve or a baseline.
    colour
        A name of `COLOURS`.
    marker
        One of `MARKERS`.

    Raises
    ------
    ValueError
        If there is no such colour or marker.
    """
    check_choice(COLOURS, colour=colour)
    check_choice(MARKERS, marker=marker)
    _own_looks[name] = Look(colour, marker)


def seed_curves(
    lines: Mapping[str, SeedCurve],
    xlabel: str,
    ylabel: str,
    *,
    baselines: Mapping[str, float] | None = None,
    band: str = "range",
    ax: Axes | None = None,
    logx: bool = False,
    logy: bool = False,
) -> Axes:
    """Draw the mean of each curve over its seeds with a band, and baselines as lines.

    Parameters
    ----------
    lines
        The curves by their names in the legend: x values (N,) and y values of each seed, as a
        mapping from seeds to N values or an array (number of seeds, N).
    xlabel, ylabel
        Labels of the axes, with units, which may contain formulas.
    baselines
        A value for each name, drawn as a dotted line across the figure.
    band
        "range" from the lowest to the highest seed, "deviation": one standard deviation, or
        "interval": the 95 % interval of the mean by Student's t. One seed has no band.
    ax
        Axes to draw into; by default those of a new figure.
    logx, logy
        Make the axis logarithmic.

    Returns
    -------
    ax : Axes
        The axes drawn into, with a legend.

    Raises
    ------
    ValueError
        If a curve has no seeds, its seeds have not one finite value for each x, a baseline is not
        finite, a name is both a curve and a baseline, there is no such band, or `logx` or `logy` is
        neither True nor False.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from utils.notebook.seed_plots import seed_curves
    >>> losses = {"LSTM": ([100, 200], {0: [2.1, 1.6], 1: [2.2, 1.5]})}
    >>> ax = seed_curves(losses, "step", "loss (nats per token)", baselines={"unigram": 2.8})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['LSTM', 'unigram']
    >>> plt.close(ax.figure)
    """
    check_choice(BANDS, band=band)
    check_bool(logx=logx, logy=logy)
    baselines = baselines or {}
    checked = {name: _checked(name, x, values) for name, (x, values) in lines.items()}
    _check_baselines(baselines, lines)
    ax = plt.subplots()[1] if ax is None else ax
    looks: list[Look] = []
    for name, (x, values) in checked.items():
        looks.append(look_of(name, avoid=looks))
        options = looks[-1].options()
        step = max(1, len(x) // MARKERS_PER_CURVE)
        ax.plot(x, values.mean(0), label=legend_label(name), markevery=step, **options)
        if len(values) > 1:
            low, high = _band(values, band)
            ax.fill_between(x, low, high, color=options["color"], alpha=BAND_OPACITY, linewidth=0)
    for name, value in baselines.items():
        looks.append(look_of(name, avoid=looks))
        ax.axhline(
            value, label=legend_label(name), color=looks[-1].options()["color"], linestyle=":"
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_xscale("log" if logx else "linear")
    ax.set_yscale("log" if logy else "linear")
    if looks:
        ax.legend()
    return ax


def _checked(name: str, x: Sequence[Any], values: Any) -> tuple[Array, Array]:
    """Return the x values (N,) of a curve and its y values (seeds, N) as arrays."""
    by_seed = list(values.values()) if isinstance(values, Mapping) else list(values)
    if not by_seed:
        raise ValueError(f"{name!r} has no seeds; give the values of one at least")
    x_array = np.asarray(x, dtype=np.float64)
    for seed_values in by_seed:
        if np.shape(seed_values) != x_array.shape or x_array.ndim != 1:
            raise ValueError(
                f"{name!r} has x values of shape {x_array.shape} and a seed with values of shape "
                f"{np.shape(seed_values)}; give each seed one value for each x"
            )
    array = np.asarray(by_seed, dtype=np.float64)
    if not np.isfinite(array).all() or not np.isfinite(x_array).all():
        raise ValueError(f"{name!r} has values that are not finite")
    return x_array, array


def _check_baselines(baselines: Mapping[str, float], lines: Mapping[str, SeedCurve]) -> None:
    """Raise ValueError if a baseline is not finite, or a curve has its name."""
    for name, value in baselines.items():
        if not np.isfinite(value):
            raise ValueError(f"the baseline {name!r} is {value}; expected a finite number")
        if name in lines:
            raise ValueError(f"{name!r} is a curve and a baseline; give them two names")


def _band(values: Array, band: str) -> tuple[Array, Array]:
    """Return the lower and the upper edge of a band of values (seeds, N)."""
    if band == "range":
        return values.min(0), values.max(0)
    half = values.std(0, ddof=1)  # (N,)
    if band == "interval":
        half = half * stats.t.ppf(0.975, len(values) - 1) / np.sqrt(len(values))
    return values.mean(0) - half, values.mean(0) + half
