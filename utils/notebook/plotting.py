"""The common style of the book's figures, line plots and heat maps.

Used in every notebook. The colours of curves are those of Okabe and Ito, which colour-blind readers
can tell apart. Each curve also has its own line style and marker, so that curves differ in print
without colour. Heat maps use cividis. Figures have an opaque light background, so that they can be
read on a dark page. Chinese is drawn in a Chinese font where one is installed. Names that come from
data, such as tokens, are drawn literally: `literal`.

Source: Okabe and Ito 2008, "Color Universal Design"; Nuñez et al. 2018 (cividis).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from cycler import cycler
from IPython import get_ipython
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib_inline.backend_inline import set_matplotlib_formats

from utils.arguments import check_bool, check_positive
from utils.notebook.fonts import CHINESE_FONTS, has_glyph

Curve: TypeAlias = tuple[Sequence[Any], Sequence[Any]]
"""The x values of a curve, and as many y values."""

COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
}
BACKGROUND_COLOUR = "#FFFFFF"
TEXT_COLOUR = "#222222"  # also that of the axes
GRID_COLOUR = "#D9D9D9"
LINE_STYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
MARKERS_PER_CURVE = 10  # approximate, however many points a curve has


def style() -> None:
    """Set the book's style for all later figures; in a notebook, also double their resolution."""
    if get_ipython() is not None:
        set_matplotlib_formats("retina")
    installed = set(font_manager.get_font_names())
    chinese = [name for name in CHINESE_FONTS if name in installed][:1]
    cycle = cycler(color=list(COLOURS.values()), linestyle=LINE_STYLES, marker=MARKERS)
    mpl.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": TEXT_COLOUR,
            "axes.facecolor": BACKGROUND_COLOUR,
            "axes.grid": True,
            "axes.labelcolor": TEXT_COLOUR,
            "axes.prop_cycle": cycle,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.facecolor": BACKGROUND_COLOUR,
            "figure.figsize": (6.4, 3.8),
            "font.family": ["sans-serif", *chinese],  # a glyph comes from the first that has it
            "font.size": 11,
            "grid.color": GRID_COLOUR,
            "image.cmap": "cividis",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "savefig.dpi": 160,
            "savefig.facecolor": BACKGROUND_COLOUR,
            "text.color": TEXT_COLOUR,
            "xtick.color": TEXT_COLOUR,
            "ytick.color": TEXT_COLOUR,
        }
    )


def literal(text: object) -> str:
    r"""Prepare a text that comes from data for a figure, so that it is drawn as it is.

    No ``$…$`` in it is a formula, and no character becomes an empty box: one that the fonts lack
    is written as Python writes it, such as ``\\u8bed``. `curves` and `heatmap` call it for their
    names.

    Parameters
    ----------
    text
        A token, or anything else with a string form.

    Returns
    -------
    label : str
        The text for a label, a title or an annotation.
    """
    characters = (
        character if character == "\n" or has_glyph(character) else ascii(character)[1:-1]
        for character in str(text)
    )
    return "".join(characters).replace("$", r"\$")


def legend_label(name: object) -> str:
    """Return a name for a legend, drawn as `literal` does, even if it begins with an underscore.

    matplotlib leaves such labels out of legends; behind a space they are shown.
    """
    label = literal(name)
    return f" {label}" if label.startswith("_") else label


def curves(
    lines: Mapping[str, Curve],
    xlabel: str,
    ylabel: str,
    *,
    ax: Axes | None = None,
    logx: bool = False,
    logy: bool = False,
) -> Axes:
    """Draw named curves into one plot.

    Parameters
    ----------
    lines
        The curves by their names in the legend, which are drawn as they are.
    xlabel, ylabel
        Labels of the axes, with units.
    ax
        Axes to draw into; by default those of a new figure.
    logx, logy
        Make the axis logarithmic.

    Returns
    -------
    ax : Axes
        The axes drawn into; they have a legend if there are several curves.

    Raises
    ------
    ValueError
        If a curve is not a pair of x and y of one length, or `logx` or `logy` is neither True nor
        False.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from utils.notebook import plotting
    >>> losses = {"train": ([1, 2, 3], [2.0, 1.5, 1.2]), "valid": ([1, 2, 3], [2.1, 1.7, 1.6])}
    >>> ax = plotting.curves(losses, "epoch", "loss (nats per token)")
    >>> [line.get_label() for line in ax.lines]
    ['train', 'valid']
    >>> plt.close(ax.figure)
    """
    check_bool(logx=logx, logy=logy)
    pairs = {name: _as_pair(name, curve) for name, curve in lines.items()}
    ax = _axes(ax)
    for name, (x, y) in pairs.items():
        ax.plot(x, y, label=legend_label(name), markevery=max(1, len(x) // MARKERS_PER_CURVE))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_xscale("log" if logx else "linear")
    ax.set_yscale("log" if logy else "linear")
    if len(lines) > 1:
        ax.legend()
    return ax


def _as_pair(name: object, curve: Curve) -> Curve:
    """Return the x and y values of a curve; raise ValueError if it is no pair of them."""
    try:
        x, y = curve
        has_one_length = len(x) == len(y)
    except (TypeError, ValueError):
        has_one_length = False
    if not has_one_length:
        raise ValueError(f"{name}: expected a pair of x and y of one length, got {curve!r:.60}")
    return x, y


def moving_average(values: npt.ArrayLike, window: int = 25) -> npt.NDArray[np.float64]:
    """Replace each value with the mean of itself and the values before it, to smooth a loss curve.

    Parameters
    ----------
    values
        N numbers.
    window
        Number of values that are averaged, the current one included; the first ``window - 1``
        results are averages of fewer.

    Returns
    -------
    averages : numpy.ndarray
        N numbers.

    Raises
    ------
    ValueError
        If `window` is not a positive integer, or the values are not N finite numbers.

    Examples
    --------
    >>> from utils.notebook.plotting import moving_average
    >>> moving_average([1, 3, 5, 7], window=2).tolist()
    [1.0, 2.0, 4.0, 6.0]
    """
    check_positive(window=window)
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"expected values of shape (N,), got {numbers.shape}")
    if not np.isfinite(numbers).all():
        first = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise ValueError(f"values[{first}] is {numbers[first]}: expected finite numbers")
    window = max(1, min(int(window), len(numbers)))
    # each window is summed by itself: differences of cumulative sums are rounded to the largest
    padded = np.concatenate([np.zeros(window), numbers])  # (window + N,)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[1:]  # (N, window)
    counts = np.minimum(np.arange(1, len(numbers) + 1), window)  # (N,)
    with np.errstate(over="ignore"):
        averages: npt.NDArray[np.float64] = windows.sum(-1) / counts  # (N,)
    overflows = ~np.isfinite(averages)  # there each number is divided before the sum
    averages[overflows] = (windows[overflows] / counts[overflows, None]).sum(-1)
    return averages


def heatmap(
    matrix: npt.ArrayLike,
    *,
    columns: Sequence[object],
    rows: Sequence[object],
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
    label: str = "",
) -> Axes:
    """Draw a matrix with named rows and columns and a colour bar.

    Parameters
    ----------
    matrix
        Numbers of shape (number of rows, number of columns).
    columns, rows
        A name for each column and each row, which is drawn as it is.
    xlabel, ylabel
        Labels of the axes: what the columns are and what the rows are.
    ax
        Axes to draw into; by default those of a new figure.
    label
        Label of the colour bar, with the unit.

    Returns
    -------
    ax : Axes
        The axes drawn into.

    Raises
    ------
    ValueError
        If there is not one name for each row and column.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from utils.notebook import plotting
    >>> weights = [[0.9, 0.1], [0.2, 0.8]]
    >>> names = {"columns": ["le", "chat"], "rows": ["the", "cat"]}
    >>> ax = plotting.heatmap(weights, **names, xlabel="source", ylabel="target")
    >>> ax.images[0].get_array().shape
    (2, 2)
    >>> plt.close(ax.figure)
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError(
            f"a matrix of shape {matrix.shape} needs one name for each row and column; "
            f"got {len(rows)} row names and {len(columns)} column names"
        )
    ax = _axes(ax)
    image = ax.imshow(matrix, aspect="auto")
    column_names, row_names = [literal(name) for name in columns], [literal(name) for name in rows]
    ax.set_xticks(
        range(len(column_names)), column_names, rotation=60, ha="right", rotation_mode="anchor"
    )
    ax.set_yticks(range(len(row_names)), row_names)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def _axes(ax: Axes | None) -> Axes:
    """Return the given axes, or those of a new figure."""
    return plt.subplots()[1] if ax is None else ax
