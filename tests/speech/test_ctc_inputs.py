"""Validation of the inputs of CTC; that its losses and its search use it is tested with those."""

import math

import numpy as np
import pytest
import torch

from utils.data.batches import IGNORE_INDEX
from utils.data.vocabulary import UNK
from utils.speech.ctc_inputs import (
    as_batch_texts,
    as_text,
    as_texts,
    check_lengths,
    check_log_probs,
    count_needed_steps,
    pad_clips,
)


def test_a_text_becomes_a_list_of_ids():
    for ids in ([4, 5], (4, 5), torch.tensor([4, 5]), np.array([4, 5])):
        assert as_text(ids, 6) == [4, 5]
        assert {type(token) for token in as_text(ids, 6)} == {int}
    assert as_text([], 6) == [] and as_text([UNK], 6) == [UNK]


def test_texts_lose_their_padding():
    targets = torch.tensor([[4, 5, IGNORE_INDEX], [IGNORE_INDEX] * 3, [5, 5, 4]])
    assert as_texts(targets, 6) == [[4, 5], [], [5, 5, 4]]
    log_probs = torch.full((3, 4, 6), -math.log(6))
    assert as_batch_texts(log_probs, torch.tensor([2, 1, 4]), targets) == as_texts(targets, 6)


@pytest.mark.parametrize("text, steps", [([], 0), ([4], 1), ([4, 4], 3), ([4, 4, 4, 5], 6)])
def test_a_text_needs_a_blank_between_equal_tokens(text, steps):
    assert count_needed_steps(text) == steps


def test_clips_of_any_length_and_type_are_padded_with_blanks():
    padded = pad_clips([torch.zeros(1, 4), torch.zeros(2, 4).half()])
    assert padded.dtype == torch.float64
    assert padded.tolist() == [[[0] * 4, [0, *[-math.inf] * 3]], [[0] * 4] * 2]


def test_log_probabilities_may_exceed_zero_by_rounding_alone():
    check_log_probs(torch.tensor([[1e-6, -math.inf]]))
    with pytest.raises(ValueError, match=r"log_probs has 0\.01 at step 0; a log-probability"):
        check_log_probs(torch.tensor([[0.01, -math.inf]]))


@pytest.mark.parametrize(
    "log_probs", [torch.zeros(3), torch.zeros(1, 3, 4), torch.zeros(3, 0), torch.zeros(3, 4).long()]
)
def test_another_shape_or_type_is_refused(log_probs):
    with pytest.raises(ValueError, match=r"log_probs must be floating-point numbers of shape"):
        check_log_probs(log_probs)


def test_lengths_are_from_one_to_the_number_of_steps():
    check_lengths(torch.tensor([1, 5]), 5)
    with pytest.raises(ValueError, match="row 1 has a length of 6; lengths must be from 1 to 5"):
        check_lengths(torch.tensor([1, 6]), 5)
    with pytest.raises(ValueError, match=r"lengths must be integers; got a tensor of torch.bool"):
        check_lengths(torch.tensor([True]), 5)
