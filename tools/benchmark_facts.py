"""Facts about the benchmarks from ``book/results/*.json``: their numbers as rows of tables.

``results_page`` shows them on the results page, so that no number there is typed by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from statistics import mean, stdev
from typing import Any, TypeAlias

from utils.notebook.results import ROWS

MAX_LIST_LENGTH = 20  # of a list in a benchmark's file; a longer one is a curve
MAX_SEEDS = 5  # a longer list of numbers is not a list with one value per seed

KeyPath: TypeAlias = tuple[str, ...]  # the keys that lead to a number in a benchmark's file


def benchmark_values(content: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, list[float]]]:
    """Yield the numbers in a benchmark's file, each with the keys that lead to it.

    A number has one value, or in a short list one value per seed. An object in a list is named by
    the first string in it, or by its position. Longer lists are curves and are left out, as is the
    provenance. The rows of seeds are left out too: claims show them.

    Parameters
    ----------
    content
        The content of the file, or of a part of it.
    path
        The keys that lead to this part.

    Yields
    ------
    path : tuple of str
        The keys that lead to a number.
    values : list of float
        The number, once for each seed.
    """
    if isinstance(content, dict):
        for key, value in content.items():
            if key != "provenance" and (path or key != ROWS):
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
    rows : dict of str to dict of str to list of float
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


def collect_provenances(content: Any) -> list[dict[str, Any]]:
    """Return every provenance in a benchmark's file, those of inner parts and of rows included."""
    if isinstance(content, list):
        return [provenance for item in content for provenance in collect_provenances(item)]
    if not isinstance(content, dict):
        return []
    inner = [provenance for value in content.values() for provenance in collect_provenances(value)]
    return [content["provenance"], *inner] if "provenance" in content else inner


def seed_row_counts(content: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of runs that a benchmark's file has seed by seed, for each part."""
    return dict(Counter(row["part"] for row in content.get(ROWS, [])))


def format_values(values: Sequence[float]) -> str:
    """Format the mean of several runs, with ± the standard deviation if they differ."""
    average = format_number(mean(values))
    if len(set(values)) == 1:
        return average
    return f"{average} ± {stdev(values):.2g} ({len(values)} runs)"


def format_number(value: float) -> str:
    """Format with four significant digits; whole and large numbers without decimals."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1e4 else f"{value:,.4g}"
