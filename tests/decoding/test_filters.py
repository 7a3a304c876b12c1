"""Filters of the distribution: which tokens remain, and values out of range."""

import math

import pytest
import torch

from utils.decoding.filters import filter_min_p, filter_top_k, filter_top_p, filter_typical

P = torch.tensor([[0.05, 0.4, 0.1, 0.15, 0.3], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
LOGITS = P.log() + torch.tensor([[3.0], [-7.0]])  # logits are known up to a constant


def possible_tokens(logits):
    """The tokens of each row whose logit is not −∞."""
    return [{i for i, x in enumerate(row) if x > -math.inf} for row in logits.tolist()]


@pytest.mark.parametrize("k, first", [(1, {1}), (2, {1, 4}), (3, {1, 3, 4}), (5, set(range(5)))])
def test_top_k_keeps_the_k_best(k, first):
    logits = filter_top_k(LOGITS, k)
    assert possible_tokens(logits)[0] == first
    assert len(possible_tokens(logits)[1]) == k, "among equals exactly k as well"
    assert torch.equal(logits[logits > -math.inf], LOGITS[logits > -math.inf])
    assert torch.equal(filter_top_k(LOGITS, 99), LOGITS)


@pytest.mark.parametrize(
    "p, first, second",
    [
        (0.01, {1}, 1),
        (0.39, {1}, 2),
        (0.41, {1, 4}, 3),
        (0.69, {1, 4}, 4),
        (0.71, {1, 3, 4}, 4),
        (0.9, {1, 2, 3, 4}, 5),
        (1.0, set(range(5)), 5),
    ],
)
def test_top_p_keeps_the_fewest_tokens_that_reach_p(p, first, second):
    rows = possible_tokens(filter_top_p(LOGITS, p))
    assert rows[0] == first
    assert len(rows[1]) == second
    for tokens, probabilities in zip(rows, P, strict=True):
        total = sum(probabilities[i].item() for i in tokens)
        assert total >= p - 1e-9, "together they reach p,"
        assert total - min(probabilities[i].item() for i in tokens) < p, "and one fewer does not"


@pytest.mark.parametrize("p, tokens", [(0.25, 1), (0.5, 2), (0.75, 3), (0.76, 4)])
def test_top_p_ends_where_p_is_reached_exactly(p, tokens):
    """Four equal tokens have probabilities and sums without rounding."""
    assert [len(row) for row in possible_tokens(filter_top_p(torch.zeros(2, 4), p))] == [tokens] * 2


@pytest.mark.parametrize(
    "p, first",
    [(0.0, set(range(5))), (0.2, {1, 2, 3, 4}), (0.3, {1, 3, 4}), (0.8, {1}), (1.0, {1})],
)
def test_min_p_keeps_tokens_not_far_below_the_best(p, first):
    rows = possible_tokens(filter_min_p(LOGITS, p))
    assert rows == [first, set(range(5))], "a flat distribution stays as it is"


@pytest.mark.parametrize(
    "filter_logits, weak, strong",
    [
        (filter_top_k, 5, 2),
        (filter_top_p, 1.0, 0.5),
        (filter_min_p, 0.01, 0.5),
        (filter_typical, 1.0, 0.5),
    ],
)
def test_a_filter_keeps_ruled_out_tokens_ruled_out_and_copies_the_logits(
    filter_logits, weak, strong
):
    logits = LOGITS.clone()
    logits[:, 1] = -math.inf
    before = logits.clone()
    for value in (weak, strong):
        assert all(1 not in tokens for tokens in possible_tokens(filter_logits(logits, value)))
        assert torch.equal(before, logits)


@pytest.mark.parametrize(
    "filter_logits, value",
    [(filter_top_k, 2), (filter_top_p, 0.5), (filter_min_p, 0.5), (filter_typical, 0.5)],
)
def test_a_filter_takes_logits_of_any_number_of_dimensions(filter_logits, value):
    expected = filter_logits(LOGITS, value)
    assert torch.equal(filter_logits(LOGITS[0], value), expected[0])
    assert torch.equal(filter_logits(LOGITS[:, None], value), expected[:, None])


@pytest.mark.parametrize(
    "call",
    [
        lambda logits: filter_top_k(logits, 2),
        lambda logits: filter_top_p(logits, 0.5),
        lambda logits: filter_min_p(logits, 0.5),
        lambda logits: filter_typical(logits, 0.5),
    ],
    ids=["top-k", "top-p", "min-p", "typical"],
)
def test_logits_that_are_integers_are_refused(call):
    with pytest.raises(ValueError, match="must be real floating-point numbers, got torch"):
        call(torch.tensor([[2, -2, 1]]))


@pytest.mark.parametrize(
    "name, call",
    [
        ("top_k", lambda: filter_top_k(LOGITS, 0)),
        ("top_p", lambda: filter_top_p(LOGITS, 0.0)),
        ("top_p", lambda: filter_top_p(LOGITS, math.nan)),
        ("min_p", lambda: filter_min_p(LOGITS, -0.1)),
        ("min_p", lambda: filter_min_p(LOGITS, 1.5)),
        ("typical_p", lambda: filter_typical(LOGITS, 0.0)),
        ("typical_p", lambda: filter_typical(LOGITS, 1.1)),
    ],
)
def test_a_filter_refuses_a_value_out_of_its_range(name, call):
    with pytest.raises(ValueError, match=f"{name} must be"):
        call()


def typical_tokens(p, mass):
    """The tokens that typical sampling keeps, by loops."""
    entropy = -sum(x * math.log(x) for x in p if x)
    kept, total = set(), 0.0
    for i in sorted(range(len(p)), key=lambda i: abs(-math.log(p[i]) - entropy)):
        if total < mass:
            kept.add(i)
            total += p[i]
    return kept


@pytest.mark.parametrize("mass", [0.05, 0.19, 0.42, 0.63, 0.9])
def test_typical_sampling_keeps_the_tokens_nearest_to_the_entropy(mass):
    for row, p in zip(filter_typical(LOGITS, mass), P.tolist(), strict=True):
        assert {i for i, z in enumerate(row.tolist()) if z > -math.inf} == typical_tokens(p, mass)
    assert torch.equal(filter_typical(LOGITS, 1.0), LOGITS)


def test_the_most_probable_token_need_not_be_typical():
    assert filter_typical(LOGITS, 0.19)[0].isfinite().tolist() == [False] * 4 + [True]


def test_tokens_without_probability_are_never_typical():
    logits = torch.tensor([0.0, 0.0, -math.inf])
    assert filter_typical(logits, 0.99).tolist() == [0.0, 0.0, -math.inf]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    "filter_logits",
    [
        lambda x: filter_top_k(x, 2),
        lambda x: filter_top_p(x, 0.5),
        lambda x: filter_min_p(x, 0.5),
        lambda x: filter_typical(x, 0.5),
    ],
    ids=["top-k", "top-p", "min-p", "typical"],
)
def test_logits_that_no_filter_can_order_are_refused(filter_logits, value):
    """Top-p and min-p would exclude every token."""
    with pytest.raises(ValueError, match="logits must be below infinity, and none NaN"):
        filter_logits(torch.tensor([[1.0, value, 0.0]]))
