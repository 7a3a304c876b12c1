"""Claims about models: what an author can claim, and which test decides it.

A `ClaimSpec` is what an author claims. `evaluate_claim` tests it and returns
a `Claim` with the evidence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np

from utils.arguments import check_choice
from utils.notebook.claims import item_tests, seed_tests
from utils.notebook.claims.arms import (
    Arms,
    ItemArms,
    SeedArms,
    rates_on_edges,
    read_item_arms,
    read_seed_arms,
    sources,
)
from utils.notebook.claims.claim import EXPECTED, Claim, Expected, TestedComparison
from utils.notebook.claims.item_tests import ROUNDING, Statistic
from utils.notebook.claims.seed_tests import Comparison
from utils.notebook.evidence import BOUNDS, TRENDS
from utils.notebook.relative_error import Array

LABEL = re.compile(r"claim-[a-z0-9]+(-[a-z0-9]+)*")
UPWARD = ("higher", "grows", "at least")
THRESHOLDS: dict[Expected, Literal["margin", "bound"]] = {
    "no difference": "margin",
    "at least": "bound",
    "at most": "bound",
}
"""What a claim needs a number for; those that expect anything else have no threshold."""

Sample: TypeAlias = Literal["seeds", "items"]
"""What a claim is tested over."""

TestName: TypeAlias = Literal["t", "ranks", "resampling"]
"""The name of a test."""

TESTS: dict[Sample, tuple[TestName, ...]] = {"seeds": ("t", "ranks"), "items": ("resampling",)}
"""The tests over each, the default first."""

MIN_TREND_ARMS = 3


@dataclass(frozen=True)
class ClaimSpec:
    """What an author claims, before it is tested.

    Parameters
    ----------
    label
        The claim's label, ``claim-…``.
    expected
        One of EXPECTED.
    threshold
        The margin or the bound; None where `expected` needs none.
    over
        "seeds" or "items".
    test
        One of the TESTS of `over`.
    statistic
        Computes a score from the sum of the items' statistics; None for their mean.

    Raises
    ------
    ValueError
        If the label, an option or the threshold is not an allowed one, or they do not fit each
        other: a trend over items, a statistic over seeds, a margin that is missing.
    """

    label: str
    expected: Expected
    threshold: float | None = None
    over: Sample = "seeds"
    test: TestName = "t"
    statistic: Statistic | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not LABEL.fullmatch(self.label):
            raise ValueError(f"the label is {self.label!r}; expected claim-… with a-z, 0-9 and -")
        try:
            check_choice(EXPECTED, expected=self.expected)
            check_choice(TESTS, over=self.over)
            check_choice(TESTS[self.over], test=self.test)
        except ValueError as error:
            raise ValueError(f"{self.label}: {error}") from error
        if self.statistic is not None and self.over == "seeds":
            raise ValueError(f"{self.label}: a statistic needs over='items'")
        if self.expected in TRENDS and self.over == "items":
            raise ValueError(f"{self.label}: a trend is tested over seeds, not over items")
        self._check_threshold()

    def _check_threshold(self) -> None:
        """Raise ValueError if the margin or the bound is missing, wrong or not needed."""
        name, threshold = THRESHOLDS.get(self.expected), self.threshold
        if name is None:
            if threshold is not None:
                raise ValueError(f"{self.label}: {self.expected!r} has no margin and no bound")
        elif not isinstance(threshold, Real) or not math.isfinite(threshold):
            raise ValueError(f"{self.label}: {self.expected!r} needs a number {name}=…")
        elif name == "margin" and threshold <= 0:
            raise ValueError(
                f"{self.label}: margin is {threshold}; give the largest difference that "
                "counts as none, a positive number in the unit of the values"
            )


def evaluate_claim(
    spec: ClaimSpec,
    arms: Arms,
    *,
    seeds: Iterable[Hashable] | None,
    unit: str,
    context: Mapping[str, Any],
) -> Claim:
    """Test a claim.

    Parameters
    ----------
    spec
        What is claimed.
    arms
        The arms, as `read_seed_arms` or `read_item_arms` takes them.
    seeds
        The seeds of arms that are sequences.
    unit
        The unit of the values.
    context
        What is stored with the claim beside the sources of its figures.

    Returns
    -------
    claim : Claim
        The claim with its evidence, whether it holds or not.

    Raises
    ------
    ValueError
        If there are too few arms, seeds or items, the arms do not have the same of them, or a value
        is not a finite number.
    """
    label = spec.label
    _check_names(spec, arms)
    checked: SeedArms | ItemArms
    if spec.over == "items":
        if seeds is not None:
            raise ValueError(f"{label}: items of a test set have no seeds; leave out seeds=")
        checked = read_item_arms(label, arms)
        comparisons = _compare_on_items(spec, checked)
    else:
        checked = read_seed_arms(label, arms, seeds)
        _check_seeds(spec, checked)
        comparisons = _compare_on_seeds(spec, checked)
    context = {**context, "sources": sources(arms), "rates_on_edges": rates_on_edges(arms)}
    expected, threshold = spec.expected, spec.threshold
    return Claim(label, expected, unit, list(comparisons), checked, threshold, context)


def _check_names(spec: ClaimSpec, arms: Arms) -> None:
    """Raise ValueError unless there are as many arms as the claim needs, with names that fit."""
    label, expected = spec.label, spec.expected
    if not isinstance(arms, Mapping):
        raise ValueError(f"{label}: arms are a dict of name and values, got {type(arms).__name__}")
    least = {**dict.fromkeys(BOUNDS, 1), **dict.fromkeys(TRENDS, MIN_TREND_ARMS)}.get(expected, 2)
    if len(arms) < least:
        raise ValueError(f"{label}: {expected!r} needs {least} arms or more, got {list(arms)}")
    if len({str(name) for name in arms}) < len(arms):
        raise ValueError(f"{label}: two arms have one name in {list(arms)}")
    for name in arms if expected in TRENDS else ():
        if not isinstance(name, Real) or isinstance(name, bool) or not math.isfinite(name):
            raise ValueError(f"{label}: {expected!r} needs numbers as names of arms, got {name!r}")


def _check_seeds(spec: ClaimSpec, arms: SeedArms) -> None:
    """Raise ValueError if the seeds changed nothing, or are too few for a test by ranks."""
    if (arms.values == arms.values[:, :1]).all():
        raise ValueError(
            f"{spec.label}: each arm has the same value with every seed; the seeds changed "
            "nothing, so compare paired items by over='items', or give the seed to the run"
        )
    if spec.test == "ranks" and spec.expected not in TRENDS:
        least = 5 if spec.expected == "no difference" else 6  # else p cannot fall below 5 %
        if len(arms.seeds) < least:
            raise ValueError(
                f"{spec.label}: signed ranks need {least} seeds, got {len(arms.seeds)}"
            )


def _compare_on_seeds(spec: ClaimSpec, arms: SeedArms) -> Iterator[TestedComparison]:
    """Yield the comparisons of arms by their values for each seed."""
    expected, by_ranks, threshold = (
        spec.expected,
        spec.test == "ranks",
        spec.threshold,
    )
    names, values = [str(name) for name in arms.names], arms.values
    if expected in TRENDS:
        numbers = [float(name) for name in arms.names]
        rising = expected == "grows"
        changes = _differences(values, values[0])  # neither slopes nor ranks depend on values[0]
        if by_ranks:
            result = seed_tests.page_test(numbers, changes, rising=rising)
        else:
            result = seed_tests.slope_test(numbers, changes)
        yield _tested(spec, ", ".join(names), "", result)
    elif expected in BOUNDS:
        for name, row in zip(names, values, strict=True):
            centre = float(threshold or 0.0)
            if by_ranks:
                yield _tested(spec, name, "", seed_tests.wilcoxon_test(row, centre))
            else:
                yield _tested(spec, name, "", seed_tests.t_test(row, centre, name="t test"))
    else:
        test, equivalence = (
            (seed_tests.wilcoxon_test, seed_tests.wilcoxon_equivalence)
            if by_ranks
            else (seed_tests.t_test, seed_tests.t_equivalence)
        )
        for name, row in zip(names[1:], values[1:], strict=True):
            differences = _differences(values[0], row)
            result = test(differences) if threshold is None else equivalence(differences, threshold)
            yield _tested(spec, names[0], name, result)


def _differences(left: Array, right: Array) -> Array:
    """Return left − right, and 0 where that is nothing but rounding."""
    differences = left - right
    largest = max(np.abs(left).max(), np.abs(right).max())
    return np.where(np.abs(differences) <= ROUNDING * largest, 0.0, differences)


def _compare_on_items(spec: ClaimSpec, arms: ItemArms) -> Iterator[TestedComparison]:
    """Yield the comparisons of arms by the statistics of their items."""
    names, tables = [str(name) for name in arms.names], arms.tables
    num_items = tables.shape[1]
    statistic = spec.statistic
    if statistic is None:
        if tables.shape[2] > 1:
            raise ValueError(
                f"{spec.label}: {tables.shape[2]} statistics per item; give statistic=, which "
                "computes the score from their sum over the items"
            )
        statistic = _mean_of(num_items)
    if spec.expected in BOUNDS:
        for name, table in zip(names, tables, strict=True):
            result = item_tests.bootstrap(table, None, statistic, level=seed_tests.LEVEL)
            yield _tested(spec, name, "", result)
        return
    for name, table in zip(names[1:], tables[1:], strict=True):
        if spec.expected == "no difference":
            level = seed_tests.EQUIVALENCE_LEVEL
            result = item_tests.bootstrap(tables[0], table, statistic, level=level)
        else:
            result = item_tests.randomization_test(tables[0], table, statistic)
        yield _tested(spec, names[0], name, result)


def _mean_of(num_items: int) -> Statistic:
    """Return the function that makes a mean of the sum over the items."""
    return lambda total: float(total[0]) / num_items


def _tested(spec: ClaimSpec, subject: str, other: str, result: Comparison) -> TestedComparison:
    """Return a comparison with its verdict: direction, p-value and interval must all agree."""
    low, high = result.interval or (result.effect, result.effect)
    threshold = spec.threshold or 0.0
    if spec.expected == "no difference":
        holds = -threshold < low and high < threshold
    elif spec.expected in UPWARD:
        holds = threshold < min(low, result.effect)
    else:
        holds = max(high, result.effect) < threshold
    is_clear = result.p is None or result.p < seed_tests.SIGNIFICANCE
    return TestedComparison(subject, other, result, bool(holds and is_clear))
