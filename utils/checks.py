"""Formulas that run, and figures that come from a run.

Used in every notebook: `equation` compares two computations of one labelled formula, `results`
shows the figures that the book quotes and stores them with where they came from, `stored` reads
those of the benchmarks.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import torch

RESULTS = "llm_book_results"  # the key under which `results` stores its figures in an output


def equation(label: str, left, right, tolerance: float = 1e-9) -> None:
    """Show that two computations of the equation `label` agree, or raise AssertionError.

    `left`, `right`: numbers, arrays or tensors of one shape, or lists, tuples or dicts of them.
    The error is max |left − right| / max(1, max |right|), which must not exceed `tolerance`:
    the default asks for float64; give about 1e-5 for float32. NaN equals nothing, and an infinity
    only itself.
    """
    pairs = list(_pairs(label, left, right))
    count = sum(a.size for a, _ in pairs)
    assert count, f"{label}: nothing to compare"
    error = np.max([_error(label, a, b) for a, b in pairs])  # NaN if any is, unlike max()
    if not error <= tolerance:  # true for NaN as well
        raise AssertionError(f"{label}: the two sides differ by {error:.2g}, over {tolerance:.0g}")
    agree = "number agrees" if count == 1 else "numbers agree"
    print(f"✓ {label}: {count} {agree}, largest error {error:.1e}")


def _pairs(label: str, left, right):
    """Walk two trees side by side and yield their leaves as float64 arrays."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        assert left.keys() == right.keys(), f"{label}: keys {set(left) ^ set(right)} on one side"
        for key in left:
            yield from _pairs(label, left[key], right[key])
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        assert len(left) == len(right), f"{label}: {len(left)} values against {len(right)}"
        for a, b in zip(left, right, strict=True):
            yield from _pairs(label, a, b)
    elif isinstance(left, Mapping) or isinstance(right, Mapping):
        raise AssertionError(f"{label}: {type(left).__name__} against {type(right).__name__}")
    else:
        yield _array(label, left), _array(label, right)


def _array(label: str, value) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value if value.is_complex() else value.double()).numpy()
    value = np.asarray(value)
    assert not np.iscomplexobj(value), f"{label}: complex; compare real and imaginary parts"
    return value.astype(np.float64)


def _error(label: str, a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape, f"{label}: shape {a.shape} against {b.shape}"
    if a.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):  # inf − inf: equal infinities are equal
        difference = np.where(a == b, 0.0, np.abs(a - b))
    finite = np.abs(b[np.isfinite(b)])
    return float(difference.max() / max(1.0, finite.max(initial=0.0)))


def results(corpus, /, seed: int = 0, tolerances: Mapping | None = None, device="cpu", **values):
    """Show `values` as a table and store them in the notebook's output; return them as a dict.

    `corpus`: a Corpus, or the pair (name, origin). `tolerances[name]`: how far a fresh run may be
    from the stored figure, as a fraction of it (0.05 where not given); None for figures that are
    not compared, such as seconds. Figures are finite numbers: anything else raises ValueError, and
    so does a tolerance that is negative or belongs to no figure.
    """
    from IPython.display import display

    if not values:
        raise ValueError("no results given; name each one, as in results(corpus, perplexity=9.5)")
    values = {name: _figure(name, value) for name, value in values.items()}
    tolerances = {name: 0.05 for name in values} | dict(tolerances or {})
    if unknown := tolerances.keys() - values.keys():
        raise ValueError(f"tolerances for {sorted(unknown)}, but the results are {sorted(values)}")
    if wrong := [n for n, t in tolerances.items() if t is not None and not 0 <= t < np.inf]:
        raise ValueError(f"the tolerances of {wrong} must be fractions of the figures, or None")
    name, origin = corpus if isinstance(corpus, tuple) else (corpus.name, corpus.origin)
    stored = {
        "values": values, "tolerances": tolerances, "corpus": name, "origin": origin, "seed": seed,
        "device": str(device), "date": date.today().isoformat(), "torch": torch.__version__,
        "python": platform.python_version(), "machine": platform.machine(),
    }  # fmt: skip
    text = "\n".join(f"{key:32s} {_short(value)}" for key, value in values.items())
    content = {"text/plain": text, "text/html": _table(stored)}
    display(content, raw=True, metadata={RESULTS: stored})
    return values


def stored(name: str) -> dict:
    """What a benchmark left in book/results/`name`.json, or in its copy in the installed library.

    Raises FileNotFoundError naming what there is.
    """
    here = Path(__file__).resolve().parent
    folders = [here.parent / "book" / "results", here / "results"]
    for folder in folders:
        if (path := folder / f"{name}.json").exists():
            return json.loads(path.read_text(encoding="utf-8"))
    there = sorted(path.stem for folder in folders for path in folder.glob("*.json"))
    raise FileNotFoundError(f"no stored results {name!r}; there are {', '.join(there) or 'none'}")


def provenance(part: dict) -> None:
    """Print where stored figures come from: command, commit, machine, versions, seeds, seconds."""
    facts = part["provenance"]
    shown = {key: value for key, value in facts.items() if key not in ("commit", "load")}
    print(f"commit {str(facts['commit'])[:7]}", *(f"{key} {value}" for key, value in shown.items()),
          sep=", ")  # fmt: skip


def _figure(name: str, value) -> float:
    try:
        if isinstance(value, str):
            raise TypeError("a string")
        figure = float(value)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of several
        raise ValueError(f"result {name!r} is {value!r}; a number was expected") from error
    if not np.isfinite(figure):
        raise ValueError(f"result {name!r} is {figure}; a finite number was expected")
    return figure


def _short(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.4g}"


def _table(stored: dict) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{name.replace("_", " ")}</th>'
        f"<td>{_short(value)}</td></tr>"
        for name, value in stored["values"].items()
    )
    origin = f"{stored['corpus']} ({stored['origin']}), {stored['device']}, seed {stored['seed']}"
    return f"<table><caption>{origin}</caption><tbody>{rows}</tbody></table>"
