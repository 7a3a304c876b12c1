"""Facts about the pages of the book from their files: titles, lengths, results, equations.

They are read from the pages and the notebooks that ``contents`` lists (``benchmark_facts`` reads
what the benchmarks stored). The Sphinx extensions of this package show them on the site, so that
nothing there is typed by hand.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat

from tools.contents import ROOT, source_file
from tools.translation.catalogues import _
from utils.notebook.cell_output import EQUATION_KEY
from utils.notebook.evidence import equation_evidence
from utils.notebook.results import RESULTS_KEY

FORMULA = re.compile(
    r"^\$\$[ ]*\n((?:(?!\$\$).)*?)\n\$\$[ ]*\((eq-[\w-]+)\)", re.MULTILINE | re.DOTALL
)
CHECK = re.compile(r"""check\.equation\(\s*["'](eq-[\w-]+)["']""")
FOLDED = re.compile(
    r"^(`{3,}|:{3,})\{[\w-]+\}[^\n]*\n(?::[^\n]*\n)*?:class:[^\n]*\bdropdown\b.*?^\1",
    re.MULTILINE | re.DOTALL,
)
DISPLAYED_FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
INLINE_FORMULA = re.compile(r"\$[^$\n]+\$")
FOLDED_TAGS = {"hide-input", "hide-cell"}
WORDS_PER_MINUTE = 200  # reading prose
WORDS_PER_FORMULA = 10  # a displayed formula takes as long as so many words
CODE_LINES_PER_MINUTE = 20  # reading code


@dataclass(frozen=True)
class Page:
    """One page of the book.

    Parameters
    ----------
    name
        As in ``_toc.yml``: ``notebooks/02-1-language-models``.
    title
        The text of its first heading.
    words
        The number of words of prose that is not folded; a formula in the line counts as one word, a
        displayed one as ten.
    code_lines
        The number of lines of code that are neither blank nor folded.
    results
        What ``report_results`` stored in its outputs; None if nothing.
    """

    name: str
    title: str
    words: int
    code_lines: int
    results: dict[str, Any] | None

    @property
    def reading_minutes(self) -> float:
        """How long the page takes to read."""
        return self.words / WORDS_PER_MINUTE + self.code_lines / CODE_LINES_PER_MINUTE

    @property
    def running_seconds(self) -> float | None:
        """How long the notebook took when it was last run; None if that was not stored.

        Where other work shared the core, the processor's time says what a quiet one needs.
        """
        if self.results is None or "seconds" not in self.results["values"]:
            return None
        seconds: float = self.results["values"]["seconds"]
        processor_seconds: float = self.results.get("processor_seconds", seconds)
        return min(seconds, processor_seconds)


@dataclass(frozen=True)
class Equation:
    """A labelled formula.

    Parameters
    ----------
    label
        Its label, ``eq-…``.
    page
        The name of the page that derives it.
    formula
        The formula in LaTeX.
    check
        The evidence of its check: the two sides, how many numbers agree, and the largest error.
        None for a definition, which has no check.
    """

    label: str
    page: str
    formula: str
    check: str | None

    @property
    def name(self) -> str:
        """The label as words."""
        return self.label.removeprefix("eq-").replace("-", " ")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def read_cells(path: Path) -> list[nbformat.NotebookNode]:
    """Return the cells of a notebook; a Markdown page is one cell of prose."""
    if path.suffix == ".ipynb":
        cells: list[nbformat.NotebookNode] = nbformat.read(path, as_version=4).cells
        return cells
    return [nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))]


def read_text(path: Path, cell_type: str) -> str:
    """Return the text of all cells of a type.

    Parameters
    ----------
    path
        The file of a page.
    cell_type
        Either "markdown" or "code".

    Returns
    -------
    text : str
        The cells with an empty line between, as a paragraph ends with its cell.
    """
    return "\n\n".join(cell.source for cell in read_cells(path) if cell.cell_type == cell_type)


def read_outputs(path: Path) -> list[nbformat.NotebookNode]:
    """Return the outputs of all code cells."""
    return [
        output for cell in read_cells(path) if cell.cell_type == "code" for output in cell.outputs
    ]


def read_records(path: Path, key: str) -> list[dict[str, Any]]:
    """Return what a notebook stored under a key of its outputs' metadata, in order."""
    metadata = [output.get("metadata", {}) for output in read_outputs(path)]
    return [data[key] for data in metadata if key in data]


def read_page(name: str, root: Path = ROOT) -> Page:
    """Read the title, the lengths and the stored results of a page.

    Parameters
    ----------
    name
        The name of the page, as in ``_toc.yml``.
    root
        The folder of the book.

    Returns
    -------
    page : Page
        The contents of its file.
    """
    path = source_file(name, root)
    prose = read_text(path, "markdown")
    title = next(line for line in prose.splitlines() if line.startswith("# "))
    shown = [
        cell for cell in read_cells(path) if not FOLDED_TAGS & set(cell.metadata.get("tags", []))
    ]
    code = "\n".join(cell.source for cell in shown if cell.cell_type == "code")
    stored = read_records(path, RESULTS_KEY)
    return Page(
        name=name,
        title=title[2:].strip(),
        words=count_words(prose),
        code_lines=sum(1 for line in code.splitlines() if line.strip()),
        results=stored[-1] if stored else None,
    )


def count_words(prose: str) -> int:
    """Count the words of Markdown that a reader sees without unfolding anything."""
    prose = FOLDED.sub("", prose)
    prose = DISPLAYED_FORMULA.sub(" formula" * WORDS_PER_FORMULA, prose)
    return len(INLINE_FORMULA.sub("formula", prose).split())


def read_equations(name: str, root: Path = ROOT) -> list[Equation]:
    """Read the labelled formulas of a page.

    Parameters
    ----------
    name
        The name of the page, as in ``_toc.yml``.
    root
        The folder of the book.

    Returns
    -------
    equations : list of Equation
        In their order on the page.
    """
    path = source_file(name, root)
    records = read_records(path, EQUATION_KEY)
    checks = {record["label"]: equation_evidence(record) for record in records}
    return [
        Equation(label, name, formula.strip(), checks.get(label))
        for formula, label in FORMULA.findall(read_text(path, "markdown"))
    ]


@lru_cache(maxsize=256)
def last_commit(path: Path) -> str | None:
    """Return the last commit that wrote a file; None without git or with a truncated history."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        run = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
        return run.stdout.strip()

    try:
        if git("rev-parse", "--is-shallow-repository") != "false":
            return None
        return git("log", "-1", "--format=%h", "--", path.name) or None
    except OSError:
        return None


def format_duration(seconds: float) -> str:
    """Format in seconds below two minutes, in minutes below two hours, else in hours."""
    if seconds < 120:
        return _("{} seconds").format(f"{seconds:.0f}")
    if seconds < 7200:
        return _("{} minutes").format(f"{seconds / 60:.0f}")
    return _("{} hours").format(f"{seconds / 3600:.0f}")
