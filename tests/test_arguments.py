"""Checks of arguments: messages that name the argument and what it may be."""

import math

import numpy as np
import pytest

from utils.arguments import (
    check_bool,
    check_choice,
    check_integer,
    check_number,
    check_positive,
    check_positive_items,
    if_given,
)
from utils.data.batches import TextBatches
from utils.models.convolutional import CNNDecoder
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerEncoder


@pytest.mark.parametrize("size", [0, -1, 2.0, "2", True, None])
def test_a_size_is_a_positive_integer(size):
    check_positive(width=1, num_layers=np.int64(3))
    with pytest.raises(ValueError, match=f"num_heads must be a positive integer, got {size!r}"):
        check_positive(width=1, num_heads=size)


def test_an_item_that_is_no_size_is_named_by_its_number():
    check_positive_items(strides=(2, 1), kernel_sizes=())
    with pytest.raises(ValueError, match=r"^kernel_sizes\[1\] must be a positive .*, got 2\.5"):
        check_positive_items(strides=(2, 1), kernel_sizes=(1, 2.5))


@pytest.mark.parametrize(
    "bounds, value, expected",
    [
        ({"minimum": 0}, -1, "a non-negative integer, got -1"),
        ({"minimum": 2}, 1, "an integer of at least 2, got 1"),
        ({"minimum": 2}, 2.5, r"an integer of at least 2, got 2\.5"),
        ({"minimum": 1, "maximum": 5}, 6, "an integer from 1 to 5, got 6"),
        ({"minimum": 1, "maximum": 5}, 0, "an integer from 1 to 5, got 0"),
    ],
)
def test_an_integer_lies_in_its_range(bounds, value, expected):
    check_integer(**bounds, first=bounds["minimum"], last=bounds.get("maximum", 9))
    with pytest.raises(ValueError, match=f"^count must be {expected}"):
        check_integer(**bounds, first=bounds["minimum"], count=value)


@pytest.mark.parametrize(
    "bounds, allowed, wrong, expected",
    [
        ({}, [-1, 0.5], math.inf, "a finite number, got inf"),
        ({}, [np.float32(1)], math.nan, "a finite number, got nan"),
        ({"above": 0}, [1e-9, 5], 0, "a positive number, got 0"),
        ({"above": 0}, [1], math.inf, "a positive number, got inf"),
        ({"minimum": 0}, [0, 5], -0.1, "a non-negative number, got -0.1"),
        ({"minimum": 0, "maximum": 1}, [0, 1, 0.5], 1.5, "a number from 0 to 1, got 1.5"),
        (
            {"minimum": 0, "maximum": math.inf},
            [0, math.inf],
            -1,
            "a non-negative number or infinity, got -1",
        ),
        (
            {"above": 0, "maximum": math.inf},
            [1, math.inf],
            0,
            "a positive number or infinity, got 0",
        ),
        ({"above": 0, "maximum": 1}, [1], 0, "a number above 0 and at most 1, got 0"),
        ({"above": 0, "below": 1}, [0.5], 1, "a number above 0 and below 1, got 1"),
        ({"minimum": 0, "below": 1}, [0], 1.0, "a number at least 0 and below 1, got 1.0"),
        ({"above": 0, "maximum": 1}, [1], True, "a number above 0 and at most 1, got True"),
        ({"above": 0}, [1], "1", "a positive number, got '1'"),
        ({"above": 0}, [1], None, "a positive number, got None"),
    ],
)
def test_a_number_lies_in_its_range(bounds, allowed, wrong, expected):
    for value in allowed:
        check_number(**bounds, rate=value)
    with pytest.raises(ValueError, match=f"^rate must be {expected}$"):
        check_number(**bounds, rate=wrong)


def test_an_argument_that_is_not_given_is_not_checked():
    assert if_given(a=0, b=None, c=False) == {"a": 0, "c": False}


def test_a_wrong_choice_is_answered_with_the_valid_ones():
    check_choice(["lstm", "gru"], cell="gru")
    with pytest.raises(ValueError, match="cell is 'GRU'; choose from lstm, gru"):
        check_choice({"lstm": 1, "gru": 2}, cell="GRU")
    with pytest.raises(ValueError, match="order is 4; choose from 1, 2"):
        check_choice(iter((1, 2)), order=4)


@pytest.mark.parametrize("flag", [True, False, np.True_])
def test_a_bool_is_true_or_false(flag):
    check_bool(bias=flag)


@pytest.mark.parametrize("flag", ["no", "", 0, 1, None, np.array([True])], ids=repr)
def test_what_only_counts_as_true_or_false_is_refused(flag):
    with pytest.raises(ValueError, match="bias must be True or False, got"):
        check_bool(bias=flag)


@pytest.mark.parametrize(
    "build, name",
    [
        (lambda no: GPT(10, qk_norm=no), "qk_norm"),
        (lambda no: GPT(10, zero_init=no), "zero_init"),
        (lambda no: GPT(10, bias=no), "bias"),
        (lambda no: TransformerEncoder(10, norm_first=no), "norm_first"),
        (lambda no: NNLM(10, use_direct_layer=no), "use_direct_layer"),
        (lambda no: RNNLM(10, tied=no), "tied"),
        (lambda no: RNNEncoder(10, bidirectional=no), "bidirectional"),
        (lambda no: CNNDecoder(10, use_attention=no), "use_attention"),
        (
            lambda no: NGramLM.kneser_ney(NGramCounts([4], order=1, vocab_size=5), modified=no),
            "modified",
        ),
        (
            lambda no: TextBatches([4] * 9, batch_size=1, context_length=2, without_replacement=no),
            "without_replacement",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_word_is_no_decision(build, name):
    with pytest.raises(ValueError, match=f"{name} must be True or False, got 'no'"):
        build("no")
