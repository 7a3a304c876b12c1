"""Penalties of tokens that have occurred: what they lower, and values out of range."""

import math
from functools import partial

import pytest
import torch

from utils.decoding.penalties import penalize_counts, penalize_repetition

P = torch.tensor([[0.05, 0.4, 0.1, 0.15, 0.3], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
LOGITS = P.log() + torch.tensor([[3.0], [-7.0]])  # logits are known up to a constant
PENALTIES = (
    partial(penalize_repetition, repetition_penalty=2.0),
    partial(penalize_counts, frequency=0.5),
)


def test_the_penalty_lowers_only_tokens_that_have_occurred():
    logits = torch.tensor([[2.0, -2.0, 1.0, 0.0], [2.0, -2.0, 1.0, -math.inf]])
    previous_ids = torch.tensor([[0, 1, 0], [3, 3, 2]])
    penalized = penalize_repetition(logits, previous_ids, 2.0)
    expected = torch.tensor([[1.0, -4.0, 1.0, 0.0], [2.0, -2.0, 0.5, -math.inf]])
    assert torch.equal(penalized, expected), "once, however often a token occurred"
    assert torch.equal(penalize_repetition(logits, previous_ids, 1.0), logits)


@pytest.mark.parametrize("num_rows", [0, 1, 3])
def test_previous_tokens_of_another_number_of_rows_are_refused(num_rows):
    """Of torch, a row without tokens keeps its logits."""
    ids, logits = torch.zeros(num_rows, 2).long(), torch.tensor([[2.0, -2.0], [1.0, 0.0]])
    message = rf"previous_ids must be .* got shapes \({num_rows}, 2\) and \(2, 2\): give the tokens"
    for penalize in PENALTIES:
        with pytest.raises(ValueError, match=message):
            penalize(logits, ids)


def test_penalties_count_occurrences_by_loops():
    ids = torch.tensor([[0, 1, 1, 1], [4, 4, 2, 0]])
    expected = LOGITS.clone()
    for row in range(2):
        for token in range(5):
            count = ids[row].tolist().count(token)
            expected[row, token] -= 0.7 * count + 0.3 * (count > 0)
    assert torch.allclose(penalize_counts(LOGITS, ids, frequency=0.7, presence=0.3), expected)


def test_integers_are_no_logits():
    for penalize in PENALTIES:
        with pytest.raises(ValueError, match="must be real floating-point numbers, got torch"):
            penalize(torch.tensor([[2, -2, 1]]), torch.tensor([[0]]))


@pytest.mark.parametrize(
    "name, call",
    [
        ("repetition_penalty", lambda ids: penalize_repetition(LOGITS, ids, 0.0)),
        ("repetition_penalty", lambda ids: penalize_repetition(LOGITS, ids, math.inf)),
        ("frequency", lambda ids: penalize_counts(LOGITS, ids, frequency=101.0)),
        ("presence", lambda ids: penalize_counts(LOGITS, ids, presence=math.nan)),
    ],
)
def test_a_penalty_out_of_its_range_is_refused(name, call):
    with pytest.raises(ValueError, match=f"{name} must be"):
        call(torch.zeros(2, 1).long())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_without_an_order_are_refused(value):
    for penalize in PENALTIES:
        with pytest.raises(ValueError, match="logits must be below infinity, and none NaN"):
            penalize(torch.tensor([[1.0, value, 0.0]]), torch.tensor([[0]]))


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
