"""Beam search against plain definitions, with models known by the contract alone."""

import itertools
import math
import re

import pytest
import torch
from torch import nn

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm, make_translator
from utils.data.batches import pad
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search, best_sequences
from utils.decoding.greedy_search import greedy_search
from utils.decoding.token_rules import TokenRules

V = 6  # four special tokens and two words


def token_log_probs(model, ids):
    """log p of each token of one row of ids, by one teacher-forced call, without PAD and BOS."""
    with torch.no_grad():
        logits, _ = model(torch.tensor([[BOS, *ids[:-1]]]))
    logits[..., [PAD, BOS]] = -math.inf
    return logits[0].double().log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]


def score(log_prob, length, length_penalty, token_bonus):
    return log_prob / ((5 + length) / 6) ** length_penalty + token_bonus * length


def ids_of(results):
    return [[hypothesis.ids for hypothesis in row] for row in results]


# ---- batches and prompts ------------------------------------------------------------------------


def test_each_row_of_a_batch_is_searched_as_if_alone():
    model = make_translator(38, 9, num_layers=1, factor=3)
    source = torch.randint(4, 9, (6, 5))
    row_states = [model.begin(source[i : i + 1]) for i in range(6)]
    config = BeamConfig(3)
    together = beam_search(model, bos(6), model.begin(source), beam=config, max_length=8)
    alone = [beam_search(model, bos(), row, beam=config, max_length=8)[0] for row in row_states]
    assert ids_of(together) == ids_of(alone)
    scores = [
        torch.tensor([[hypothesis.score for hypothesis in row] for row in results])
        for results in (together, alone)
    ]
    assert torch.allclose(*scores, atol=1e-9)


def test_a_prompt_of_many_tokens_is_read_in_one_call():
    model, prompt = make_lstm(2, 9), torch.tensor([[BOS, 4, 5, 6], [BOS, 7, 7, 4]])
    with torch.no_grad():
        state = model(prompt[:, :-1])[1]
    config = BeamConfig(3)
    results = beam_search(model, prompt, beam=config, max_length=6)
    assert results == beam_search(model, prompt[:, -1:], state, beam=config, max_length=6)


# ---- beam search against definitions ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_a_beam_of_one_is_greedy_search(seed):
    model, prompt = make_lstm(seed, 9), torch.tensor([[BOS, 4], [BOS, 5], [BOS, 6]])
    results = beam_search(model, prompt, beam=BeamConfig(1), max_length=7)
    assert [row[0].ids for row in results] == greedy_search(model, prompt, max_length=7)
    assert all(len(row) == 1 for row in results)


def test_the_random_models_end_early_and_late():
    lengths = [len(greedy_search(make_lstm(seed, 9), bos(), max_length=7)[0]) for seed in range(40)]
    assert min(lengths) < 3 and max(lengths) == 7, "the test above covers both"


def exhaustive_search(model, max_length, length_penalty, token_bonus):
    """All hypotheses up to `max_length` tokens with their scores, best first."""
    words = [token for token in range(V) if token not in (PAD, BOS, EOS)]
    finished = []
    for length in range(max_length + 1):
        for prefix in itertools.product(words, repeat=length):
            ids = list(prefix) if length == max_length else [*prefix, EOS]
            if ids:
                log_prob = token_log_probs(model, ids).sum().item()
                finished.append(
                    (score(log_prob, len(ids), length_penalty, token_bonus), list(prefix))
                )
    return sorted(finished, reverse=True)


@pytest.mark.parametrize(
    ("length_penalty", "token_bonus"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.5), (1.0, 0.3)]
)
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed, length_penalty, token_bonus):
    model, max_length = make_lstm(seed, V), 4
    expected = exhaustive_search(model, max_length, length_penalty, token_bonus)
    beam_size = len(expected) + 9  # more than there are hypotheses
    config = BeamConfig(beam_size, length_penalty=length_penalty, token_bonus=token_bonus)
    (row,) = beam_search(model, bos(), None, beam=config, max_length=max_length)
    assert [hypothesis.ids for hypothesis in row] == [ids for _, ids in expected]
    scores = torch.tensor([hypothesis.score for hypothesis in row])
    assert torch.allclose(scores, torch.tensor([best for best, _ in expected]), atol=1e-6)


def plain_beam_search(model, config, max_length, prompt=(BOS,), min_length=0, n=None):
    """Beam search as its docstring describes it, one hypothesis at a time, without a state.

    The safe end of a search changes no result: without patience, this one never ends before all
    hypotheses have `max_length` tokens.
    """
    beam, finished, beam_size = [((), 0.0)], [], config.beam_size
    for length in range(1, max_length + 1):
        continuations = []
        for prefix, log_prob in beam:
            ids = [*prompt, *prefix]
            logits = model(torch.tensor([ids]))[0][0, -1].detach()
            logits[[PAD, BOS]] = -math.inf
            log_probs = logits.log_softmax(-1).tolist()
            ngrams = [ids[i : i + n] for i in range(len(ids) - n + 1)] if n else []
            last = ids[len(ids) - n + 1 :] if n else []
            words = {t for t, p in enumerate(log_probs) if t != EOS and p > -math.inf}
            words = {token for token in words if [*last, token] not in ngrams}
            tokens = words | ({EOS} if length > min_length or not words else set())
            continuations += [(log_prob + log_probs[token], prefix, token) for token in tokens]
        continuations = sorted((c for c in continuations if c[0] > -math.inf), reverse=True)
        ended = [
            (total, prefix) for total, prefix, token in continuations[:beam_size] if token == EOS
        ]
        finished += [
            (score(total, length, config.length_penalty, config.token_bonus), list(prefix), total)
            for total, prefix in ended
        ]
        beam = [((*prefix, token), total) for total, prefix, token in continuations if token != EOS]
        beam = beam[:beam_size]
        if config.patience is None:
            is_over = beam_size == 1 and len(finished) > 0
        else:
            is_over = len(finished) >= config.patience * beam_size
        if is_over:
            beam = []
    finished += [
        (
            score(log_prob, max_length, config.length_penalty, config.token_bonus),
            list(prefix),
            log_prob,
        )
        for prefix, log_prob in beam
    ]
    return sorted(finished, reverse=True)[: config.num_returned]


def assert_equal_to_plain(row, expected):
    assert [hypothesis.ids for hypothesis in row] == [ids for _, ids, _ in expected]
    scores = [hypothesis.score for hypothesis in row]
    assert scores == pytest.approx([best for best, _, _ in expected], abs=1e-9)
    log_probs = [hypothesis.log_prob for hypothesis in row]
    assert log_probs == pytest.approx([log_prob for _, _, log_prob in expected], abs=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"length_penalty": 1.0, "patience": 1},
        {"length_penalty": 0.0, "token_bonus": 0.8, "patience": 2},
        {"length_penalty": 0.5, "token_bonus": 0.2, "patience": 0.5},
        {"length_penalty": 0.0},
        {"length_penalty": 1.0},
        {"length_penalty": 2.0, "token_bonus": -0.5},
        {"length_penalty": -0.5, "token_bonus": 0.7},
        {"length_penalty": 1.0, "patience": 1, "num_hypotheses": 1},
        {"length_penalty": 0.7, "num_hypotheses": 1},
    ],
)
@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_beam_search_equals_its_plain_version(seed, beam_size, options):
    model, config = make_lstm(seed, 9), BeamConfig(beam_size, **options)
    (row,) = beam_search(model, bos(), None, beam=config, max_length=6)
    assert_equal_to_plain(row, plain_beam_search(model, config, 6))


@pytest.mark.parametrize("min_length, n", [(0, 1), (2, None), (3, 2), (5, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_beam_search_under_rules_equals_its_plain_version(seed, min_length, n):
    model, config = make_lstm(seed, 9), BeamConfig(3)
    prompts = [[BOS, 4, 5, 4], [BOS, 6], [BOS, 6, 6]]
    results = beam_search(
        model,
        pad(prompts, PAD),
        beam=config,
        max_length=5,
        rules=TokenRules(min_length, n),
    )
    for row, prompt in zip(results, prompts, strict=True):
        assert_equal_to_plain(row, plain_beam_search(model, config, 5, prompt, min_length, n))


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_the_safe_end_comes_before_the_last_step_and_changes_nothing(length_penalty):
    def search(patience, count):
        model, calls = FixedLogits([0.0, 0.0, 1.5, 0.0, 1.0, 0.5]), []
        model.register_forward_hook(lambda *call: calls.append(call))
        config = BeamConfig(
            4, length_penalty=length_penalty, patience=patience, num_hypotheses=count
        )
        (row,) = beam_search(model, bos(), beam=config, max_length=30)
        return [hypothesis.ids for hypothesis in row], len(calls)

    four, calls_of_four = search(None, 4)
    one, calls_of_one = search(None, 1)
    assert calls_of_one <= calls_of_four < 30
    assert one == four[:1]
    assert search(math.inf, 4) == (four, 30)
    assert search(math.inf, 1) == (one, 30)


@pytest.mark.parametrize("options", [{"length_penalty": 1.0}, {"token_bonus": 0.3}])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_safe_end_changes_none_of_the_hypotheses_that_are_returned(count, options):
    for seed in range(12):
        model, prompt = make_lstm(seed, V), torch.tensor([[BOS, 4], [BOS, 5]])
        safe, unstopped = (
            beam_search(
                model,
                prompt,
                beam=BeamConfig(4, num_hypotheses=count, patience=patience, **options),
                max_length=12,
            )
            for patience in (None, math.inf)
        )
        assert safe == unstopped, seed
        assert [len(row) for row in safe] == [count] * 2


def test_scores_are_those_of_a_teacher_forced_call():
    model, config = make_lstm(3, 9), BeamConfig(4, length_penalty=0.7)
    for hypothesis in beam_search(model, bos(), beam=config, max_length=6)[0]:
        ids = hypothesis.ids if len(hypothesis.ids) == 6 else [*hypothesis.ids, EOS]
        log_prob = token_log_probs(model, ids).sum().item()
        assert hypothesis.log_prob == pytest.approx(log_prob, abs=1e-9)
        assert hypothesis.score == pytest.approx(log_prob / ((5 + len(ids)) / 6) ** 0.7, abs=1e-9)


# ---- the end of a search ------------------------------------------------------------------------


class NextTokenTable(nn.Module):
    """p(next | last token), from a dictionary of dictionaries."""

    def __init__(self, rows):
        super().__init__()
        self.table = torch.full((V, V), -math.inf)
        for last, row in rows.items():
            for token, p in row.items():
                self.table[last, token] = math.log(p)

    def forward(self, ids, state=None):
        return self.table[ids], state


def test_a_hypothesis_ends_only_among_the_best_continuations():
    """After 5, EOS is the third best continuation of two: it is passed over, not taken."""
    model = NextTokenTable(
        {
            BOS: {4: 0.5, 5: 0.45, EOS: 0.05},
            4: {EOS: 0.6, 4: 0.4},
            5: {EOS: 0.42, 5: 0.4, 4: 0.18},
        }
    )
    (row,) = beam_search(model, bos(), beam=BeamConfig(2, length_penalty=0.0), max_length=3)
    ids = [hypothesis.ids for hypothesis in row]
    assert ids[0] == [4]
    assert [5] not in ids


class LongText(nn.Module):
    """After each of ten words the next has probability 0.97 and EOS 0.01; then EOS is certain."""

    def __init__(self):
        super().__init__()
        self.table = torch.full((20, 20), math.log(0.02 / 17))
        for last, following in zip((BOS, *range(4, 13)), range(4, 14), strict=True):
            self.table[last, following], self.table[last, EOS] = math.log(0.97), math.log(0.01)
        self.table[13:, EOS] = 20.0

    def forward(self, ids, state=None):
        return self.table[ids], state


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("beam_size", [1, 2, 5, 9])
def test_a_search_finds_a_long_text_far_better_than_its_first_finished_ones(
    beam_size, length_penalty
):
    expected = list(range(4, 14))
    config = BeamConfig(beam_size, length_penalty=length_penalty)
    (row,) = beam_search(LongText(), bos(), beam=config, max_length=30)
    assert row[0].ids == expected
    assert row[0].log_prob > -0.34
    (best,) = best_sequences(LongText(), bos(), None, beam=config, max_length=30)
    assert best == expected
    if beam_size == 5 and length_penalty == 1.0:  # the old rule
        config = BeamConfig(5, patience=1)
        (row,) = beam_search(LongText(), bos(), beam=config, max_length=30)
        assert len(row[0].ids) < 10
        assert row[0].log_prob < -4


def test_a_search_ends_with_its_last_hypothesis_though_longer_ones_might_score_better():
    """With patience; without, a beam of one ends so too, as greedy search does."""
    model = FixedLogits([0.0, 0.0, 1.2, 0.0, 1.0, -9.0])
    for patience in (None, 1):
        config = BeamConfig(1, length_penalty=6.0, patience=patience)
        (row,) = beam_search(model, bos(), beam=config, max_length=6)
        assert [hypothesis.ids for hypothesis in row] == [[]]
    for ranking in (
        {"length_penalty": 6.0},
        {"length_penalty": 0.0, "token_bonus": 2.0},
    ):  # with more patience
        config = BeamConfig(1, patience=3, **ranking)
        (row,) = beam_search(model, bos(), beam=config, max_length=6)
        assert [hypothesis.ids for hypothesis in row] == [[4, 4]]


def test_length_normalization_favours_longer_hypotheses():
    model = FixedLogits([0.0, 0.0, 1.2, 0.0, 1.0, -9.0])
    short, long = (
        beam_search(model, bos(), beam=BeamConfig(6, length_penalty=length_penalty), max_length=6)[
            0
        ][0].ids
        for length_penalty in (0.0, 6.0)
    )
    assert len(short) < len(long)


# ---- greedy search or a beam ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "beam",
    [None, BeamConfig(4), BeamConfig(4, length_penalty=0.0, token_bonus=9.0, patience=3)],
    ids=["greedy", "beam", "options"],
)
def test_the_best_sequences_are_those_of_greedy_search_or_the_best_hypotheses(beam):
    model = make_translator(7, 12, factor=5)
    prompt, state = bos(8), model.begin(torch.randint(4, 12, (8, 3)))
    if beam is None:
        expected = greedy_search(model, prompt, state, max_length=6)
    else:
        hypotheses = beam_search(model, prompt, state, beam=beam, max_length=6)
        expected = [ranked[0].ids for ranked in hypotheses]
    assert best_sequences(model, prompt, state, beam=beam, max_length=6) == expected
    assert len(set(map(tuple, expected))) > 2


# ---- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("beam_size", [0, -1, 2.5, 2.0, True, math.nan])
def test_a_beam_size_that_is_not_a_positive_integer_is_refused(beam_size):
    with pytest.raises(ValueError, match=f"beam_size must be a positive integer, got {beam_size}"):
        BeamConfig(beam_size)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, 1e308, -1e9])
@pytest.mark.parametrize("option, limit", [("length_penalty", 10.0), ("token_bonus", 1e6)])
def test_a_term_of_the_score_that_may_overflow_is_refused(option, limit, value):
    message = f"{option} must be a number from -{limit} to {limit}, got {value}"
    with pytest.raises(ValueError, match=re.escape(message)):
        BeamConfig(**{option: value})


@pytest.mark.parametrize("limit", [-1, 1])
def test_scores_are_finite_for_the_largest_terms_of_a_score(limit):
    config = BeamConfig(3, length_penalty=10.0 * limit, token_bonus=1e6 * limit)
    (row,) = beam_search(make_lstm(0, 9), bos(), beam=config, max_length=10)
    assert len(row) == 3
    assert all(math.isfinite(hypothesis.score) for hypothesis in row)
    assert math.isfinite(config.highest_score(-1e9, 1, 10**12))


@pytest.mark.parametrize("patience", [0, -1, math.nan])
def test_a_patience_that_is_not_positive_is_refused(patience):
    with pytest.raises(ValueError, match=f"patience must be a positive number .*, got {patience}"):
        BeamConfig(patience=patience)


@pytest.mark.parametrize("count", [0, -1, 6, 1.5, True, math.nan])
def test_a_number_of_hypotheses_that_a_beam_cannot_return_is_refused(count):
    message = f"num_hypotheses must be an integer from 1 to 5, got {count}"
    with pytest.raises(ValueError, match=message):
        BeamConfig(5, num_hypotheses=count)
