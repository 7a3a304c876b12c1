"""Masks: which query may attend to which key, as small grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.diagrams.boxes import Box
from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram

Mask = Callable[[int, int], bool]
"""Whether the query of a row may attend to the key of a column."""


def causal(query: int, key: int) -> bool:
    """Allow a query its own position and those before it.

    Parameters
    ----------
    query, key
        Their positions.

    Returns
    -------
    allowed : bool
        Whether the query may attend to the key.
    """
    return key <= query


def window(query: int, key: int) -> bool:
    """Allow a query its own position and the one before it.

    Parameters
    ----------
    query, key
        Their positions.

    Returns
    -------
    allowed : bool
        Whether the query may attend to the key.
    """
    return query - 2 < key <= query


def padding(_query: int, key: int, tokens: int = 3) -> bool:
    """Allow every query the keys that are tokens.

    Parameters
    ----------
    key
        The position of a key.
    tokens
        How many keys are tokens: the first ones.

    Returns
    -------
    allowed : bool
        Whether a query may attend to the key.
    """
    return key < tokens


def masks() -> Diagram:
    """Draw the four masks of the book over the words of the example."""
    d = Diagram(
        "masks",
        "Four attention masks",
        "Each grid has a row for every query and a column for every key; a filled cell means that "
        "the query may attend to the key. Causal mask: BOS, a, dog, runs may each attend to itself "
        "and to what comes before, a triangle. Window of two: to itself and to the one before, a "
        "band. Padding mask: every query may attend to a, dog, runs, but none to the padding at "
        "the end. Cross-attention: the target words attend to the source words ein, Hund, rennt, "
        "but not to the padding at the end of the source.",
        variants=each_part("causal", "window", "padding", "cross"),
    )
    target, padded = ("BOS", "a", "dog", "runs"), ("a", "dog", "runs", "PAD")
    source = ("ein", "Hund", "rennt", "PAD")
    with d.part("causal"):
        _named_mask(d, 121, 130, "causal", causal, target, target)
    with d.part("window"):
        _named_mask(d, 317, 130, "window of 2", window, target, target)
    with d.part("padding"):
        _named_mask(d, 121, 358, "padding", padding, padded, padded)
    with d.part("cross"):
        _named_mask(d, 317, 358, "cross, padding", padding, target, source)
    return d


def _named_mask(
    d: Diagram,
    x: float,
    y: float,
    name: str,
    mask: Mask,
    queries: Sequence[str],
    keys: Sequence[str],
) -> None:
    """Draw a mask with the words of its rows and columns."""
    cell = 37.0
    box = mask_grid(d, x, y, mask, rows=len(queries), columns=len(keys), cell=cell)
    left, label_y = box.left[0] - 7, box.bottom[1] + 14
    d.text(x, box.top[1] - 18, name, bold=True)
    d.note(left, box.top[1] - 12, "query", anchor="end")
    d.note(left, label_y, "key", anchor="end")
    for i, (query, key) in enumerate(zip(queries, keys, strict=True)):
        d.note(left, y + (i - 1.5) * cell, query, anchor="end", colour="ink")
        d.note(x + (i - 1.5) * cell, label_y, key, colour="ink")


def mask_icon(d: Diagram, x: float, y: float, mask: Mask, *, size: int = 4) -> Box:
    """Draw a mask in the size of a letter or two, beside the attention that it belongs to.

    Parameters
    ----------
    d
        The diagram.
    x, y
        The centre.
    mask
        Whether each query, a row, may attend to each key, a column.
    size
        The numbers of its rows and of its columns.

    Returns
    -------
    box : Box
        Its position.
    """
    return mask_grid(d, x, y, mask, rows=size, columns=size, cell=22 / size)


def mask_grid(
    d: Diagram, x: float, y: float, mask: Mask, *, rows: int, columns: int, cell: float
) -> Box:
    """Draw a mask with a row for each query and a column for each key.

    Parameters
    ----------
    d
        The diagram.
    x, y
        The centre.
    mask
        Whether each query, a row, may attend to each key, a column.
    rows, columns
        The numbers of queries and of keys.
    cell
        Width and height of a cell.

    Returns
    -------
    box : Box
        Its position.
    """

    def meaning(row: int, column: int) -> Meaning | None:
        return "attention" if mask(row, column) else None

    return d.grid(x, y, rows=rows, columns=columns, meaning=meaning, cell=cell, solid=True)
