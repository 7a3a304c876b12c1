"""Facts about the book from its own files: contents, titles, lengths, results, equations.

They are read from ``_toc.yml``, the pages, the notebooks and ``book/results/*.json``. The Sphinx
extensions of this package show them on the site, so that nothing there is typed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any, TypeAlias

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS_KEY = "llm_book_results"  # as in utils.notebook.check, not imported here: it loads torch
FORMULA = re.compile(r"^\$\$[ ]*\n((?:(?!\$\$).)*?)\n\$\$[ ]*\((eq-[\w-]+)\)", re.M | re.S)
CHECK = re.compile(r"""check\.equation\(\s*["'](eq-[\w-]+)["']""")
WORDS_PER_MINUTE = 200  # reading prose
CODE_LINES_PER_MINUTE = 20  # reading code
MAX_LIST_LENGTH = 20  # of a list in a benchmark's file; a longer one is a curve
MAX_SEEDS = 5  # a longer list of numbers is no list of one value per seed

KeyPath: TypeAlias = tuple[str, ...]  # the keys that lead to a number in a benchmark's file


@dataclass(frozen=True)
class Chapter:
    """One entry of the table of contents.

    Parameters
    ----------
    part
        The caption of the part of the book to which it belongs.
    name
        The name of its page, as in ``_toc.yml``.
    sections
        The names of the pages below it, at any depth, in their order.
    """

    part: str
    name: str
    sections: list[str]


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
        The number of words of prose, formulas included.
    code_lines
        The number of lines of code that are not blank.
    results
        What ``check.results`` stored in its outputs; None if nothing.
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
        """How long the notebook took when it was last run; None if that was not stored."""
        return self.results["values"].get("seconds") if self.results else None


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
        What its check printed: how many numbers agree, and the largest error. None for a
        definition, which has no check.
    """

    label: str
    page: str
    formula: str
    check: str | None

    @property
    def name(self) -> str:
        """The label as words."""
        return self.label.removeprefix("eq-").replace("-", " ")


def chapters(root: Path = ROOT) -> list[Chapter]:
    """Return the chapters that ``_toc.yml`` lists, each with the pages below it."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [
        Chapter(part["caption"], entry["file"], list(_names_below(entry)))
        for part in toc["parts"]
        for entry in part["chapters"]
    ]


def _names_below(entry: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the pages below an entry of ``_toc.yml``, depth first."""
    for section in entry.get("sections", []):
        yield section["file"]
        yield from _names_below(section)


def page_names(root: Path = ROOT) -> Iterator[str]:
    """Yield the names of all pages in their order, without the first page."""
    for chapter in chapters(root):
        yield from (chapter.name, *chapter.sections)


def source_file(name: str, root: Path = ROOT) -> Path:
    """Return the file of a page; raise ValueError unless it has exactly one."""
    paths = [path for path in root.glob(f"{name}.*") if path.suffix in (".md", ".ipynb")]
    if len(paths) != 1:
        raise ValueError(f"{name!r} is {len(paths)} files; expected one .md or .ipynb")
    return paths[0]


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def read_cells(path: Path) -> list[nbformat.NotebookNode]:
    """Return the cells of a notebook; a Markdown page is one cell of prose."""
    if path.suffix == ".ipynb":
        return nbformat.read(path, as_version=4).cells
    return [nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))]


def read_text(path: Path, cell_type: str) -> str:
    """Return the text of all cells of a type, "markdown" or "code"."""
    return "\n".join(cell.source for cell in read_cells(path) if cell.cell_type == cell_type)


def read_outputs(path: Path) -> list[nbformat.NotebookNode]:
    """Return the outputs of all code cells."""
    return [
        output for cell in read_cells(path) if cell.cell_type == "code" for output in cell.outputs
    ]


def read_page(name: str, root: Path = ROOT) -> Page:
    """Return the title, the lengths and the stored results of a page."""
    path = source_file(name, root)
    prose = read_text(path, "markdown")
    title = next(line for line in prose.splitlines() if line.startswith("# "))
    code_lines = sum(1 for line in read_text(path, "code").splitlines() if line.strip())
    metadata = [output.get("metadata", {}) for output in read_outputs(path)]
    stored = [data[RESULTS_KEY] for data in metadata if RESULTS_KEY in data]
    return Page(
        name=name,
        title=title[2:].strip(),
        words=len(prose.split()),
        code_lines=code_lines,
        results=stored[-1] if stored else None,
    )


def read_equations(name: str, root: Path = ROOT) -> list[Equation]:
    """Return the labelled formulas of a page in their order."""
    path = source_file(name, root)
    printed = "".join(output.get("text", "") for output in read_outputs(path))
    checks = dict(re.findall(r"^✓ (eq-[\w-]+): (.+)$", printed, re.M))
    return [
        Equation(label, name, formula.strip(), checks.get(label))
        for formula, label in FORMULA.findall(read_text(path, "markdown"))
    ]


def benchmark_values(content: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, list[float]]]:
    """Yield the numbers in a benchmark's file, each with the keys that lead to it.

    A number has one value, or in a short list one value per seed. An object in a list is named by
    the first string in it, or by its position. Longer lists are curves and are left out, as is the
    provenance.

    Parameters
    ----------
    content
        The content of the file, or of a part of it.
    path
        The keys that lead to this part.
    """
    if isinstance(content, dict):
        for key, value in content.items():
            if key != "provenance":
                yield from benchmark_values(value, (*path, str(key)))
    elif isinstance(content, list) and 0 < len(content) <= MAX_LIST_LENGTH:
        if all(isinstance(item, dict) for item in content):
            for position, item in enumerate(content, start=1):
                strings = (value for value in item.values() if isinstance(value, str))
                yield from benchmark_values(item, (*path, next(strings, f"no. {position}")))
        elif len(content) <= MAX_SEEDS and all(isinstance(x, int | float) for x in content):
            yield path, [float(x) for x in content]
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, [float(content)]


def benchmark_rows(
    content: Mapping[str, Any], columns: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Arrange the numbers of a benchmark's file as rows of a table.

    Parameters
    ----------
    content
        The content of the file.
    columns
        Which numbers to show: the last keys of their paths joined by slashes, as in
        ``test/greedy/bleu``, or a pattern for them as in ``fnmatch``.

    Returns
    -------
    dict of str to dict of str to list of float
        For each row, the values of each column over the seeds. The name of a row is what precedes
        the column in the path; parts that differ only in ``, seed N`` are one row.
    """
    rows: dict[str, dict[str, list[float]]] = {}
    for path, values in benchmark_values(content):
        for column in columns:
            start = len(path) - column.count("/") - 1
            if start >= 0 and fnmatch("/".join(path[start:]), column):
                keys = [re.sub(r", seed \d+$", "", key) for key in path[:start]]
                row = rows.setdefault(", ".join(keys) or "all", {})
                row.setdefault(column, []).extend(values)
                break
    return rows


def provenances(content: Any) -> list[dict[str, Any]]:
    """Return every provenance in a benchmark's file, those of inner parts included."""
    if not isinstance(content, dict):
        return []
    inner = [provenance for value in content.values() for provenance in provenances(value)]
    return [content["provenance"], *inner] if "provenance" in content else inner


def format_values(values: Sequence[float]) -> str:
    """Format the mean of several runs, with ± the standard deviation if they differ."""
    average = format_number(mean(values))
    if len(set(values)) == 1:
        return average
    return f"{average} ± {stdev(values):.2g} ({len(values)} runs)"


def format_number(value: float) -> str:
    """Format with four significant digits; whole and large numbers without decimals."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1e4 else f"{value:,.4g}"


def format_duration(seconds: float) -> str:
    """Format in seconds below two minutes, in minutes below two hours, else in hours."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
