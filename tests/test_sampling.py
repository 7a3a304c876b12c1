"""What sampling leaves out: top-k, top-p, min-p and the repetition penalty against their words."""

import math

import pytest
import torch
from torch import nn

from utils.data.vocabulary import BOS
from utils.decoding import sampling
from utils.decoding.sampling import SamplingConfig

P = torch.tensor([[0.05, 0.4, 0.1, 0.15, 0.3], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
LOGITS = P.log() + torch.tensor([[3.0], [-7.0]])  # logits are known up to a constant


def kept(logits: torch.Tensor) -> list[set[int]]:
    return [{i for i, x in enumerate(row) if x > -math.inf} for row in logits.tolist()]


@pytest.mark.parametrize("k, first", [(1, {1}), (2, {1, 4}), (3, {1, 3, 4}), (5, set(range(5)))])
def test_top_k_keeps_the_k_best(k, first):
    found = sampling.filter_top_k(LOGITS, k)
    assert kept(found)[0] == first
    assert len(kept(found)[1]) == k, "among equals exactly k as well"
    assert torch.equal(found[found > -math.inf], LOGITS[found > -math.inf])
    assert torch.equal(sampling.filter_top_k(LOGITS, 99), LOGITS)


@pytest.mark.parametrize(
    "p, first, second",
    [
        (0.01, {1}, 1), (0.39, {1}, 2), (0.41, {1, 4}, 3), (0.69, {1, 4}, 4), (0.71, {1, 3, 4}, 4),
        (0.9, {1, 2, 3, 4}, 5), (1.0, set(range(5)), 5),
    ],
)  # fmt: skip
def test_top_p_keeps_the_fewest_that_reach_p(p, first, second):
    found = sampling.filter_top_p(LOGITS, p)
    assert kept(found)[0] == first and len(kept(found)[1]) == second
    for row, probabilities in zip(kept(found), P, strict=True):
        total = sum(probabilities[i].item() for i in row)
        assert total >= p - 1e-9, "together they reach p,"
        assert total - min(probabilities[i].item() for i in row) < p, "and one fewer does not"


@pytest.mark.parametrize(
    "p, first",
    [(0.0, set(range(5))), (0.2, {1, 2, 3, 4}), (0.3, {1, 3, 4}), (0.8, {1}), (1.0, {1})],
)
def test_min_p_keeps_what_is_not_far_below_the_best(p, first):
    found = sampling.filter_min_p(LOGITS, p)
    assert kept(found) == [first, set(range(5))], "a flat distribution stays whole"


def test_all_three_leave_out_what_was_ruled_out():
    logits = LOGITS.clone()
    logits[:, 1] = -math.inf
    filters = (
        (sampling.filter_top_k, 5),
        (sampling.filter_top_p, 1.0),
        (sampling.filter_min_p, 0.01),
    )
    for keep, value in filters:
        assert all(1 not in row for row in kept(keep(logits, value)))
        before = logits.clone()
        keep(logits, 0.5 if value != 5 else 2)
        assert torch.equal(before, logits), "the argument stays as it was"


def test_the_penalty_lowers_what_was_said_and_nothing_else():
    logits = torch.tensor([[2.0, -2.0, 1.0, 0.0], [2.0, -2.0, 1.0, -math.inf]])
    seen = torch.tensor([[0, 1, 0], [3, 3, 2]])
    found = sampling.penalize_repetition(logits, seen, 2.0)
    expected = torch.tensor([[1.0, -4.0, 1.0, 0.0], [2.0, -2.0, 0.5, -math.inf]])
    assert torch.equal(found, expected), "once, however often a token was said"
    assert torch.equal(sampling.penalize_repetition(logits, seen, 1.0), logits)


class Fixed(nn.Module):
    """The same distribution whatever came before; ids 0 to 3 are special."""

    def forward(self, ids, state=None):
        p = torch.tensor([0.0, 0.0, 0.001, 0.0, 0.449, 0.3, 0.2, 0.05])
        return p.log().expand(*ids.shape, -1).clone(), state


def draw(rows=200, length=20, prompt=None, **options) -> list[list[int]]:
    prompt = torch.full((rows, 1), BOS) if prompt is None else prompt
    generator = torch.Generator().manual_seed(0)
    options = {"max_length": length, "generator": generator} | options
    return sampling.sample(Fixed(), prompt, **options)


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, {4, 5, 6, 7}),
        ({"top_k": 2}, {4, 5}),
        ({"top_p": 0.7}, {4, 5}),
        ({"top_p": 0.76}, {4, 5, 6}),
        ({"min_p": 0.3}, {4, 5, 6}),
        ({"top_k": 3, "min_p": 0.5}, {4, 5}),
        ({"min_p": 0.3, "temperature": 0.5}, {4, 5}),  # the temperature comes first
        ({"top_p": 0.7, "temperature": 4.0}, {4, 5, 6}),
    ],
)
def test_sample_says_only_what_is_kept(options, words):
    assert {word for text in draw(**options) for word in text} == words


def test_what_is_kept_keeps_its_proportions():
    said = [text[0] for text in draw(rows=6000, length=1, top_k=2)]
    # six standard deviations of a share of 6,000 draws are below 0.04
    assert abs(said.count(4) / len(said) - 0.449 / 0.749) < 0.04


def test_top_p_comes_after_top_k_and_sees_what_it_left():
    # of the two best, 4 has a share of 0.6: alone enough for 0.55, not for 0.65
    assert {w for text in draw(top_k=2, top_p=0.55) for w in text} == {4}
    assert {w for text in draw(top_k=2, top_p=0.65) for w in text} == {4, 5}


def test_a_strong_penalty_says_each_word_once_before_any_twice():
    texts = draw(rows=50, length=4, repetition=1e6, top_k=1)
    assert all(sorted(text) == [4, 5, 6, 7] for text in texts if len(text) == 4)
    assert sum(len(text) == 4 for text in texts) > 0
    prompt = torch.tensor([[BOS, 4], [BOS, 5]])
    first = draw(length=1, prompt=prompt, repetition=1e6, top_k=1)
    assert first == [[5], [4]], "the prompt counts, row by row"


class Ends(nn.Module):
    """The first row ends at once; every row's favourite is 4, then 5."""

    def forward(self, ids, state=None):
        state = torch.arange(len(ids))[:, None] if state is None else state
        logits = torch.tensor([0.0, 0.0, 0.0, 0.0, 9.0, 8.0, 7.0]).repeat(*ids.shape, 1)
        logits[:, :, 2] += 99.0 * (state == 0)
        return logits, state


def test_the_penalty_follows_the_rows_that_go_on():
    prompt = torch.tensor([[BOS, 6], [BOS, 4], [BOS, 5]])
    texts = sampling.sample(
        Ends(), prompt, config=SamplingConfig(top_k=1, repetition_penalty=100.0), max_length=2
    )
    assert texts == [[], [5, 6], [4, 6]]


@pytest.mark.parametrize(
    "option, value",
    [
        ("top_k", 0), ("top_k", -1), ("top_k", 1.5), ("top_p", 0.0), ("top_p", 1.1),
        ("min_p", -0.1), ("min_p", 1.5), ("repetition", 0.0), ("repetition", math.inf),
        ("top_p", math.nan), ("min_p", math.nan), ("repetition", math.nan),
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        draw(rows=1, **{option: value})
