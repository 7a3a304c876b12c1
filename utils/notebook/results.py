"""The numbers that the book reports: those of a notebook's own run, and those of the benchmarks.

At its end every notebook calls `report_results`, which shows the numbers that the text quotes and
stores them in the output of the cell. `load_results` reads what the benchmarks measured, and
`show_provenance` prints where those numbers come from.
"""

from __future__ import annotations

import html
import json
import math
import os
import platform
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from utils.console import safe_print
from utils.conversions import as_finite_number

if TYPE_CHECKING:
    import torch  # not loaded by the site, which needs only the key

RESULTS_KEY = "llm_book_results"  # of an output's metadata, for the record of `report_results`
ROWS = "rows"  # of a benchmark's file: one for each arm and seed, read by ``seed_results``
RESULT_TOLERANCE = 0.05  # fraction of the stored number


class NamedCorpus(Protocol):
    """A corpus with its name and its origin."""

    @property
    def name(self) -> str:
        """Name of the corpus."""
        ...

    @property
    def origin(self) -> str:
        """Origin of the data: "real" or "stand-in"."""
        ...


def report_results(
    corpus: NamedCorpus | tuple[str, str],
    /,
    seed: int = 0,
    tolerances: Mapping[str, float | None] | None = None,
    device: torch.device | str = "cpu",
    **values: Any,
) -> dict[str, float]:
    """Show numbers as a table and store them in the output of the notebook's cell.

    The metadata of the output gets one entry, RESULTS_KEY, a dict with the keys

    - "values": the results as floats, by name;
    - "tolerances": for each name the fraction by which a new run may differ, or None;
    - "corpus" and "origin": name and origin of the corpus;
    - "seed" and "device": as given, the device as a string;
    - "date": the day of the run, in ISO format;
    - "torch" and "python": the versions;
    - "machine": the type of the processor, such as "x86_64";
    - "processor_seconds": the processor time of this process and of those it has waited for, which
      is how long the run takes on one quiet core.

    The site shows these results, and ``tests/book/test_book.py`` compares those of a new run with
    them.

    Parameters
    ----------
    corpus
        The data that the numbers were measured on: a corpus, or its name and origin.
    seed
        Seed of the run.
    tolerances
        For a result's name, how far a new run may be from the stored number, as a fraction of it
        (RESULT_TOLERANCE if not given); None for numbers that are not compared, such as seconds.
    device
        Device of the run.
    **values
        The results by name, each a finite number.

    Returns
    -------
    results : dict of str to float
        The results as floats.

    Raises
    ------
    ValueError
        If there are no results, one is not a finite number, or a tolerance is negative or belongs
        to no result.
    """
    import torch
    from IPython.display import display

    if not values:
        raise ValueError(
            "no results given; name each one, as in report_results(corpus, perplexity=9.5)"
        )
    results = {
        name: as_finite_number(value, name=f"result {name!r}") for name, value in values.items()
    }
    name, origin = corpus if isinstance(corpus, tuple) else (corpus.name, corpus.origin)
    record: dict[str, Any] = {
        "values": results,
        "tolerances": _complete_tolerances(tolerances or {}, results),
        "corpus": name,
        "origin": origin,
        "seed": seed,
        "device": str(device),
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor_seconds": sum(os.times()[:4]),
    }
    text = "\n".join(f"{key:32s} {_format(value)}" for key, value in results.items())
    content = {"text/plain": text, "text/html": _html_table(record)}
    display(content, raw=True, metadata={RESULTS_KEY: record})
    return results


def load_results(name: str) -> dict[str, Any]:
    """Return the content of book/results/`name`.json, which a benchmark stored.

    An installed library has a copy of that folder inside, as ``utils/notebook/stored_results``.

    Parameters
    ----------
    name
        Name of the file without its ending, such as "characters".

    Returns
    -------
    content : dict
        The parts of the benchmark by name, without the rows of its seeds.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message lists the names that exist.
    ValueError
        If the file is damaged.
    """
    return {part: value for part, value in read_stored(name).items() if part != ROWS}


def read_stored(name: str) -> dict[str, Any]:
    """Return the whole content of book/results/`name`.json.

    Parameters
    ----------
    name
        Name of the file without its ending.

    Returns
    -------
    content : dict
        The parts of the benchmark by name, and in newer files the rows of its seeds.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message lists the names that exist.
    ValueError
        If the file is damaged.
    """
    folder = resources.files("utils.notebook") / "stored_results"
    if not folder.is_dir():  # a checkout
        folder = Path(__file__).resolve().parents[2] / "book" / "results"
    file = folder / f"{name}.json"
    if file.is_file():
        return parse_results(file.read_bytes(), name=file.name)
    files = [Path(file.name) for file in folder.iterdir()] if folder.is_dir() else []
    names = sorted(path.stem for path in files if path.suffix == ".json")
    raise FileNotFoundError(f"no stored results {name!r}; there are {', '.join(names) or 'none'}")


def parse_results(content: bytes, *, name: str) -> dict[str, Any]:
    """Parse the content of a file of results.

    Parameters
    ----------
    content
        JSON in UTF-8.
    name
        The name of the file, for the message.

    Returns
    -------
    results : dict
        What the file holds.

    Raises
    ------
    ValueError
        If the content is no JSON in UTF-8, or no object.
    """
    try:
        results = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{name} is not a file of results: {error}") from error
    if not isinstance(results, dict):
        raise ValueError(f"{name} is not a file of results: expected a JSON object")
    return results


def show_provenance(part: Mapping[str, Any]) -> None:
    """Print the provenance of stored results: commit, command, machine, versions, seeds, time.

    Parameters
    ----------
    part
        A part of a stored file with the key "provenance".
    """
    provenance = part["provenance"]
    facts = [f"{key} {value}" for key, value in provenance.items() if key not in ("commit", "load")]
    safe_print(", ".join([f"commit {str(provenance['commit'])[:7]}", *facts]))


def _complete_tolerances(
    tolerances: Mapping[str, float | None], results: Mapping[str, float]
) -> dict[str, float | None]:
    """Check the given tolerances and return them with the default one for all other results."""
    if unknown := tolerances.keys() - results.keys():
        raise ValueError(f"tolerances for {sorted(unknown)}, but the results are {sorted(results)}")
    completed = dict.fromkeys(results, RESULT_TOLERANCE) | dict(tolerances)
    invalid = [n for n, t in completed.items() if t is not None and not 0 <= t < math.inf]
    if invalid:
        raise ValueError(f"the tolerances of {invalid} must be fractions of the results, or None")
    return completed


def _format(value: float) -> str:
    """Format integers without decimals and other numbers with four significant digits."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.4g}"


def _html_table(record: Mapping[str, Any]) -> str:
    """Format the results with one row each; the caption names the data, device and seed."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{name.replace("_", " ")}</th>'
        f"<td>{_format(value)}</td></tr>"
        for name, value in record["values"].items()
    )
    caption = f"{record['corpus']} ({record['origin']}), {record['device']}, seed {record['seed']}"
    return f"<table><caption>{html.escape(caption)}</caption><tbody>{rows}</tbody></table>"
