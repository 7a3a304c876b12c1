"""Evidence in words, from the records that a notebook stores."""

import pytest

from utils.notebook.evidence import claim_evidence, equation_evidence

COMPARISON = {
    "subject": "A",
    "other": "B",
    "effect": -0.1,
    "interval": [-0.2, -0.05],
    "level": 0.95,
    "spread": 0.01,
    "p": 0.01,
    "test": "paired t test",
}


def record(kind="lower", threshold=None, **changes):
    comparisons = [{**COMPARISON, **changes}]
    stored = {"kind": kind, "unit": "nats", "threshold": threshold, "comparisons": comparisons}
    return {**stored, "over": "seeds", "seeds": [0, 1, 2]}


def test_an_equation_has_its_sides_and_its_largest_error():
    stored = {"sides": ["loops", "torch"], "values": 12, "error": 1.1e-16}
    assert equation_evidence(stored) == "loops = torch, 12 numbers agree, largest error 1.1e-16"
    assert "1 number agrees," in equation_evidence({**stored, "values": 1})


@pytest.mark.parametrize(
    "stored, words",
    [
        (record(), "A − B = -0.1 nats, 95 % interval [-0.2, -0.05], p = 0.01"),
        (record(p=1e-5), "A − B = -0.1 nats, 95 % interval [-0.2, -0.05], p < 0.001"),
        (record(interval=None), "A − B = -0.1 nats, standard deviation 0.01, p = 0.01"),
        (
            record("no difference", 0.3, level=0.9, p=None),
            "A − B = -0.1 nats, margin ±0.3, 90 % interval [-0.2, -0.05]",
        ),
        (record("at most", 1, p=None, interval=None, spread=None), "A -0.1 nats, at most 1"),
    ],
)
def test_a_claim_has_its_effect_with_the_spread(stored, words):
    assert claim_evidence(stored) == f"{words} (paired t test, 3 seeds)"


def test_a_trend_has_a_slope_or_a_rank_correlation():
    slope = record("falls", test="t test of the slopes", p=None, interval=None)
    assert claim_evidence(slope).startswith("slope -0.1 nats, standard deviation")
    ranks = record("falls", test="Page's trend test", p=None, interval=None)
    assert claim_evidence(ranks).startswith("mean rank correlation -0.1, standard deviation")


def test_items_are_counted_and_several_comparisons_stand_beside_each_other():
    several = {**record(), "comparisons": [COMPARISON, {**COMPARISON, "other": "C"}]}
    words = claim_evidence({**several, "over": "items", "items": 2000})
    assert "p = 0.01; A − C = -0.1 nats" in words
    assert words.endswith(" (paired t test, 2,000 items)")
