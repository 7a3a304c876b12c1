"""Weights of attention as a table of squares, as the boxes show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape


def attention_table_lines(
    rows: Sequence[str], columns: Sequence[str], weights: Sequence[Sequence[float]], caption: str
) -> Iterator[str]:
    """Yield a table of weights.

    Parameters
    ----------
    rows, columns
        What attends, and what is attended to.
    weights
        The weights of each row, from 0 to 1; a row may end early.
    caption
        What the table shows.

    Yields
    ------
    line : str
        HTML.
    """
    yield '<div class="live-scroll" tabindex="0" role="group" aria-label="Weights of attention">'
    yield '<table class="live-heat">'
    yield f"<caption>{escape(caption)}</caption>"
    heads = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in columns)
    yield f'<tr><th scope="col"><span class="live-hidden">Piece</span></th>{heads}</tr>'
    for name, row in zip(rows, weights, strict=True):
        yield f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_weight_cell, row))}</tr>'
    yield from ("</table>", "</div>")


def _weight_cell(weight: float) -> str:
    """Return the cell of a weight: a square of its darkness, and the number for a reader."""
    square = f'<span class="live-weight live-weight-{int(10 * weight + 0.5)}"></span>'
    return f'<td><span class="live-hidden">{weight:.2f}</span>{square}</td>'
