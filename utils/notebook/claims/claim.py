"""A claim with its evidence: whether it holds, its line for the reader, its record for the pages.

`utils.notebook.claims.evaluation.evaluate_claim` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from utils.notebook.claims.arms import ItemArms, SeedArms
from utils.notebook.claims.seed_tests import Comparison
from utils.notebook.evidence import claim_evidence

Expected: TypeAlias = Literal[
    "lower", "higher", "no difference", "grows", "falls", "at least", "at most"
]
"""What a claim can expect; the first three compare the first arm with each other arm."""

EXPECTED: tuple[Expected, ...] = get_args(Expected)


class TestedComparison(NamedTuple):
    """One comparison of a claim.

    Parameters
    ----------
    subject
        What the claim is about: the first arm; each arm against a bound; all arms of a trend.
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
        One of EXPECTED.
    unit
        The unit of the values.
    comparisons
        Its comparisons; the claim holds if all of them do.
    arms
        The values that were compared, by the name of the arm.
    threshold
        The bound or the margin; None where `expected` needs none.
    context
        What else is stored: "shared", "differs", "sources" and "rates_on_edges".
    """

    label: str
    expected: Expected
    unit: str
    comparisons: list[TestedComparison]
    arms: SeedArms | ItemArms
    threshold: float | None
    context: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the claim holds beyond the spread."""
        return all(comparison.holds for comparison in self.comparisons)

    @property
    def is_stored(self) -> bool:
        """Whether all values come from files of results."""
        return all(isinstance(source, Mapping) for source in self.context["sources"].values())

    def line(self) -> str:
        """Return the claim's line: effects with intervals, p-values, the test and its seeds."""
        mark, verdict = ("✓", "holds") if self.holds else ("✗", "does not hold")
        return f"{mark} {self.label}: {claim_evidence(self.record())}: {verdict}"

    def remarks(self) -> str:
        """Return the line below: what differs, what is shared, rates on the edge of their grid."""
        text = f"differs: {self.context['differs']}; shared: {self.context['shared']}"
        edges = ", ".join(self.context["rates_on_edges"])
        return f"{text}; learning rate on the edge of its grid: {edges}" if edges else text

    def record(self) -> dict[str, Any]:
        """Return what is stored in the metadata of the output."""
        return {
            "label": self.label,
            "kind": self.expected,  # its name in the outputs of notebooks
            "holds": self.holds,
            "unit": self.unit,
            "threshold": self.threshold,
            "comparisons": [_stored(comparison) for comparison in self.comparisons],
            **self._stored_arms(),
            **self.context,
        }

    def _stored_arms(self) -> dict[str, Any]:
        """Return the arms as they are stored; of items, which may be thousands, only how many."""
        names = [str(name) for name in self.arms.names]
        if isinstance(self.arms, ItemArms):
            return {"over": "items", "items": self.arms.tables.shape[1], "arms": names}
        values = dict(zip(names, self.arms.values.tolist(), strict=True))
        seeds = [s if isinstance(s, int | str) else str(s) for s in self.arms.seeds]
        return {"over": "seeds", "seeds": seeds, "arms": values}


def _stored(tested: TestedComparison) -> dict[str, Any]:
    """Return a comparison as it is stored."""
    result = tested.comparison
    interval = None if result.interval is None else list(result.interval)
    names = {"subject": tested.subject, "other": tested.other, "holds": tested.holds}
    return {**names, **result._asdict(), "interval": interval}
