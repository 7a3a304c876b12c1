"""Sphinx directives of the results page: ``scoreboard``, ``benchmarks`` and ``published``.

Each is a `GeneratedDirective`: it writes Markdown when the site is built and lets MyST parse it, so
that links and formulas work as on every page.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from tools.book_facts import (
    ROOT,
    benchmark_rows,
    benchmark_values,
    format_duration,
    format_number,
    format_values,
    page_names,
    provenances,
    read_cells,
    read_json,
    read_page,
    source_file,
)

BENCHMARKS = ROOT / "book" / "results"
PUBLISHED = ROOT / "book" / "published.json"
MAX_COLUMNS = 8  # of a table of benchmarks


def link(name: str, text: str) -> str:
    """Return a Markdown link from a page in ``book/`` to the page `name`."""
    return f"[{text}](../{source_file(name).relative_to(ROOT).as_posix()})"


def table(header: list[str], rows: Iterable[list[str]], *, align: str = "---:") -> list[str]:
    """Return the lines of a Markdown table.

    Parameters
    ----------
    header
        The names of the columns.
    rows
        The cells of each row.
    align
        The alignment of the columns after the first; on the right, as numbers need it.
    """
    lines = [header, ["---"] + [align] * (len(header) - 1), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


@lru_cache(maxsize=256)
def last_commit(path: Path) -> str | None:
    """Return the last commit that wrote a file; None without git or with a truncated history."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        run = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
        return run.stdout.strip()

    try:
        if git("rev-parse", "--is-shallow-repository") != "false":
            return None
        return git("log", "-1", "--format=%h", "--", path.name) or None
    except OSError:
        return None


class GeneratedDirective(SphinxDirective):
    """A directive whose content is Markdown made from the files of the book."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def markdown(self) -> Iterator[str]:
        """Yield the lines of the content."""
        raise NotImplementedError

    def files(self) -> list[Path]:
        """Return the files that the content is made from; a change of one makes it anew."""
        return [source_file(name) for name in page_names()]

    def run(self) -> list[nodes.Node]:
        """Parse the content; Sphinx calls this."""
        read_cells.cache_clear()  # a long-lived build sees files that have changed
        for path in [*self.files(), ROOT / "_toc.yml"]:
            self.env.note_dependency(str(path))
        self.env.note_reread()  # the list of files may grow
        container = nodes.Element()
        lines = StringList(list(self.markdown()), self.env.doc2path(self.env.docname))
        self.state.nested_parse(lines, self.content_offset, container, match_titles=True)
        return container.children


class Scoreboard(GeneratedDirective):
    """The results of every notebook, section by section."""

    def markdown(self) -> Iterator[str]:
        """Yield a heading, the provenance and a table for each notebook with results."""
        for page in map(read_page, page_names()):
            if not page.results:
                continue
            results, commit = page.results, last_commit(source_file(page.name))
            yield from (f"### {page.title}", "")
            yield f"{link(page.name, 'The section')} on {results['corpus']} ({results['origin']}),"
            yield f"{results['device']} ({results['machine']}), seed {results['seed']}, Python"
            version = f", commit {commit}" if commit else ""
            yield f"{results['python']}, torch {results['torch']}, {results['date']}{version}."
            yield ""
            rows = [
                [name.replace("_", " "), format_number(value), format_tolerance(results, name)]
                for name, value in results["values"].items()
            ]
            yield from (*table(["figure", "value", "a fresh run may differ by"], rows), "")


def format_tolerance(results: Mapping[str, Any], name: str) -> str:
    """Return in words how far a fresh run may be from the stored result `name`."""
    tolerance = results["tolerances"].get(name)
    if tolerance is None:
        return "anything"
    return f"{100 * tolerance:g} %" if tolerance else "nothing"


class Benchmarks(GeneratedDirective):
    """The results of every benchmark; the directive's content chooses the columns.

    The content is YAML: for the name of each benchmark, a list of columns as in
    `tools.book_facts.benchmark_rows`. A benchmark that is not named shows all its numbers.
    """

    def files(self) -> list[Path]:
        """Return the pages and the benchmarks' files."""
        return [*super().files(), *BENCHMARKS.glob("*.json")]

    def markdown(self) -> Iterator[str]:
        """Yield a heading, the provenance and a table for each benchmark."""
        columns_of = yaml.safe_load("\n".join(self.content)) or {}
        for path in sorted(BENCHMARKS.glob("*.json")):
            content = read_json(path)
            last_keys = sorted({keys[-1] for keys, _ in benchmark_values(content)})
            columns = (columns_of.get(path.stem) or last_keys)[:MAX_COLUMNS]
            yield from (f"### {path.stem.replace('_', ' ').capitalize()}", "")
            yield from benchmark_origin(path.stem, provenances(content))
            yield from (*benchmark_table(benchmark_rows(content, columns), columns), "")


def benchmark_table(
    rows: Mapping[str, Mapping[str, Sequence[float]]], columns: Sequence[str]
) -> list[str]:
    """Return the rows of a benchmark as a Markdown table of the columns that have values."""
    filled = [column for column in columns if any(column in row for row in rows.values())]
    cells = [
        [name.replace("_", " ")]
        + [format_values(row[column]) if column in row else "" for column in filled]
        for name, row in rows.items()
    ]
    header = [column.replace("/", " ").replace("_", " ") for column in filled]
    return table(["run", *header], cells)


def benchmark_origin(name: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield sentences: which sections read a benchmark's file, and how it was made.

    Parameters
    ----------
    name
        The name of the benchmark.
    runs
        The provenance of each run in its file.
    """
    call = re.compile(rf"""stored\(["']{name}["']\)""")
    readers = [
        page_name
        for page_name in page_names()
        if any(call.search(cell.source) for cell in read_cells(source_file(page_name)))
    ]
    if readers:
        numbers = [link(reader, read_page(reader).title.split()[0]) for reader in readers]
        yield "Read in " + ", ".join(numbers) + "."

    def every(key: str, *, length: int | None = None) -> str:
        """Return the different values of a key, each cut to a length."""
        return ", ".join(sorted({str(run[key])[:length] for run in runs if key in run}))

    seeds = sorted({seed for run in runs for seed in run.get("seeds", [])})
    seconds = sum(run.get("seconds", 0) for run in runs)
    yield f"Seeds {', '.join(map(str, seeds))}; {every('origin')} data; {every('machine')},"
    yield f"{every('cores')} cores, threads {every('threads')}; Python {every('python')}, torch"
    yield f"{every('torch')}; {format_duration(seconds)} in all; {every('date')};"
    yield f"commits {every('commit', length=7)}."
    commands = {without_paths(run["command"]) for run in runs if "command" in run}
    yield from ("", *(f"- `{command}`" for command in sorted(commands)), "")


def without_paths(command: str) -> str:
    """Return a command without absolute paths, which belong to one machine."""
    return re.sub(r" /\S+", "", command)


class Published(GeneratedDirective):
    """Published results, each beside what this book measured in the same task."""

    def files(self) -> list[Path]:
        """Return the pages, the benchmarks' files and the list of published results."""
        return [*super().files(), *BENCHMARKS.glob("*.json"), PUBLISHED]

    def markdown(self) -> Iterator[str]:
        """Yield a heading, a sentence and a table for each task."""
        entries = read_json(PUBLISHED)
        for task in dict.fromkeys(entry["task"] for entry in entries):
            in_task = [entry for entry in entries if entry["task"] == task]
            yield from (f"### {task}", "", f"Published under: {in_task[0]['how']}.", "")
            rows = [
                [
                    entry["model"],
                    entry["value"],
                    entry["source"],
                    "; ".join(measured_results(entry["ours"])) or "—",
                ]
                for entry in in_task
            ]
            header = ["model", "published", "by", "this book"]
            yield from (*table(header, rows, align="---"), "")


def measured_results(references: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield results of this book as text with a link; nothing for what has not been measured.

    Parameters
    ----------
    references
        Entries of ``published.json``: the name of a page and a pattern for its results, or the name
        of a benchmark with a row and a column.
    """
    for reference in references:
        if reference.get("page", "") in page_names():
            results = read_page(reference["page"]).results or {"values": {}}
            for name, value in results["values"].items():
                if fnmatch(name, reference["value"]):
                    text = link(reference["page"], name.replace("_", " "))
                    yield f"{text} {format_number(value)}"
        elif "benchmark" in reference:
            yield from _benchmark_result(**reference)


def _benchmark_result(benchmark: str, row: str, column: str) -> Iterator[str]:
    """Yield one number of a benchmark, if its file and the row exist."""
    path = BENCHMARKS / f"{benchmark}.json"
    if path.exists():
        values = benchmark_rows(read_json(path), [column]).get(row)
        if values:
            yield f"[{row.split(', ')[-1]}](#{benchmark}) {format_values(values[column])}"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives; Sphinx calls this."""
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("benchmarks", Benchmarks)
    app.add_directive("published", Published)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
