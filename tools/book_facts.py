"""What the book's own files say about it: contents, titles, sizes, results, equations, benchmarks.

Plain reading of _toc.yml, the notebooks and book/results/*.json; the Sphinx extension
`book_site` turns it into pages, and nothing that stands there is typed by hand.
"""

from __future__ import annotations

import re
import subprocess
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
LABELLED = re.compile(r"^\$\$[ ]*\((eq-[\w-]+)\)", re.M)
FORMULA = re.compile(r"^\$\$[ ]*\n(.*?)\n\$\$[ ]*\((eq-[\w-]+)\)", re.M | re.S)
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


@lru_cache(maxsize=256)
def cells(path: Path) -> list:
    """The cells of a notebook, or one cell of prose for a Markdown page."""
    if path.suffix == ".ipynb":
        return nbformat.read(path, as_version=4).cells
    return [nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))]


def page(name: str, root: Path = ROOT) -> Page:
    """Title, sizes and stored results of one page."""
    found = cells(source(name, root))
    prose = "\n".join(c.source for c in found if c.cell_type == "markdown")
    code = "\n".join(c.source for c in found if c.cell_type == "code")
    outputs = [o for c in found if c.cell_type == "code" for o in c.outputs]
    results = [o.metadata[RESULTS] for o in outputs if RESULTS in o.get("metadata", {})]
    title = next(line for line in prose.splitlines() if line.startswith("# "))
    lines = sum(1 for line in code.splitlines() if line.strip())
    return Page(
        name, title[2:].strip(), len(prose.split()), lines, dict(results[-1]) if results else None
    )


def equations(name: str, root: Path = ROOT) -> list[Equation]:
    """The labelled formulas of one page, in its order."""
    found = cells(source(name, root))
    prose = "\n".join(c.source for c in found if c.cell_type == "markdown")
    printed = "".join(o.get("text", "") for c in found if c.cell_type == "code" for o in c.outputs)
    proofs = dict(re.findall(r"^✓ (eq-[\w-]+): (.+)$", printed, re.M))
    return [
        Equation(label, name, formula.strip(), proofs.get(label))
        for formula, label in FORMULA.findall(prose)
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
    text = number(mean(values))
    if len(values) < 2 or len(set(values)) == 1:
        return text
    return f"{text} ± {stdev(values):.2g} ({len(values)} seeds)"


def number(value: float) -> str:
    """Four digits that count, thousands apart, whole numbers whole."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1e4 else f"{value:,.4g}"


def duration(seconds: float) -> str:
    """Seconds below two minutes, minutes below two hours, hours after that."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


@lru_cache(maxsize=256)
def last_commit(path: Path) -> str | None:
    """The commit that wrote the file last; None without git or with a history that is cut off."""

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=path.parent, capture_output=True, text=True)
        return run.stdout.strip()

    try:
        cut = git("rev-parse", "--is-shallow-repository") != "false"
        return None if cut else git("log", "-1", "--format=%h", "--", path.name) or None
    except OSError:
        return None
