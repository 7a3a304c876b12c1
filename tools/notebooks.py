"""Care of the committed notebooks.

python -m tools.notebooks keep FROM TO      take freshly executed notebooks into the book
python -m tools.notebooks setup             write tools/setup_cell.py into every notebook
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import nbformat
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from utils.console import make_output_safe

ROOT = Path(__file__).resolve().parents[1]
STAMP = "executed_code_sha256"  # the key of a notebook's metadata for the hash of its code
WIDGET = "application/vnd.jupyter.widget-view+json"  # an output that needs a running kernel


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """Return a hash of the code of a notebook; the address of the repository does not matter."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    code = [
        re.sub(r'^REPOSITORY = ".*"$', "REPOSITORY", text, flags=re.MULTILINE) for text in cells
    ]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def execution_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Return why the outputs are not those of one run from top to bottom; empty if they are."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    messages = [
        f"raised {output.ename}"
        for cell in cells
        for output in cell.outputs
        if output.output_type == "error"
    ]
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        messages.append("was not executed once from top to bottom")
    return messages


def keep_executed(executed: Path, committed: Path) -> None:
    """Clean and stamp freshly executed notebooks, and write them over the committed ones.

    Parameters
    ----------
    executed
        The folder of the executed notebooks.
    committed
        The folder to write them to.

    Raises
    ------
    SystemExit
        If there is none; at the first notebook that has `execution_problems`, or that was edited
        while it ran: it and those after it are not written.
    """
    paths = sorted(executed.glob("*.ipynb"))
    if not paths:
        sys.exit(f"no notebooks in {executed}: nothing is kept")
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        messages = execution_problems(notebook)
        if messages:
            sys.exit(f"{path.name} {', '.join(messages)}: nothing of it is kept")
        if (committed / path.name).exists():
            present = nbformat.read(committed / path.name, as_version=4)
            if [c.source for c in present.cells] != [c.source for c in notebook.cells]:
                sys.exit(f"{path.name} was edited while it ran: run it again, nothing is kept")
        nbformat.write(clean_notebook(notebook), committed / path.name)
        print(f"kept {path.name}")


def clean_notebook(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with its stamp, without what differs between two equal runs."""
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(notebook, {})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if WIDGET not in output.get("data", {})
            ]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        STAMP: code_hash(notebook),
    }
    return notebook


def setup_code() -> str:
    """Return the code of the setup cell, which ``tools/setup_cell.py`` has below its docstring."""
    text = (ROOT / "tools" / "setup_cell.py").read_text(encoding="utf-8")
    return text.split('"""\n', 1)[1].strip()


def write_setup_cells(folder: Path) -> None:
    """Make `setup_code` the first code cell of every notebook.

    The outputs stay: the cell only finds the library. A stamp that was right is renewed.

    Parameters
    ----------
    folder
        The folder of the notebooks.
    """
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
        if cell.source == setup_code():
            continue
        has_own_outputs = notebook.metadata.get(STAMP) == code_hash(notebook)
        cell.source = setup_code()
        if has_own_outputs:
            notebook.metadata[STAMP] = code_hash(notebook)
        nbformat.write(notebook, path)
        print(f"changed {path.name}")


if __name__ == "__main__":
    make_output_safe()
    match sys.argv[1:]:
        case ["keep", executed, committed]:
            keep_executed(Path(executed), Path(committed))
        case ["setup"]:
            write_setup_cells(ROOT / "notebooks")
        case _:
            sys.exit(__doc__)
