"""The records of equations and claims in words, for the line below a cell and the book's pages.

`utils.notebook.check` stores the records (``utils.notebook.cell_output``); the pages of equations
and of claims read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRENDS = ("grows", "falls")  # with the number of the arm
BOUNDS = ("at least", "at most")  # each arm, against the bound


def equation_evidence(record: Mapping[str, Any]) -> str:
    """Describe the check of an equation: its two sides, the number of values, the largest error.

    Parameters
    ----------
    record
        What `check.equation` stores: "sides", "values" and "error".

    Returns
    -------
    words : str
        Such as "loops = torch, 12 numbers agree, largest error 1.1e-16".
    """
    left, right = record["sides"]
    return f"{left} = {right}, {_agreement(record['values'], record['error'])}"


def _agreement(num_values: int, error: float) -> str:
    """Return how many numbers of an equation's two sides agree, and their largest error."""
    agree = "number agrees" if num_values == 1 else "numbers agree"
    return f"{num_values} {agree}, largest error {error:.1e}"


def claim_evidence(record: Mapping[str, Any]) -> str:
    """Describe the evidence for a claim: effects with intervals, p-values, the test, its seeds.

    Parameters
    ----------
    record
        What `check.claim` stores: "kind" (what is expected), "unit", "threshold", "comparisons",
        and "seeds" or "items".

    Returns
    -------
    words : str
        Such as "A − B = -0.1 nats, 95 % interval [-0.2, -0.05], p = 0.01 (paired t test, 5 seeds)".
    """
    comparisons = record["comparisons"]
    parts = "; ".join(_comparison_words(record, comparison) for comparison in comparisons)
    if record["over"] == "seeds":
        sample = f"{len(record['seeds'])} seeds"
    else:
        sample = f"{record['items']:,} items"
    return f"{parts} ({comparisons[0]['test']}, {sample})"


def _comparison_words(record: Mapping[str, Any], comparison: Mapping[str, Any]) -> str:
    """Return the words for one comparison of a claim."""
    expected, unit, threshold = record["kind"], record["unit"], record["threshold"]
    subject, effect = comparison["subject"], comparison["effect"]
    if expected in TRENDS:
        name = "slope" if comparison["test"].startswith("t ") else "mean rank correlation"
        words = f"{name} {effect:+.4g} {unit if name == 'slope' else ''}".rstrip()
    elif expected in BOUNDS:
        words = f"{subject} {effect:.4g} {unit}, {expected} {threshold:g}"
    else:
        words = f"{subject} − {comparison['other']} = {effect:+.4g} {unit}"
    if expected == "no difference":
        words += f", margin ±{threshold:g}"
    if comparison["interval"] is not None:
        low, high = (f"{end:.4g}" for end in comparison["interval"])
        words += f", {100 * comparison['level']:.0f} % interval [{low}, {high}]"
    elif comparison["spread"] is not None:
        words += f", standard deviation {comparison['spread']:.2g}"
    p = comparison["p"]
    if p is None:
        return words
    return f"{words}, p < 0.001" if p < 0.001 else f"{words}, p = {p:.2g}"
