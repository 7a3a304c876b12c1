"""Evidence in the outputs of a notebook: a line for the reader, and a record for the book's pages.

`utils.notebook.check` shows each equation and each claim that holds by `show_evidence`. The site
reads the records from the metadata of the outputs, under the two keys of this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from utils.console import safe_print

EQUATION_KEY = "llm_book_equation"  # of an output's metadata, for the record of an equation
CLAIM_KEY = "llm_book_claim"  # of an output's metadata, for the record of a claim

_cells_of_labels: dict[str, CellRun] = {}  # the last run of the cell that used a claim's label


class CellRun(NamedTuple):
    """One run of a notebook's cell.

    Parameters
    ----------
    cell
        What identifies the cell: the front end's name of it, or else its content.
    run
        What identifies the run: another one for each time that the cell runs.
    """

    cell: str
    run: str


def show_evidence(text: str, key: str, record: Mapping[str, Any]) -> None:
    """Show a text as the output of the cell with a record in its metadata; elsewhere, print it.

    Parameters
    ----------
    text
        What the reader sees.
    key
        EQUATION_KEY or CLAIM_KEY.
    record
        What is stored: numbers, strings, lists and dicts that JSON can hold.
    """
    if current_cell() is None:
        safe_print(text)
        return
    from IPython.display import display

    display({"text/plain": text}, raw=True, metadata={key: dict(record)})


def current_cell() -> CellRun | None:
    """Return the run of the notebook's cell that calls this; None outside a notebook's kernel."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "get_parent"):  # no Jupyter kernel
        return None
    message = shell.get_parent()
    name = message.get("metadata", {}).get("cellId")  # nbclient and old front ends give none
    if name is None:
        content = message.get("content", {}).get("code", "")
        name = hashlib.sha256(content.encode()).hexdigest()
    return CellRun(name, message.get("header", {}).get("msg_id", ""))


def reserve_label(label: str) -> None:
    """Reserve a label for a claim of this cell, which may run again.

    Raises
    ------
    ValueError
        If another cell of the notebook, or an earlier claim of this cell, has the label.
    """
    here = current_cell()
    if here is None:
        return
    earlier = _cells_of_labels.get(label)
    if earlier is not None and earlier.run == here.run:
        raise ValueError(f"{label}: this cell uses the label twice; give each claim its own")
    if earlier is not None and earlier.cell != here.cell:
        raise ValueError(
            f"{label}: another cell of this notebook has this label; give each claim its own, or "
            "restart the kernel if you have edited the cell"
        )
    _cells_of_labels[label] = here
