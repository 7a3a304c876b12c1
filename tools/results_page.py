"""Sphinx directives of the results page: ``scoreboard``, ``benchmarks`` and ``published``.

Their tables are made from what the notebooks and the benchmarks stored, when the site is built.
``records_table`` has the others, ``records`` and ``seed-rows``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.benchmark_facts import (
    benchmark_rows,
    benchmark_values,
    collect_provenances,
    format_number,
    format_values,
    seed_row_counts,
)
from tools.book_facts import format_duration, last_commit, read_cells, read_json, read_page
from tools.contents import ROOT, page_names, source_file
from tools.directives import GeneratedDirective, link, table
from tools.records_table import RecordList, SeedRowTable, record_result
from tools.result_claims import PUBLISHED
from tools.translation.catalogues import _, translate

BENCHMARKS = ROOT / "book" / "results"
PAGE = "book/results"  # the page that shows the tables
MAX_COLUMNS = 8  # of a table of benchmarks
STEPS = "steps"  # the column of the number of training steps, where a benchmark has it


class Scoreboard(GeneratedDirective):
    """The results of every notebook, section by section."""

    def markdown(self) -> Iterator[str]:
        """Yield a heading, the provenance and a table for each notebook with results."""
        for page in map(read_page, page_names()):
            if not page.results:
                continue
            results, commit = page.results, last_commit(source_file(page.name))
            yield from (f"### {page.title}", "")
            place = link(page.name, _("The section"))
            yield _("{} on {} ({}),").format(place, results["corpus"], results["origin"])
            machine = (results["device"], results["machine"], results["seed"], results["python"])
            yield _("{} ({}), seed {}, Python {},").format(*machine)
            version = _(", commit {}").format(commit) if commit else ""
            yield _("torch {}, {}{}.").format(results["torch"], results["date"], version)
            yield ""
            rows = [
                [name.replace("_", " "), format_number(value), format_tolerance(results, name)]
                for name, value in results["values"].items()
            ]
            yield from (*table([_("figure"), _("value"), _("a fresh run may differ by")], rows), "")


def format_tolerance(results: Mapping[str, Any], name: str) -> str:
    """Say how far a fresh run may be from a stored result.

    Parameters
    ----------
    results
        What ``report_results`` stored.
    name
        The name of one of its values.

    Returns
    -------
    tolerance : str
        In per cent, or a word for anything and for nothing.
    """
    tolerance = results["tolerances"].get(name)
    if tolerance is None:
        return _("anything")
    return f"{100 * tolerance:g} %" if tolerance else _("nothing")


class Benchmarks(GeneratedDirective):
    """The results of every benchmark; the directive's content chooses the columns.

    The content is YAML: for the name of each benchmark, a list of columns as in
    `tools.benchmark_facts.benchmark_rows`. A benchmark that is not named shows all its numbers.
    Under "names" are names that the page shows instead of those of rows.
    """

    def files(self) -> list[Path]:
        """Return the pages and the benchmarks' files."""
        return [*super().files(), *BENCHMARKS.glob("*.json")]

    def markdown(self) -> Iterator[str]:
        """Yield a heading, the provenance and a table for each benchmark."""
        columns_of = yaml.safe_load("\n".join(self.content)) or {}
        names = columns_of.pop("names", {})
        for path in sorted(BENCHMARKS.glob("*.json")):
            content = read_json(path)
            last_keys = sorted({keys[-1] for keys, _values in benchmark_values(content)})
            columns = (columns_of.get(path.stem) or last_keys)[:MAX_COLUMNS]
            provenances = collect_provenances(content)
            if not provenances:  # measured for another page, which tells where it comes from
                continue
            yield from (f"### {path.stem.replace('_', ' ').capitalize()}", "")
            yield from benchmark_origin(path.stem, provenances)
            if rows := benchmark_rows(content, columns):
                named = {names.get(name, name): row for name, row in rows.items()}
                yield from (*benchmark_table(named, columns), "")
            if counts := seed_row_counts(content):
                parts = ", ".join(f"*{part}* {count}" for part, count in counts.items())
                yield _("Runs stored seed by seed, which claims show: {}.").format(parts)
                yield ""


def benchmark_table(
    rows: Mapping[str, Mapping[str, Sequence[float]]], columns: Sequence[str]
) -> list[str]:
    """Format the rows of a benchmark as a table in Markdown.

    Parameters
    ----------
    rows
        For each row, the values of each column, as `benchmark_rows` returns them.
    columns
        The columns in their order; one without values is left out.

    Returns
    -------
    lines : list of str
        The lines of the table.
    """
    filled = [column for column in columns if any(column in row for row in rows.values())]
    cells = [
        [name.replace("_", " ")]
        + [format_values(row[column]) if column in row else "" for column in filled]
        for name, row in rows.items()
    ]
    header = [column.replace("/", " ").replace("_", " ") for column in filled]
    return table([_("run"), *header], cells)


def benchmark_origin(name: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield sentences: which sections read a benchmark's file, and how it was made.

    Parameters
    ----------
    name
        The name of the benchmark.
    runs
        The provenance of each run in its file.

    Yields
    ------
    line : str
        Markdown.
    """
    call = re.compile(rf"""(?:(?:stored|load_\w+)\(|^[A-Z_]+ = )["']{name}["']""", re.MULTILINE)
    readers = [
        page_name
        for page_name in page_names()
        if any(call.search(cell.source) for cell in read_cells(source_file(page_name)))
    ]
    if readers:
        numbers = [link(reader, read_page(reader).title.split()[0]) for reader in readers]
        yield _("Read in {}.").format(", ".join(numbers))

    def every(key: str, *, length: int | None = None) -> str:
        """Return the different values of a key, each cut to a length."""
        return ", ".join(sorted({str(run[key])[:length] for run in runs if key in run}))

    seeds = sorted({seed for run in runs for seed in run.get("seeds", [])})
    seconds = sum(run.get("seconds", 0) for run in runs)
    listed = ", ".join(map(str, seeds))
    yield _("Seeds {}; {} data; {},").format(listed, every("origin"), every("machine"))
    computer = (every("cores"), every("threads"), every("python"), every("torch"))
    yield _("{} cores, threads {}; Python {}, torch {};").format(*computer)
    yield _("{} in all; {};").format(format_duration(seconds), every("date"))
    yield _("commits {}.").format(every("commit", length=7))
    commands = {without_paths(run["command"]) for run in runs if "command" in run}
    yield from ("", *(f"- `{command}`" for command in sorted(commands)), "")


def without_paths(command: str) -> str:
    """Return a command without absolute paths, which belong to one machine."""
    return re.sub(r" /\S+", "", command)


class Published(GeneratedDirective):
    """Published results, each beside what this book measured in the same task."""

    def messages(self) -> list[str]:
        """Return the tasks, and how the figures were taken."""
        keys, entries = ("task", "how", "ours how"), read_json(PUBLISHED)
        return list(dict.fromkeys(entry[key] for entry in entries for key in keys))

    def files(self) -> list[Path]:
        """Return the pages, the benchmarks' files and the list of published results."""
        return [*super().files(), *BENCHMARKS.glob("*.json"), PUBLISHED]

    def markdown(self) -> Iterator[str]:
        """Yield a heading, a sentence and a table for each task."""
        entries = read_json(PUBLISHED)
        for task in dict.fromkeys(entry["task"] for entry in entries):
            in_task = [entry for entry in entries if entry["task"] == task]
            how, ours = (translate(in_task[0][key], PAGE) for key in ("how", "ours how"))
            yield from (f"### {task}", "", _("Published under: {}.").format(how))
            yield from (_("Ours: {}.").format(ours), "")
            rows = [
                [
                    entry["model"],
                    entry["value"],
                    entry["source"],
                    "; ".join(measured_results(entry["ours"])) or "—",
                ]
                for entry in in_task
            ]
            header = [_("model"), _("published"), _("by"), _("this book")]
            yield from (*table(header, rows, align="---"), "")


def measured_results(references: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield results of this book as text with a link; nothing for what has not been measured.

    Parameters
    ----------
    references
        Entries of ``published.json``: the name of a page and a pattern for its results; the name of
        a benchmark with a row, a column and, if the page is to call the row otherwise, a name; or a
        record with an arm and a figure.

    Yields
    ------
    text : str
        A link and the number.
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
        elif "record" in reference:
            yield from record_result(**reference)


def _benchmark_result(
    benchmark: str, row: str, column: str, name: str | None = None
) -> Iterator[str]:
    """Yield one number of a benchmark, if its file and the row exist; steps belong to its name."""
    path = BENCHMARKS / f"{benchmark}.json"
    values = benchmark_rows(read_json(path), [column, STEPS]).get(row) if path.exists() else None
    if values:
        text = name or row.rpartition(", ")[2]
        if STEPS in values:
            text = _("{}, {} steps").format(text, format_number(values[STEPS][0]))
        yield f"[{text}](#{benchmark}) {format_values(values[column])}"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives; Sphinx calls this."""
    app.add_directive("scoreboard", Scoreboard)
    app.add_directive("benchmarks", Benchmarks)
    app.add_directive("published", Published)
    app.add_directive("records", RecordList)
    app.add_directive("seed-rows", SeedRowTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
