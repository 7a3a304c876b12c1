"""Sphinx directives ``records`` and ``seed-rows`` of the results page.

`RecordList` says what each record cost and what it reached, from the rows of
``book/results/records.json``; the trials, whose parts end in "trials", are counted with the other
benchmarks. `SeedRowTable` shows one part of any benchmark that stores its runs seed by seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, TypeAlias

import yaml

from tools.benchmark_facts import format_number, format_values
from tools.book_facts import read_json
from tools.contents import ROOT
from tools.directives import GeneratedDirective, table
from tools.translation.catalogues import _
from utils.notebook.results import ROWS

RECORDS = ROOT / "book" / "results" / "records.json"
SCORES = ("BLEU, lower-cased", "BLEU, cased", "chrF")
LOSS = "validation loss (nats per token)"

Row: TypeAlias = Mapping[str, Any]


class RecordList(GeneratedDirective):
    """Every record: a heading, what it cost, what was chosen on what, and its scores."""

    def files(self) -> list[Path]:
        """Return the pages and the file of the records."""
        return [*super().files(), RECORDS]

    def markdown(self) -> Iterator[str]:
        """Yield the records in the order of the file."""
        yield from record_lines(read_json(RECORDS)[ROWS] if RECORDS.exists() else [])


def record_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what the page shows of the rows of records.

    Parameters
    ----------
    rows
        The rows of the file.

    Yields
    ------
    line : str
        Markdown.
    """
    for part, arm in dict.fromkeys((row["part"], row["arm"]) for row in rows):
        if part.endswith("trials"):
            continue
        of_arm = [row for row in rows if (row["part"], row["arm"]) == (part, arm)]
        yield from (f"### {part}: {arm}", "", cost_sentence(of_arm), choice_sentence(of_arm), "")
        yield from (*table([_("test, search"), *SCORES], score_rows(of_arm)), "")


def cost_sentence(rows: Sequence[Row]) -> str:
    """Say how large the model is, what each seed cost, and its loss on validation."""
    costs = [row["costs"] for row in rows]
    threads = costs[0]["threads"]
    minutes = mean(cost["processor_seconds"] for cost in costs) / 60
    seeds = ", ".join(str(row["seed"]) for row in rows)
    template = _(
        "{} parameters; threads {}, {} minutes of the processor for each seed; seeds {}; "
        "validation loss {} nats per token."
    )
    loss = format_values([row["figures"][LOSS] for row in rows])
    return template.format(f"{costs[0]['parameters']:,}", threads, f"{minutes:.0f}", seeds, loss)


def choice_sentence(rows: Sequence[Row]) -> str:
    """Say how it was trained, and what was chosen on validation from which grid."""
    settings = rows[0]["settings"]
    grid = ", ".join(format_number(rate) for rate in settings["grid"])
    rankings = Counter(row["figures"]["ranking"] for row in rows)
    ranking = ", ".join(f"*{name}* ({count})" for name, count in rankings.items())
    template = _(
        "{} at the rate {}, chosen from {} by trials of {} steps on validation; positions {}, "
        "dropout {}. Beam of {}, with the ranking of the best BLEU on validation, one of {}: {}. "
        "Nothing was chosen on a test set."
    )
    return template.format(
        settings["optimizer"],
        format_number(settings["learning_rate"]),
        grid,
        f"{settings['trial steps']:,}",
        settings["positions"],
        settings["dropout"],
        settings["beam"],
        ", ".join(settings["rankings"]),
        ranking,
    )


def score_rows(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Yield the scores of each test set and search, over the seeds."""
    names = [name for name in rows[0]["figures"] if name.endswith(f", {SCORES[0]}")]
    for place in (name.removesuffix(f", {SCORES[0]}") for name in names):
        values = [[row["figures"][f"{place}, {score}"] for row in rows] for score in SCORES]
        yield [place.replace("_", " "), *map(format_values, values)]


class SeedRowTable(GeneratedDirective):
    """One part of a benchmark: for each arm its size, its time and some of its figures.

    The content is YAML: "file", "part" and "figures".
    """

    def files(self) -> list[Path]:
        """Return the pages and the benchmarks' files."""
        return [*super().files(), *RECORDS.parent.glob("*.json")]

    def markdown(self) -> Iterator[str]:
        """Yield the table."""
        choice = yaml.safe_load("\n".join(self.content))
        rows = read_json(RECORDS.with_name(f"{choice['file']}.json"))[ROWS]
        of_part = [row for row in rows if row["part"] == choice["part"]]
        yield from (*arm_table(of_part, choice["figures"]), "")


def arm_table(rows: Sequence[Row], figures: Sequence[str]) -> list[str]:
    """Format rows of one part as a table, small models first.

    Parameters
    ----------
    rows
        The rows of the part.
    figures
        The names of the figures to show.

    Returns
    -------
    lines : list of str
        The table in Markdown: a line for each arm, with the mean over its seeds.
    """
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        of_arm = [row for row in rows if row["arm"] == arm]
        size = of_arm[0]["costs"]["parameters"]
        seconds = mean(row["costs"]["processor_seconds"] for row in of_arm)
        values = [
            [row["figures"][name] for row in of_arm if name in row["figures"]] for name in figures
        ]
        cells = [format_values(each) if each else "" for each in values]
        lines.append((size, [arm, f"{size:,}", f"{seconds:.1f}", *cells]))
    lines.sort(key=lambda line: line[0])
    header = [_("run"), _("stored numbers"), _("processor seconds"), *figures]
    return table(header, [cells for _, cells in lines])


def record_result(record: str, arm: str, figure: str) -> Iterator[str]:
    """Yield one figure of a record with a link, if it has been measured.

    Parameters
    ----------
    record
        The part of the file.
    arm
        The name of the runs.
    figure
        The name of the figure.

    Yields
    ------
    text : str
        A link and the number.
    """
    rows = read_json(RECORDS)[ROWS] if RECORDS.exists() else []
    values = [row["figures"][figure] for row in rows if (row["part"], row["arm"]) == (record, arm)]
    if values:
        yield f"[{arm}](#how-far-one-thread-comes) {format_values(values)}"
