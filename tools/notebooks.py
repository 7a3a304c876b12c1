"""Care of the committed notebooks.

python tools/notebooks.py keep FROM TO      take freshly executed notebooks into the book
python tools/notebooks.py address URL       move the book to another repository
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
STAMP = "executed_code_sha256"
WIDGET = "application/vnd.jupyter.widget-view+json"  # an output that is dead without a kernel


def address() -> str:
    """The repository's address, from the one place where it stands."""
    found = re.search(r"^repository:\n  url: (\S+)$", (ROOT / "_config.yml").read_text(), re.M)
    assert found, "_config.yml has no repository.url"
    return found[1]


def code_hash(notebook) -> str:
    """A hash of the notebook's code cells; moving the repository does not change it."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    code = [re.sub(r'^REPOSITORY = ".*"$', "REPOSITORY", text, flags=re.M) for text in cells]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def problems(notebook) -> list[str]:
    """Why a notebook's outputs are not those of one run from top to bottom, or an empty list."""
    code = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    found = [f"raised {o.ename}" for c in code for o in c.outputs if o.output_type == "error"]
    if [c.execution_count for c in code] != list(range(1, len(code) + 1)):
        found.append("was not executed once from top to bottom")
    return found


def keep(fresh: Path, kept: Path) -> None:
    """Stamp the executed notebooks of `fresh` and write them over those of `kept`."""
    for path in sorted(fresh.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        wrong = problems(notebook)
        if wrong:
            sys.exit(f"{path.name} {', '.join(wrong)}: nothing of it is kept")
        notebook, _ = CoalesceStreamsPreprocessor().preprocess(notebook, {})
        for cell in notebook.cells:  # what differs between two equal runs
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            STAMP: code_hash(notebook),
        }
        nbformat.write(notebook, kept / path.name)
        print(f"kept {path.name}")


def move(url: str) -> None:
    """Write `url` in place of the present address, everywhere it is derived from it."""
    url = url.strip().removesuffix("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        sys.exit(f"{url!r} is not an address; expected https://github.com/OWNER/REPOSITORY")
    old = address().removeprefix("https://github.com/")
    new = url.removeprefix("https://github.com/")
    for pattern in ["_config.yml", "*.md", "*.cff", "*.toml", "book/*.md", "notebooks/*.ipynb",
                    "tools/setup_cell.py"]:  # fmt: skip
        for path in sorted(ROOT.glob(pattern)):
            text = path.read_text(encoding="utf-8")
            if old in text:
                path.write_text(text.replace(old, new), encoding="utf-8")
                print(f"{path.relative_to(ROOT)}: {text.count(old)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", fresh, kept]:
            keep(Path(fresh), Path(kept))
        case ["address", url]:
            move(url)
        case _:
            sys.exit(__doc__)
