"""Beam search against plain definitions, with models known by the contract alone."""

import itertools
import math

import pytest
import torch
from torch import nn

from tests.helpers.decoding_models import FixedLogits, bos, make_lstm, make_translator
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.beam_search import BeamConfig, beam_search
from utils.decoding.search import greedy_search

V = 6  # four special tokens and two words


def token_log_probs(model, ids):
    """log p of each token of one row of ids, by one teacher-forced call, without PAD and BOS."""
    with torch.no_grad():
        logits, _ = model(torch.tensor([[BOS, *ids[:-1]]]))
    logits[..., [PAD, BOS]] = -math.inf
    return logits[0].double().log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]


def score(log_prob, length, alpha, token_bonus):
    return log_prob / ((5 + length) / 6) ** alpha + token_bonus * length


def ids_of(results):
    return [[hypothesis.ids for hypothesis in row] for row in results]


# ---- batches and prompts ------------------------------------------------------------------------


def test_a_batch_is_searched_as_its_rows_alone():
    model = make_translator(38, 9, num_layers=1, factor=3)
    source = torch.randint(4, 9, (6, 5))
    row_states = [model.encode(source[i : i + 1]) for i in range(6)]
    config = BeamConfig(3)
    together = beam_search(model, bos(6), model.encode(source), config, max_length=8)
    alone = [beam_search(model, bos(), row, config, max_length=8)[0] for row in row_states]
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
    results = beam_search(model, prompt, config=config, max_length=6)
    assert results == beam_search(model, prompt[:, -1:], state, config, max_length=6)


# ---- beam search against definitions ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_a_beam_of_one_is_greedy(seed):
    model, prompt = make_lstm(seed, 9), torch.tensor([[BOS, 4], [BOS, 5], [BOS, 6]])
    results = beam_search(model, prompt, config=BeamConfig(1), max_length=7)
    assert [row[0].ids for row in results] == greedy_search(model, prompt, max_length=7)
    assert all(len(row) == 1 for row in results)


def test_the_random_models_end_early_and_late():
    lengths = [len(greedy_search(make_lstm(seed, 9), bos(), max_length=7)[0]) for seed in range(40)]
    assert min(lengths) < 3 and max(lengths) == 7, "the test above covers both"


def exhaustive_search(model, max_length, alpha, token_bonus):
    """All hypotheses up to `max_length` tokens with their scores, best first."""
    words = [token for token in range(V) if token not in (PAD, BOS, EOS)]
    finished = []
    for length in range(max_length + 1):
        for prefix in itertools.product(words, repeat=length):
            ids = list(prefix) if length == max_length else [*prefix, EOS]
            if ids:
                log_prob = token_log_probs(model, ids).sum().item()
                finished.append((score(log_prob, len(ids), alpha, token_bonus), list(prefix)))
    return sorted(finished, reverse=True)


@pytest.mark.parametrize(("alpha", "token_bonus"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.5), (1.0, 0.3)])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_is_exhaustive_search(seed, alpha, token_bonus):
    model, max_length = make_lstm(seed, V), 4
    expected = exhaustive_search(model, max_length, alpha, token_bonus)
    beam_size = len(expected) + 9  # more than there are hypotheses
    config = BeamConfig(beam_size, alpha=alpha, token_bonus=token_bonus)
    (row,) = beam_search(model, bos(), None, config, max_length=max_length)
    assert [hypothesis.ids for hypothesis in row] == [ids for _, ids in expected]
    scores = torch.tensor([hypothesis.score for hypothesis in row])
    assert torch.allclose(scores, torch.tensor([best for best, _ in expected]), atol=1e-6)


def plain_beam_search(model, config, max_length):
    """Beam search as its docstring says it, one hypothesis at a time, without a state."""
    beam, finished, beam_size = [((), 0.0)], [], config.beam_size
    ranking = config.alpha, config.token_bonus
    for length in range(1, max_length + 1):
        continuations = []
        for prefix, log_prob in beam:
            logits = model(torch.tensor([[BOS, *prefix]]))[0][0, -1].detach()
            logits[[PAD, BOS]] = -math.inf
            log_probs = logits.log_softmax(-1).tolist()
            continuations += [(log_prob + p, prefix, token) for token, p in enumerate(log_probs)]
        continuations = sorted((c for c in continuations if c[0] > -math.inf), reverse=True)
        ended = [
            (total, prefix) for total, prefix, token in continuations[:beam_size] if token == EOS
        ]
        finished += [(score(total, length, *ranking), list(prefix)) for total, prefix in ended]
        beam = [((*prefix, token), total) for total, prefix, token in continuations if token != EOS]
        beam = beam[:beam_size]
        if len(finished) >= config.patience * beam_size:
            beam = []
    finished += [(score(log_prob, max_length, *ranking), list(prefix)) for prefix, log_prob in beam]
    return sorted(finished, reverse=True)[:beam_size]


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 1.0},
        {"alpha": 0.0, "token_bonus": 0.8, "patience": 2},
        {"alpha": 0.5, "token_bonus": 0.2, "patience": 0.5},
    ],
)
@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_beam_search_is_its_plain_version(seed, beam_size, options):
    model, config = make_lstm(seed, 9), BeamConfig(beam_size, **options)
    (row,) = beam_search(model, bos(), None, config, max_length=6)
    expected = plain_beam_search(model, config, 6)
    assert [hypothesis.ids for hypothesis in row] == [ids for _, ids in expected]
    scores = [hypothesis.score for hypothesis in row]
    assert scores == pytest.approx([best for best, _ in expected])


def test_scores_are_those_of_a_teacher_forced_call():
    model, config = make_lstm(3, 9), BeamConfig(4, alpha=0.7)
    for hypothesis in beam_search(model, bos(), config=config, max_length=6)[0]:
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
    (row,) = beam_search(model, bos(), config=BeamConfig(2, alpha=0.0), max_length=3)
    ids = [hypothesis.ids for hypothesis in row]
    assert ids[0] == [4] and [5] not in ids


def test_a_search_ends_with_its_last_hypothesis_though_longer_ones_might_score_better():
    model = FixedLogits([0.0, 0.0, 1.2, 0.0, 1.0, -9.0])
    (row,) = beam_search(model, bos(), config=BeamConfig(1, alpha=6.0), max_length=6)
    assert [hypothesis.ids for hypothesis in row] == [[]]
    for ranking in ({"alpha": 6.0}, {"alpha": 0.0, "token_bonus": 2.0}):  # with more patience
        config = BeamConfig(1, patience=3, **ranking)
        (row,) = beam_search(model, bos(), config=config, max_length=6)
        assert [hypothesis.ids for hypothesis in row] == [[4, 4]]


def test_length_normalization_favours_longer_hypotheses():
    model = FixedLogits([0.0, 0.0, 1.2, 0.0, 1.0, -9.0])
    short, long = (
        beam_search(model, bos(), config=BeamConfig(6, alpha=alpha), max_length=6)[0][0].ids
        for alpha in (0.0, 6.0)
    )
    assert len(short) < len(long)


@pytest.mark.parametrize("beam_size", [0, -1, 2.5, 2.0, True, math.nan])
def test_a_beam_size_that_is_no_whole_number_from_one_is_refused(beam_size):
    with pytest.raises(ValueError, match=f"beam_size must be a whole number from 1, .*{beam_size}"):
        BeamConfig(beam_size)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("option", ["alpha", "token_bonus"])
def test_a_score_that_would_be_no_number_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be a finite number, got {value}"):
        BeamConfig(**{option: value})


@pytest.mark.parametrize("patience", [0, -1, math.nan])
def test_a_patience_that_is_not_positive_is_refused(patience):
    with pytest.raises(ValueError, match="patience must be positive"):
        BeamConfig(patience=patience)
