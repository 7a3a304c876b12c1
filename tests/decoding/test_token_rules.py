"""Rules for the next token: PAD and BOS, a minimum length, and n-grams that may not repeat."""

import itertools
import math

import pytest
import torch

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search, best_sequences
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import SamplingConfig, sample
from utils.decoding.token_rules import TokenRules, allowed_logits, repeated_ngrams

V = 9


def sampled(model, prompt, **options):
    return sample(model, prompt, generator=torch.Generator().manual_seed(0), **options)


def of_beam(model, prompt, **options):
    results = beam_search(model, prompt, beam=BeamConfig(4, length_penalty=0.0), **options)
    return [hypothesis.ids for row in results for hypothesis in row]


SEARCHES = {"greedy": greedy_search, "sampling": sampled, "beam": of_beam}
every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)


def test_the_logits_of_the_model_are_not_changed_in_place():
    logits = torch.zeros(2, 5)
    assert allowed_logits(logits)[:, [PAD, BOS]].tolist() == [[-math.inf] * 2] * 2
    assert torch.equal(logits, torch.zeros(2, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_large_logits_of_any_precision_define_a_distribution(dtype):
    logits = torch.tensor([[0.0, -math.inf, -6e4, 6e4, -math.inf]], dtype=dtype)
    assert allowed_logits(logits)[0, 3] == logits[0, 3]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_logits_that_are_not_real_floating_point_numbers_are_refused(dtype):
    with pytest.raises(ValueError, match=f"must be real floating-point numbers, got {dtype}"):
        allowed_logits(torch.zeros(1, 6, dtype=dtype))


# ---- n-grams ------------------------------------------------------------------------------------


def plain_repeats(ids, n):
    """The tokens whose n-gram with the last n − 1 of `ids` is in `ids`, by its definition."""
    ngrams = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
    last = tuple(ids[len(ids) - n + 1 :]) if n > 1 else ()
    return {token for token in range(V) if (*last, token) in ngrams and token != EOS}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 30])
def test_repeated_n_grams_are_those_of_the_definition(n, length):
    generator = torch.Generator().manual_seed(n)
    ids = torch.randint(2, 5, (6, length), generator=generator)
    is_repeat = repeated_ngrams(ids, n=n, vocab_size=V)
    assert is_repeat.shape == (6, V)
    assert is_repeat.dtype == torch.bool
    for row, mask in zip(ids.tolist(), is_repeat, strict=True):
        assert set(mask.nonzero()[:, 0].tolist()) == plain_repeats(row, n)


@pytest.mark.parametrize("n", [1, 2, 3])
@every_search
def test_no_n_gram_occurs_twice(search, n):
    model = FixedLogits([0.0, 0.0, -30.0, -30.0, 3.0, 2.0, 1.0])
    prompt = torch.tensor([[BOS, 4, 4, 5]])
    for ids in search(model, prompt, max_length=12, rules=TokenRules(no_repeat_ngram_size=n)):
        text = [*prompt[0].tolist(), *ids]
        ngrams = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        new = ngrams[4 - n + 1 :] if n > 1 else ngrams[4:]
        assert all(ngrams.index(ngram) >= len(ngrams) - len(new) for ngram in new)
        assert len(set(new)) == len(new)
    (free, *_) = search(model, prompt, max_length=12)
    assert len({*itertools.pairwise(free)}) < 11, "without the rule something is repeated"


def test_a_text_ends_where_the_rule_leaves_no_other_token():
    model = FixedLogits([0.0, 0.0, -30.0, -math.inf, 3.0, 2.0])
    for min_length in (0, 7):
        options = {"max_length": 9, "rules": TokenRules(min_length, no_repeat_ngram_size=1)}
        assert greedy_search(model, bos(), **options) == [[4, 5]]
        (row,) = beam_search(model, bos(), beam=BeamConfig(3), **options)
        assert sorted(hypothesis.ids for hypothesis in row if len(hypothesis.ids) == 2) == [
            [4, 5],
            [5, 4],
        ]


@pytest.mark.parametrize("search", [greedy_search, sample, beam_search, best_sequences])
def test_rules_that_leave_a_text_no_token_are_an_error(search):
    model = FixedLogits([0.0, 0.0, -math.inf, -math.inf, 3.0, 2.0])
    rules = TokenRules(no_repeat_ngram_size=1)
    with pytest.raises(ValueError, match="no_repeat_ngram_size=1 leaves a text no token, and EOS"):
        search(model, bos(), max_length=9, rules=rules)
    assert len(search(model, bos(), max_length=2, rules=rules)) == 1


# ---- minimum length -----------------------------------------------------------------------------


@pytest.mark.parametrize("min_length", [0, 1, 3, 6])
@every_search
def test_a_text_has_at_least_the_minimum_of_tokens(search, min_length):
    model = FixedLogits([0.0, 0.0, 4.0, 0.0, 1.0, 0.0])
    texts = search(model, bos(2), max_length=6, rules=TokenRules(min_length))
    assert min(map(len, texts)) == min_length


def test_the_minimum_counts_new_tokens_of_each_row():
    model, prompt = FixedLogits([0.0, 0.0, 4.0, 0.0, 1.0, 0.0]), torch.tensor([[BOS, PAD], [4, 5]])
    assert greedy_search(model, prompt, max_length=6, rules=TokenRules(2)) == [[4, 4], [4, 4]]


def test_tokens_that_are_ruled_out_do_not_change_the_log_probability_of_the_rest():
    model = FixedLogits([0.0, 0.0, 4.0, 0.0, 1.0, 0.0])
    (row,) = beam_search(model, bos(), beam=BeamConfig(2), max_length=3, rules=TokenRules(2))
    log_probs = torch.tensor([-math.inf, -math.inf, 4.0, 0.0, 1.0, 0.0]).double().log_softmax(0)
    for hypothesis in row:
        ids = [*hypothesis.ids, *[EOS] * (len(hypothesis.ids) < 3)]
        assert hypothesis.log_prob == pytest.approx(log_probs[ids].sum().item(), abs=1e-9)


def test_sampling_renormalizes_over_the_tokens_that_are_not_ruled_out():
    model, n = FixedLogits([0.0, 0.0, 2.0, -math.inf, 1.0, 0.0]), 4000
    texts = sampled(model, bos(n), max_length=1, rules=TokenRules(1))
    p = math.e / (math.e + 1)
    frequency = sum(ids == [4] for ids in texts) / n
    assert abs(frequency - p) < 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("rules", [TokenRules(2), TokenRules(no_repeat_ngram_size=2)])
def test_best_sequences_and_a_beam_of_one_have_the_same_rules(rules):
    options = {"rules": rules, "max_length": 8}
    for seed in range(5):
        model, prompt = make_lstm(seed, V), torch.tensor([[BOS, 4], [BOS, 5]])
        expected = greedy_search(model, prompt, **options)
        assert best_sequences(model, prompt, **options) == expected
        assert best_sequences(model, prompt, None, beam=BeamConfig(1), **options) == expected
        config = SamplingConfig(temperature=1e-9)
        assert sample(model, prompt, None, sampling=config, **options) == expected
        wide = beam_search(model, prompt, None, beam=BeamConfig(3), **options)
        best = best_sequences(model, prompt, None, beam=BeamConfig(3), **options)
        assert best == [row[0].ids for row in wide]


@pytest.mark.parametrize("length", [-1, 2.5, True, math.nan, None])
def test_a_minimum_length_that_is_not_a_non_negative_integer_is_refused(length):
    with pytest.raises(ValueError, match=f"min_length must be a non-negative .* got {length}"):
        TokenRules(length)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, math.nan])
def test_a_size_of_n_grams_that_is_not_a_positive_integer_is_refused(size):
    with pytest.raises(ValueError, match="no_repeat_ngram_size must be a positive integer"):
        TokenRules(no_repeat_ngram_size=size)
