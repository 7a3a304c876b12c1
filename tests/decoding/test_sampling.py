"""Sampling from the distribution, and the filters that shape it."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm
from utils.data.vocabulary import BOS, PAD
from utils.decoding.filters import filter_min_p, filter_top_k, filter_top_p, penalize_repetition
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig, sample

P = torch.tensor([[0.05, 0.4, 0.1, 0.15, 0.3], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
LOGITS = P.log() + torch.tensor([[3.0], [-7.0]])  # logits are known up to a constant


def possible_tokens(logits):
    """The tokens of each row whose logit is not −∞."""
    return [{i for i, x in enumerate(row) if x > -math.inf} for row in logits.tolist()]


# ---- filters ------------------------------------------------------------------------------------


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
    [(filter_top_k, 5, 2), (filter_top_p, 1.0, 0.5), (filter_min_p, 0.01, 0.5)],
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


def test_the_penalty_lowers_only_tokens_that_have_occurred():
    logits = torch.tensor([[2.0, -2.0, 1.0, 0.0], [2.0, -2.0, 1.0, -math.inf]])
    previous_ids = torch.tensor([[0, 1, 0], [3, 3, 2]])
    penalized = penalize_repetition(logits, previous_ids, 2.0)
    expected = torch.tensor([[1.0, -4.0, 1.0, 0.0], [2.0, -2.0, 0.5, -math.inf]])
    assert torch.equal(penalized, expected), "once, however often a token occurred"
    assert torch.equal(penalize_repetition(logits, previous_ids, 1.0), logits)


# ---- options ------------------------------------------------------------------------------------

# Ids 0 to 3 are special tokens; EOS is rare.
MODEL = FixedLogits(
    [math.log(p) if p else -math.inf for p in (0, 0, 0.001, 0, 0.449, 0.3, 0.2, 0.05)]
)


def draw(rows=200, length=20, prompt=None, **options):
    prompt = bos(rows) if prompt is None else prompt
    generator = torch.Generator().manual_seed(0)
    config = SamplingConfig(**options)
    return sample(MODEL, prompt, config=config, max_length=length, generator=generator)


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
    assert sample(FirstRowEnds(), prompt, config=config, max_length=2) == [[], [5, 6], [4, 6]]


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
    ],
)
def test_an_option_out_of_its_range_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        SamplingConfig(**{option: value})


@pytest.mark.parametrize(
    "name, call",
    [
        ("top_k", lambda: filter_top_k(LOGITS, 0)),
        ("top_p", lambda: filter_top_p(LOGITS, 0.0)),
        ("top_p", lambda: filter_top_p(LOGITS, math.nan)),
        ("min_p", lambda: filter_min_p(LOGITS, -0.1)),
        ("min_p", lambda: filter_min_p(LOGITS, 1.5)),
        ("repetition_penalty", lambda: penalize_repetition(LOGITS, torch.zeros(2, 1).long(), 0.0)),
        ("repetition_penalty", lambda: penalize_repetition(LOGITS, LOGITS.long(), math.inf)),
    ],
)
def test_a_filter_refuses_a_value_out_of_its_range(name, call):
    with pytest.raises(ValueError, match=f"{name} must be"):
        call()


# ---- sampling -----------------------------------------------------------------------------------


def test_sampling_follows_the_softmax_and_its_temperature():
    logits, n, temperature = [0.0, 0.0, -math.inf, 0.5, 1.0, -1.0], 20_000, 0.7
    sequences = sample(
        FixedLogits(logits),
        bos(n),
        config=SamplingConfig(temperature=temperature),
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

    sample(MODEL, bos(), config=RecordedConfig(), max_length=1)
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
    sequences = sample(model, bos(4), config=config, max_length=9)
    assert sequences == greedy_search(model, bos(4), max_length=9)


def test_the_default_distribution_is_that_of_the_model():
    p = SamplingConfig().probabilities(LOGITS, torch.tensor([[1, 4], [0, 0]]))
    assert torch.allclose(p, P)
    changed = replace(SamplingConfig(), repetition_penalty=2.0)
    assert not torch.allclose(changed.probabilities(LOGITS, torch.tensor([[1, 4], [0, 0]])), P)
