"""Claims about models: what `utils.notebook.check.claim` decides, and what it says.

`decide` compares arms by the test that belongs to a claim and returns a `Claim`, which knows
whether it holds, its line for the reader and its record for the page of claims.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from utils.arguments import check_choice
from utils.notebook import claim_statistics as tests
from utils.notebook.arms import Arms, ItemArms, SeedArms, read_item_arms, read_seed_arms, sources
from utils.notebook.claim_statistics import SIGNIFICANCE, Array, Comparison, Statistic

LABEL = re.compile(r"claim-[a-z0-9]+(-[a-z0-9]+)*")
ORDER = ("lower", "higher")  # the first arm, than each other one
TRENDS = ("grows", "falls")  # with the number of the arm
BOUNDS = ("at least", "at most")  # each arm, against the bound
KINDS = (*ORDER, "no difference", *TRENDS, *BOUNDS)
UPWARD = ("higher", "grows", "at least")
TESTS = {"seeds": ("t", "ranks"), "items": ("resampling",)}
MIN_TREND_ARMS = 3
MIN_SEEDS_FOR_RANKS = {0.95: 6, 0.90: 5}  # so that signed ranks can reach a p-value below 5 %


class Finding(NamedTuple):
    """One comparison of a claim.

    Parameters
    ----------
    subject
        What the claim says it about: the first arm; each arm against a bound; all arms of a trend.
    other
        What it is compared with; "" for a bound or a trend.
    comparison
        The result of the test.
    holds
        Whether the effect has the direction of the claim and exceeds the spread.
    """

    subject: str
    other: str
    comparison: Comparison
    holds: bool


@dataclass(frozen=True)
class Claim:
    """A claim with its evidence.

    Parameters
    ----------
    label
        Its label, ``claim-…``.
    expected
        One of KINDS.
    unit
        The unit of the values.
    findings
        Its comparisons; the claim holds if all of them do.
    arms
        The arms.
    threshold
        The bound or the margin; None for other kinds.
    context
        What else is stored: "shared", "differs" and "sources".
    """

    label: str
    expected: str
    unit: str
    findings: list[Finding]
    arms: SeedArms | ItemArms
    threshold: float | None
    context: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the claim holds beyond the spread."""
        return all(finding.holds for finding in self.findings)

    def line(self) -> str:
        """Return the claim's line: effects with intervals, p-values, the test and its seeds."""
        parts = "; ".join(map(self._text, self.findings))
        test = self.findings[0].comparison.test
        mark, verdict = ("✓", "holds") if self.holds else ("✗", "does not hold")
        return f"{mark} {self.label}: {parts} ({test}, {self._sample()}): {verdict}"

    def record(self) -> dict[str, Any]:
        """Return what is stored in the metadata of the output."""
        return {
            "label": self.label,
            "kind": self.expected,
            "holds": self.holds,
            "unit": self.unit,
            "threshold": self.threshold,
            "comparisons": [_stored(finding) for finding in self.findings],
            **self._stored_arms(),
            **self.context,
            "line": self.line(),
        }

    def _text(self, finding: Finding) -> str:
        """Return the words for one comparison."""
        result, subject = finding.comparison, finding.subject
        if self.expected in TRENDS:
            name = "slope" if result.test.startswith("t ") else "mean rank correlation"
            words = f"{name} {result.effect:+.4g} {self.unit if name == 'slope' else ''}".rstrip()
        elif self.expected in BOUNDS:
            words = f"{subject} {result.effect:.4g} {self.unit}, {self.expected} {self.threshold:g}"
        else:
            words = f"{subject} − {finding.other} = {result.effect:+.4g} {self.unit}"
        if self.expected == "no difference":
            words += f", margin ±{self.threshold:g}"
        if result.interval is not None:
            low, high = (f"{end:.4g}" for end in result.interval)
            words += f", {100 * result.level:.0f} % interval [{low}, {high}]"
        elif result.spread is not None:
            words += f", standard deviation {result.spread:.2g}"
        return words if result.p is None else f"{words}, p {_p_text(result.p)}"

    def _sample(self) -> str:
        """Return how many seeds or items there are."""
        if isinstance(self.arms, SeedArms):
            return f"{len(self.arms.seeds)} seeds"
        return f"{self.arms.tables.shape[1]:,} items"

    def _stored_arms(self) -> dict[str, Any]:
        """Return the arms as they are stored; of items, which may be thousands, only how many."""
        names = [str(name) for name in self.arms.names]
        if isinstance(self.arms, ItemArms):
            return {"over": "items", "items": self.arms.tables.shape[1], "arms": names}
        values = dict(zip(names, self.arms.values.tolist(), strict=True))
        seeds = [s if isinstance(s, int | str) else str(s) for s in self.arms.seeds]
        return {"over": "seeds", "seeds": seeds, "arms": values}


@dataclass(frozen=True)
class Question:
    """What an author claims, before it is tested.

    Parameters
    ----------
    label
        The claim's label, ``claim-…``.
    expected
        One of KINDS.
    threshold
        The margin or the bound; None for other kinds.
    over
        "seeds" or "items".
    test
        One of the TESTS of `over`.
    statistic
        Computes a score from the sum of the items' statistics; None for their mean.

    Raises
    ------
    ValueError
        If one of them is wrong, or does not fit the others.
    """

    label: str
    expected: str
    threshold: float | None = None
    over: str = "seeds"
    test: str = "t"
    statistic: Statistic | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not LABEL.fullmatch(self.label):
            raise ValueError(f"the label is {self.label!r}; expected claim-… with a-z, 0-9 and -")
        check_choice(f"{self.label}: expected", self.expected, KINDS)
        check_choice(f"{self.label}: over", self.over, TESTS)
        check_choice(f"{self.label}: test", self.test, TESTS[self.over])
        if self.statistic is not None and self.over == "seeds":
            raise ValueError(f"{self.label}: a statistic needs over='items'")
        if self.expected in TRENDS and self.over == "items":
            raise ValueError(f"{self.label}: a trend is tested over seeds, not over items")
        self._check_threshold()

    def _check_threshold(self) -> None:
        """Raise ValueError if the margin or the bound is missing, wrong or not needed."""
        needs = {"no difference": "margin", "at least": "bound", "at most": "bound"}
        name, threshold = needs.get(self.expected), self.threshold
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

    def findings(self, arms: Arms, seeds: Iterable[Hashable] | None) -> Iterator[Finding]:
        """Yield the comparisons of the claim's arms; see `decide`."""
        raise NotImplementedError
