"""Typical sampling and the penalties that count, by loops and at their limits."""

import math

import pytest
import torch

from utils.decoding.filters import penalize_repetition
from utils.decoding.further_filters import FurtherSampling, filter_typical, penalize_counts
from utils.decoding.sampling import SamplingConfig

P = torch.tensor([[0.5, 0.2, 0.15, 0.1, 0.05], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
LOGITS = P.log() + torch.tensor([[3.0], [-7.0]])  # logits are known up to a constant


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
    assert filter_typical(LOGITS, 0.19)[0].isfinite().tolist() == [False, True, False, False, False]


def test_tokens_without_probability_are_never_typical():
    logits = torch.tensor([0.0, 0.0, -math.inf])
    assert filter_typical(logits, 0.99).tolist() == [0.0, 0.0, -math.inf]


def test_penalties_count_occurrences_by_loops():
    ids = torch.tensor([[0, 1, 1, 1], [4, 4, 2, 0]])
    expected = LOGITS.clone()
    for row in range(2):
        for token in range(5):
            count = ids[row].tolist().count(token)
            expected[row, token] -= 0.7 * count + 0.3 * (count > 0)
    assert torch.allclose(penalize_counts(LOGITS, ids, frequency=0.7, presence=0.3), expected)


def test_the_options_are_applied_in_their_order():
    ids = torch.tensor([[3, 0, 0], [3, 1, 2]])
    config = FurtherSampling(
        temperature=0.8, typical_p=0.7, frequency_penalty=0.5, presence_penalty=0.2, prompt_length=1
    )
    penalized = penalize_counts(LOGITS, ids[:, 1:], frequency=0.5, presence=0.2)
    expected = filter_typical(penalized / 0.8, 0.7).softmax(-1)
    assert torch.allclose(config.probabilities(LOGITS, ids), expected)


def test_without_the_new_options_the_distribution_is_that_of_sampling_config():
    ids = torch.tensor([[3, 0], [3, 1]])
    options = {"temperature": 0.7, "top_k": 4, "top_p": 0.9, "repetition_penalty": 1.3}
    ours = FurtherSampling(**options).probabilities(LOGITS, ids)
    assert torch.allclose(ours, SamplingConfig(**options).probabilities(LOGITS, ids))


@pytest.mark.parametrize(
    "option, value",
    [
        ("typical_p", 0.0),
        ("typical_p", 1.1),
        ("frequency_penalty", 101.0),
        ("presence_penalty", math.nan),
        ("prompt_length", -1),
        ("temperature", 0),
    ],
)
def test_an_option_out_of_its_range_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        FurtherSampling(**{option: value})


def test_integers_are_no_logits():
    with pytest.raises(ValueError, match="floating-point"):
        filter_typical(torch.tensor([1, 2]), 0.5)


@pytest.mark.parametrize(
    "ids, message",
    [
        ([[0, 3]], r"ids \[3\] lie outside this vocabulary of 3 tokens"),
        ([[-1, 0]], r"ids \[-1\] lie outside this vocabulary of 3 tokens"),
        ([[0.0, 1.0]], "previous_ids must be integers of type int64"),
    ],
)
def test_penalties_refuse_ids_outside_the_vocabulary(ids, message):
    logits = torch.zeros(1, 3)
    with pytest.raises(ValueError, match=message):
        penalize_counts(logits, torch.tensor(ids), frequency=1.0)
    with pytest.raises(ValueError, match=message):
        penalize_repetition(logits, torch.tensor(ids), 2.0)
