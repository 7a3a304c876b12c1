"""Sampling from the distribution, and the options that shape it."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm
from utils.data.vocabulary import BOS, PAD
from utils.decoding.filters import filter_typical
from utils.decoding.greedy_search import greedy_search
from utils.decoding.penalties import penalize_counts, penalize_repetition
from utils.decoding.sampling import SamplingConfig, sample

P = torch.tensor([[0.05, 0.4, 0.1, 0.15, 0.3], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
LOGITS = P.log() + torch.tensor([[3.0], [-7.0]])  # logits are known up to a constant


# ---- options ------------------------------------------------------------------------------------

# Ids 0 to 3 are special tokens; EOS is rare.
MODEL = FixedLogits(
    [math.log(p) if p else -math.inf for p in (0, 0, 0.001, 0, 0.449, 0.3, 0.2, 0.05)]
)


def draw(rows=200, length=20, prompt=None, **options):
    prompt = bos(rows) if prompt is None else prompt
    generator = torch.Generator().manual_seed(0)
    config = SamplingConfig(**options)
    return sample(MODEL, prompt, sampling=config, max_length=length, generator=generator)


@pytest.mark.parametrize(
    "options, tokens",
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
def test_only_tokens_that_the_filters_keep_are_sampled(options, tokens):
    assert {token for ids in draw(**options) for token in ids} == tokens


def test_the_filters_keep_the_proportions_of_the_remaining_tokens():
    tokens = [ids[0] for ids in draw(rows=6000, length=1, top_k=2)]
    # six standard deviations of a fraction of 6,000 draws are below 0.04
    assert abs(tokens.count(4) / len(tokens) - 0.449 / 0.749) < 0.04


def test_top_p_is_applied_to_what_top_k_keeps():
    # of the two best, 4 has the probability 0.6: enough for 0.55, not for 0.65
    assert {token for ids in draw(top_k=2, top_p=0.55) for token in ids} == {4}
    assert {token for ids in draw(top_k=2, top_p=0.65) for token in ids} == {4, 5}


def test_min_p_is_applied_after_top_p():
    """The other way round, the nucleus would be that of what min-p keeps: two tokens."""
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()[None]
    config = SamplingConfig(top_p=0.75, min_p=0.3)
    p = config.probabilities(logits, torch.zeros(1, 0, dtype=torch.int64))
    assert torch.allclose(p, torch.tensor([[0.4, 0.3, 0.2, 0.0]]) / 0.9)


def test_a_strong_penalty_samples_each_token_once_before_any_twice():
    sequences = draw(rows=50, length=4, repetition_penalty=1e6, top_k=1)
    assert all(sorted(ids) == [4, 5, 6, 7] for ids in sequences if len(ids) == 4)
    assert sum(len(ids) == 4 for ids in sequences) > 0
    prompt = torch.tensor([[BOS, 4], [BOS, 5]])
    first = draw(length=1, prompt=prompt, repetition_penalty=1e6, top_k=1)
    assert first == [[5], [4]], "the prompt counts, row by row"


class FirstRowEnds(nn.Module):
    """The first row ends at once; in every row 4 is the most probable, then 5."""

    def forward(self, ids, state=None):
        state = torch.arange(len(ids))[:, None] if state is None else state
        logits = torch.tensor([0.0, 0.0, 0.0, 0.0, 9.0, 8.0, 7.0]).repeat(*ids.shape, 1)
        logits[:, :, 2] += 99.0 * (state == 0)
        return logits, state


def test_the_penalty_follows_the_rows_that_continue():
    prompt = torch.tensor([[BOS, 6], [BOS, 4], [BOS, 5]])
    config = SamplingConfig(top_k=1, repetition_penalty=100.0)
    assert sample(FirstRowEnds(), prompt, sampling=config, max_length=2) == [[], [5, 6], [4, 6]]


@pytest.mark.parametrize(
    "option, value",
    [
        ("temperature", 0),
        ("temperature", -1.0),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", math.nan),
        ("min_p", -0.1),
        ("min_p", 1.5),
        ("min_p", math.nan),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", math.inf),
        ("repetition_penalty", math.nan),
        ("typical_p", 0.0),
        ("typical_p", 1.1),
        ("frequency_penalty", 101.0),
        ("presence_penalty", math.nan),
        ("prompt_length", -1),
    ],
)
def test_an_option_out_of_its_range_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        SamplingConfig(**{option: value})


# ---- sampling -----------------------------------------------------------------------------------


def test_sampling_follows_the_softmax_and_its_temperature():
    logits, n, temperature = [0.0, 0.0, -math.inf, 0.5, 1.0, -1.0], 20_000, 0.7
    sequences = sample(
        FixedLogits(logits),
        bos(n),
        sampling=SamplingConfig(temperature=temperature),
        max_length=1,
        generator=torch.Generator().manual_seed(0),
    )
    frequencies = torch.bincount(torch.tensor(sequences)[:, 0], minlength=6).double() / n
    scaled = torch.tensor(logits).double() / temperature
    scaled[[PAD, BOS]] = -math.inf
    p = scaled.softmax(-1)
    # five standard deviations: a false alarm less than once in a million runs
    assert ((frequencies - p).abs() <= 5 * (p * (1 - p) / n).sqrt() + 1e-12).all()


def test_tokens_are_drawn_in_double_precision_on_the_cpu():
    """So that a seed gives the same tokens on every device."""
    types = []

    class RecordedConfig(SamplingConfig):
        def probabilities(self, logits, previous_ids):
            types.append((logits.dtype, logits.device.type))
            return super().probabilities(logits, previous_ids)

    sample(MODEL, bos(), sampling=RecordedConfig(), max_length=1)
    assert types == [(torch.float64, "cpu")]


def test_the_same_generator_gives_the_same_tokens():
    model = make_lstm(5, 9)
    one, two, other = (
        sample(model, bos(4), max_length=9, generator=torch.Generator().manual_seed(seed))
        for seed in (7, 7, 8)
    )
    assert one == two != other


@pytest.mark.parametrize("temperature", [1e-4, 1e-320])  # the second divides beyond any number
def test_a_low_temperature_gives_greedy_search(temperature):
    model, config = make_lstm(5, 9), SamplingConfig(temperature=temperature)
    sequences = sample(model, bos(4), sampling=config, max_length=9)
    assert sequences == greedy_search(model, bos(4), max_length=9)


def test_the_default_distribution_is_that_of_the_model():
    p = SamplingConfig().probabilities(LOGITS, torch.tensor([[1, 4], [0, 0]]))
    assert torch.allclose(p, P)
    changed = replace(SamplingConfig(), repetition_penalty=2.0)
    assert not torch.allclose(changed.probabilities(LOGITS, torch.tensor([[1, 4], [0, 0]])), P)


@pytest.mark.parametrize("penalty", [1e-320, 0.0, -1.0, 1e7, math.inf, math.nan, True])
def test_a_repetition_penalty_that_may_overflow_is_refused(penalty):
    message = f"repetition_penalty must be a number from 1e-06 to 1000000.0, got {penalty}"
    with pytest.raises(ValueError, match=message):
        SamplingConfig(repetition_penalty=penalty)
    with pytest.raises(ValueError, match=message):
        penalize_repetition(LOGITS, torch.tensor([[1], [0]]), penalty)


@pytest.mark.parametrize("penalty", [1e-6, 1e6])
def test_the_extreme_penalties_leave_a_distribution(penalty):
    config = SamplingConfig(repetition_penalty=penalty)
    p = config.probabilities(LOGITS, torch.tensor([[1, 4], [0, 0]]))
    assert torch.allclose(p.sum(-1), torch.ones(2, dtype=p.dtype))


@pytest.mark.parametrize("temperature", [1e-320, 1e-40, 1e40, 1e308])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_temperature_gives_a_distribution_in_any_precision(dtype, temperature):
    logits = torch.tensor([[1.0, 3.0, -math.inf, 2.0]], dtype=dtype)
    p = SamplingConfig(temperature=temperature).probabilities(logits, torch.tensor([[0]]))
    third = 1 / 3
    expected = [0.0, 1.0, 0.0, 0.0] if temperature < 1 else [third, third, 0.0, third]
    assert p[0].tolist() == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_without_an_order_are_refused_whatever_the_options(value):
    with pytest.raises(ValueError, match="logits must be below infinity, and none NaN"):
        SamplingConfig().probabilities(torch.tensor([[1.0, value]]), torch.tensor([[0]]))


def test_penalties_come_first_and_typical_sampling_last():
    ids = torch.tensor([[3, 0, 0], [3, 1, 2]])
    config = SamplingConfig(
        temperature=0.8, typical_p=0.7, frequency_penalty=0.5, presence_penalty=0.2, prompt_length=1
    )
    penalized = penalize_counts(LOGITS, ids[:, 1:], frequency=0.5, presence=0.2)
    expected = filter_typical(penalized / 0.8, 0.7).softmax(-1)
    assert torch.allclose(config.probabilities(LOGITS, ids), expected)
