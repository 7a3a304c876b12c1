"""One look for all figures: colours that colour-blind readers can tell apart, light paper.

Okabe and Ito's palette with a line style and a marker of its own for each curve; cividis for heat
maps; an opaque light background, so that a figure reads the same on a dark page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython import get_ipython
from matplotlib_inline.backend_inline import set_matplotlib_formats

COLOURS = {
    "blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "red": "#D55E00",
    "purple": "#CC79A7", "sky": "#56B4E9", "black": "#000000",
}  # fmt: skip
PAPER, INK, GRID = "#FFFFFF", "#222222", "#D9D9D9"
LINES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


def style() -> None:
    """Set the book's style for all figures that follow; in a notebook, twice as many dots."""
    if get_ipython() is not None:
        set_matplotlib_formats("retina")
    cycle = cycler(color=list(COLOURS.values())) + cycler(linestyle=LINES) + cycler(marker=MARKERS)
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.8), "figure.dpi": 110, "savefig.dpi": 160,
            "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER,
            "figure.constrained_layout.use": True, "axes.prop_cycle": cycle, "axes.grid": True,
            "grid.color": GRID, "axes.axisbelow": True, "axes.spines.top": False,
            "axes.spines.right": False, "axes.edgecolor": INK, "axes.labelcolor": INK,
            "text.color": INK, "xtick.color": INK, "ytick.color": INK, "font.size": 11,
            "lines.linewidth": 1.8, "lines.markersize": 5, "image.cmap": "cividis",
            "legend.frameon": False,
        }
    )  # fmt: skip


def curves(
    lines: Mapping[str, tuple[Sequence, Sequence]],
    xlabel: str,
    ylabel: str,
    ax: plt.Axes | None = None,
    logx: bool = False,
    logy: bool = False,
) -> plt.Axes:
    """Draw named curves (x, y) with a legend; long curves get a marker only now and then."""
    ax = plt.subplots()[1] if ax is None else ax
    for name, (x, y) in lines.items():
        ax.plot(x, y, label=name, markevery=max(1, len(x) // 10))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_xscale("log" if logx else "linear")
    ax.set_yscale("log" if logy else "linear")
    if len(lines) > 1:
        ax.legend()
    return ax


def smooth(values: Sequence[float], window: int = 25) -> np.ndarray:
    """The mean of each of `values` and up to `window` − 1 before it; same length.

    Raises ValueError for a window below 1.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    total = np.cumsum(np.concatenate([[0.0], np.asarray(values, dtype=float)]))
    end = np.arange(1, len(total))
    start = np.maximum(0, end - window)
    return (total[end] - total[start]) / (end - start)


def heatmap(
    weights: np.ndarray,
    columns: Sequence[str],
    rows: Sequence[str],
    xlabel: str,
    ylabel: str,
    ax: plt.Axes | None = None,
    label: str = "",
) -> plt.Axes:
    """Draw a matrix (rows, columns) with named rows and columns and a colour bar."""
    weights = np.asarray(weights)
    assert weights.shape == (len(rows), len(columns)), f"{weights.shape}: one name a row, a column"
    ax = plt.subplots()[1] if ax is None else ax
    image = ax.imshow(weights, aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax
