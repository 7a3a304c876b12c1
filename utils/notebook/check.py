"""Check equations by computing them twice, and keep the numbers that the book reports.

Used in every notebook as ``from utils.notebook import check``. `equation` compares two independent
computations of a labelled equation, `results` shows the numbers that the book quotes and stores
them with their provenance in the notebook's output, and `stored` and `show_provenance` read what
the benchmarks measured.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

RESULTS = "llm_book_results"  # metadata key under which `results` stores its numbers in an output
DEFAULT_RESULT_TOLERANCE = 0.05  # fraction of the stored number

Array = npt.NDArray[np.float64]


class NamedCorpus(Protocol):
    """A corpus with its name and its origin, "real" or "stand-in"."""

    @property
    def name(self) -> str:
        """Name of the corpus."""
        ...

    @property
    def origin(self) -> str:
        """Origin of the data: "real" or "stand-in"."""
        ...


def equation(label: str, left: Any, right: Any, *, tolerance: float = 1e-9) -> None:
    """Print that two computations of an equation agree, or raise AssertionError.

    The error is max |left − right| / max(1, max |right|) in each pair of arrays, the maximum over
    the pairs. NaN equals nothing, and an infinity equals only itself.

    Parameters
    ----------
    label
        The equation's label in the book, ``eq-…``.
    left, right
        The two results: numbers, arrays or tensors of one shape, or lists, tuples or dicts of them.
    tolerance
        The largest error allowed. The default requires float64; for float32 use about 1e-5.

    Raises
    ------
    AssertionError
        If the error is larger than `tolerance`, the two sides differ in shape or structure, there
        is nothing to compare, or a number is complex.
    """
    pairs = list(_pairs(label, left, right))
    count = sum(a.size for a, _ in pairs)
    _require(count > 0, f"{label}: nothing to compare")
    error = np.max([_error(label, a, b) for a, b in pairs])  # NaN if any is, unlike max()
    # "error <= tolerance" is false for NaN as well
    _require(
        error <= tolerance,
        f"{label}: the two sides differ by {error:.2g}, over {tolerance:.0g}",
    )
    agree = "number agrees" if count == 1 else "numbers agree"
    print(f"✓ {label}: {count} {agree}, largest error {error:.1e}")


def _require(condition: bool | np.bool_, message: str) -> None:
    """Like ``assert``, but also when Python runs with -O, which removes assert statements."""
    if not condition:
        raise AssertionError(message)


def _pairs(label: str, left: Any, right: Any) -> Iterator[tuple[Array, Array]]:
    """Traverse two nested structures in parallel and yield their leaves as arrays."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        differing = set(left) ^ set(right)
        _require(not differing, f"{label}: keys {differing} on one side only")
        for key in left:
            yield from _pairs(label, left[key], right[key])
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        _require(len(left) == len(right), f"{label}: {len(left)} values against {len(right)}")
        for left_value, right_value in zip(left, right, strict=True):
            yield from _pairs(label, left_value, right_value)
    elif isinstance(left, Mapping) or isinstance(right, Mapping):
        raise AssertionError(f"{label}: {type(left).__name__} against {type(right).__name__}")
    else:
        yield _array(label, left), _array(label, right)


def _array(label: str, value: Any) -> Array:
    """Convert a number, array or tensor to a float64 array."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value if value.is_complex() else value.double()).numpy()  # numpy lacks bfloat16
    value = np.asarray(value)
    _require(not np.iscomplexobj(value), f"{label}: complex; compare real and imaginary parts")
    return value.astype(np.float64)


def _error(label: str, left: Array, right: Array) -> float:
    """Return the largest difference relative to the largest number on the right, at least 1."""
    _require(left.shape == right.shape, f"{label}: shape {left.shape} against {right.shape}")
    if left.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):  # inf − inf is NaN, but equal infinities are equal
        difference = np.where(left == right, 0.0, np.abs(left - right))
    finite = np.abs(right[np.isfinite(right)])
    return float(difference.max() / max(1.0, finite.max(initial=0.0)))


def results(
    corpus: NamedCorpus | tuple[str, str],
    /,
    seed: int = 0,
    tolerances: Mapping[str, float | None] | None = None,
    device: torch.device | str = "cpu",
    **values: Any,
) -> dict[str, float]:
    """Show numbers as a table and store them in the notebook's output.

    Parameters
    ----------
    corpus
        The data that the numbers were measured on: a corpus, or its name and origin.
    seed
        Seed of the run.
    tolerances
        For a result's name, how far a new run may be from the stored number, as a fraction of it
        (0.05 if not given); None for numbers that are not compared, such as seconds.
    device
        Device of the run.
    **values
        The results by name, each a finite number.

    Returns
    -------
    values
        The results as floats.

    Raises
    ------
    ValueError
        If there are no results, one is not a finite number, or a tolerance is negative or belongs
        to no result.
    """
    from IPython.display import display

    if not values:
        raise ValueError("no results given; name each one, as in results(corpus, perplexity=9.5)")
    numbers = {name: _finite_number(name, value) for name, value in values.items()}
    name, origin = corpus if isinstance(corpus, tuple) else (corpus.name, corpus.origin)
    record: dict[str, Any] = {
        "values": numbers,
        "tolerances": _all_tolerances(tolerances or {}, numbers),
        "corpus": name,
        "origin": origin,
        "seed": seed,
        "device": str(device),
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    text = "\n".join(f"{key:32s} {_format(value)}" for key, value in numbers.items())
    content = {"text/plain": text, "text/html": _html_table(record)}
    display(content, raw=True, metadata={RESULTS: record})
    return numbers


def stored(name: str) -> dict[str, Any]:
    """Return what a benchmark stored in book/results/`name`.json.

    The file is read from the checkout, or from the copy that was installed with the library.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message lists the names that exist.
    """
    package = Path(__file__).resolve().parents[1]  # utils
    folders = [package.parent / "book" / "results", package / "results"]
    for folder in folders:
        path = folder / f"{name}.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
    names = sorted(path.stem for folder in folders for path in folder.glob("*.json"))
    raise FileNotFoundError(f"no stored results {name!r}; there are {', '.join(names) or 'none'}")


def show_provenance(part: Mapping[str, Any]) -> None:
    """Print the provenance of stored results: command, commit, machine, versions, seeds, time.

    Parameters
    ----------
    part
        A part of a stored file with the key "provenance".
    """
    provenance = part["provenance"]
    facts = [f"{key} {value}" for key, value in provenance.items() if key not in ("commit", "load")]
    print(", ".join([f"commit {str(provenance['commit'])[:7]}", *facts]))


def _all_tolerances(
    tolerances: Mapping[str, float | None], numbers: Mapping[str, float]
) -> dict[str, float | None]:
    """Check the given tolerances and add the default ones."""
    if unknown := tolerances.keys() - numbers.keys():
        raise ValueError(f"tolerances for {sorted(unknown)}, but the results are {sorted(numbers)}")
    completed = {name: DEFAULT_RESULT_TOLERANCE for name in numbers} | dict(tolerances)
    invalid = [n for n, t in completed.items() if t is not None and not 0 <= t < np.inf]
    if invalid:
        raise ValueError(f"the tolerances of {invalid} must be fractions of the results, or None")
    return completed


def _finite_number(name: str, value: Any) -> float:
    """Convert a result to a float; refuse what is not one finite number."""
    try:
        if isinstance(value, str):
            raise TypeError("a string")
        number = float(value)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of several
        raise ValueError(f"result {name!r} is {value!r}; a number was expected") from error
    if not np.isfinite(number):
        raise ValueError(f"result {name!r} is {number}; a finite number was expected")
    return number


def _format(value: float) -> str:
    """Format whole numbers without decimals and others with four significant digits."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.4g}"


def _html_table(record: Mapping[str, Any]) -> str:
    """Format the results with one row each; the caption says what they were measured on."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{name.replace("_", " ")}</th>'
        f"<td>{_format(value)}</td></tr>"
        for name, value in record["values"].items()
    )
    caption = f"{record['corpus']} ({record['origin']}), {record['device']}, seed {record['seed']}"
    return f"<table><caption>{caption}</caption><tbody>{rows}</tbody></table>"
