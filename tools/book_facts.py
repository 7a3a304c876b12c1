"""What the book's own files say about it: contents, titles, sizes, results, equations, benchmarks.

Plain reading of _toc.yml, the notebooks and book/results/*.json; the Sphinx extension
`book_site` turns it into pages, and nothing that stands there is typed by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from statistics import mean, stdev

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "llm_book_results"  # as in utils.checks, which this must not import: it imports torch
FORMULA = re.compile(r"^\$\$[ ]*\n((?:(?!\$\$).)*?)\n\$\$[ ]*\((eq-[\w-]+)\)", re.M | re.S)
CHECK = re.compile(r"""check\.equation\(\s*["'](eq-[\w-]+)["']""")
WORDS_A_MINUTE, LINES_A_MINUTE = 200, 20  # a reader's pace: prose, and code


@dataclass(frozen=True)
class Page:
    """One page of the book, from its source file."""

    name: str  # as in _toc.yml: notebooks/02-1-language-models
    title: str
    words: int  # of prose, formulas among them
    lines: int  # of code
    results: dict | None  # what check.results stored

    @property
    def reading_minutes(self) -> float:
        return self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE

    @property
    def running_seconds(self) -> float | None:
        return self.results["values"].get("seconds") if self.results else None


@dataclass(frozen=True)
class Equation:
    """A labelled formula, where it stands, and what its check printed there."""

    label: str
    page: str
    formula: str
    proof: str | None  # the numbers compared and the largest error, or None for a definition

    @property
    def name(self) -> str:
        return self.label.removeprefix("eq-").replace("-", " ")


def contents(root: Path = ROOT) -> list[dict]:
    """The chapters of _toc.yml: {"part": caption, "file": name, "sections": names below it}."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))

    def below(entry: dict) -> Iterator[str]:
        for section in entry.get("sections", []):
            yield section["file"]
            yield from below(section)

    return [
        {"part": part["caption"], "file": entry["file"], "sections": list(below(entry))}
        for part in toc["parts"] for entry in part["chapters"]
    ]  # fmt: skip


def source(name: str, root: Path = ROOT) -> Path:
    """The file behind a page's name."""
    found = [p for p in root.glob(f"{name}.*") if p.suffix in (".md", ".ipynb")]
    if len(found) != 1:
        raise ValueError(f"{name!r} is {len(found)} files; expected one .md or .ipynb")
    return found[0]


def read(path: Path):
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def cells(path: Path) -> list:
    """The cells of a notebook, or one cell of prose for a Markdown page."""
    if path.suffix == ".ipynb":
        return nbformat.read(path, as_version=4).cells
    return [nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))]


def text(path: Path, kind: str) -> str:
    """All "markdown" or all "code" of a file."""
    return "\n".join(c.source for c in cells(path) if c.cell_type == kind)


def outputs(path: Path) -> list:
    return [o for c in cells(path) if c.cell_type == "code" for o in c.outputs]


def page(name: str, root: Path = ROOT) -> Page:
    """Title, sizes and stored results of one page."""
    path = source(name, root)
    prose = text(path, "markdown")
    stored = [o.metadata[RESULTS] for o in outputs(path) if RESULTS in o.get("metadata", {})]
    title = next(line for line in prose.splitlines() if line.startswith("# "))
    lines = sum(1 for line in text(path, "code").splitlines() if line.strip())
    return Page(name, title[2:].strip(), len(prose.split()), lines, stored[-1] if stored else None)


def equations(name: str, root: Path = ROOT) -> list[Equation]:
    """The labelled formulas of one page, in its order."""
    path = source(name, root)
    printed = "".join(o.get("text", "") for o in outputs(path))
    proofs = dict(re.findall(r"^✓ (eq-[\w-]+): (.+)$", printed, re.M))
    return [
        Equation(label, name, formula.strip(), proofs.get(label))
        for formula, label in FORMULA.findall(text(path, "markdown"))
    ]


def samples(content, path: tuple = ()) -> Iterator[tuple[tuple, list[float]]]:
    """The figures in a benchmark's file: the path of keys to each, and its values over the seeds.

    A short list of numbers counts as one value a seed; a short list of objects is walked by the
    first text in each; what is longer is a curve, and left out.
    """
    if isinstance(content, dict):
        for key, value in content.items():
            if key != "provenance":
                yield from samples(value, (*path, key))
    elif isinstance(content, list) and 0 < len(content) <= 20:
        if all(isinstance(item, dict) for item in content):
            for i, item in enumerate(content):
                name = next((v for v in item.values() if isinstance(v, str)), f"no. {i + 1}")
                yield from samples(item, (*path, name))
        elif len(content) <= 5 and all(isinstance(x, int | float) for x in content):
            yield path, [float(x) for x in content]
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, [float(content)]


def benchmark(content: dict, shown: list[str]) -> dict[str, dict[str, list[float]]]:
    """Rows of a table of figures: {what: {column: values over the seeds}}.

    `shown` names columns by the ends of their paths, as in "test/greedy/bleu"; parts that differ
    in ", seed N" alone make one row. Patterns as in fnmatch.
    """
    rows: dict[str, dict[str, list[float]]] = {}
    for path, values in samples(content):
        ends = [(column, len(path) - column.count("/") - 1) for column in shown]
        for column, start in ends:
            if start >= 0 and fnmatch("/".join(path[start:]), column):
                head = [re.sub(r", seed \d+$", "", str(part)) for part in path[:start]]
                row = rows.setdefault(", ".join(head) or "all", {})
                row.setdefault(column, []).extend(values)
                break
    return rows


def provenances(content: dict) -> list[dict]:
    """Every provenance in a benchmark's file."""
    if not isinstance(content, dict):
        return []
    own = [content["provenance"]] if "provenance" in content else []
    return own + [p for value in content.values() for p in provenances(value)]


def spread(values: list[float]) -> str:
    """A figure as it is shown: the mean, and ± the standard deviation over several seeds."""
    shown = number(mean(values))
    if len(set(values)) == 1:
        return shown
    return f"{shown} ± {stdev(values):.2g} ({len(values)} runs)"


def number(value: float) -> str:
    """Four digits that count, thousands apart, whole numbers whole."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1e4 else f"{value:,.4g}"


def duration(seconds: float) -> str:
    """Seconds below two minutes, minutes below two hours, hours after that."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
