"""Care of the committed notebooks.

python -m tools.notebooks keep FROM TO      take freshly executed notebooks into the book
python -m tools.notebooks address URL       move the book to another repository
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import nbformat
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

ROOT = Path(__file__).resolve().parents[1]
STAMP = "executed_code_sha256"  # the key of a notebook's metadata for the hash of its code
WIDGET = "application/vnd.jupyter.widget-view+json"  # an output that needs a running kernel
FILES_WITH_ADDRESS = (
    "_config.yml",
    "*.md",
    "*.cff",
    "*.toml",
    "book/*.md",
    "notebooks/*.ipynb",
    "tools/setup_cell.py",
)


def repository_address() -> str:
    """Return the address of the repository, which ``_config.yml`` holds."""
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    match = re.search(r"^repository:\n  url: (\S+)$", config, re.MULTILINE)
    assert match, "_config.yml has no repository.url"
    return match[1]


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
        At the first notebook that has `execution_problems`; it and those after it are not written.
    """
    for path in sorted(executed.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        messages = execution_problems(notebook)
        if messages:
            sys.exit(f"{path.name} {', '.join(messages)}: nothing of it is kept")
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


def move_repository(url: str) -> None:
    """Replace the address of the repository by `url`, in every file that contains it.

    Raises
    ------
    SystemExit
        If `url` is not the address of a repository on GitHub.
    """
    url = url.strip().removesuffix("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        sys.exit(f"{url!r} is not an address; expected https://github.com/OWNER/REPOSITORY")
    old, new = (text.removeprefix("https://github.com/") for text in (repository_address(), url))
    for pattern in FILES_WITH_ADDRESS:
        for path in sorted(ROOT.glob(pattern)):
            text = path.read_text(encoding="utf-8")
            if old in text:
                path.write_text(text.replace(old, new), encoding="utf-8")
                print(f"{path.relative_to(ROOT)}: {text.count(old)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", executed, committed]:
            keep_executed(Path(executed), Path(committed))
        case ["address", url]:
            move_repository(url)
        case _:
            sys.exit(__doc__)
