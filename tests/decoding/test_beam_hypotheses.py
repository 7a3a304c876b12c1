"""The hypotheses after one prompt: what becomes of continuations, and when a search ends."""

import math

import pytest

from utils.data.vocabulary import EOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_hypotheses import BeamHypotheses, Continuation


def search_after(continuations, config, max_length=9):
    search = BeamHypotheses(config, max_length=max_length)
    search.advance([Continuation(*continuation) for continuation in continuations])
    return search


def test_the_beam_is_filled_up_with_hypotheses_that_are_never_continued():
    search = search_after([(-1.0, 0, 4), (-math.inf, 0, 5)], BeamConfig(3))
    assert [partial.ids for partial in search.beam] == [(4,)] * 3
    assert search.log_probs() == [-1.0, -math.inf, -math.inf]
    search.advance([Continuation(-2.0, 0, 5), Continuation(-math.inf, 1, 5)])
    assert search.log_probs() == [-2.0, -math.inf, -math.inf]


def test_forced_tokens_are_read_before_the_search_begins():
    search = BeamHypotheses(BeamConfig(2), forced_tokens=[7, EOS], max_length=3)
    for token in (7, EOS):
        search.advance([Continuation(-0.1, 0, 4), Continuation(-0.2, 0, EOS)])
        assert search.next_ids == [token] * 2
        assert search.log_probs() == [0.0, -math.inf]
        assert search.length == 0
        assert not search.finished
    search.advance([Continuation(-0.1, 0, 4), Continuation(-0.2, 0, EOS)])
    assert search.length == 1
    assert [h.ids for h in search.finished] == [[]]
    assert search.next_ids == [4, 4]


def test_a_search_goes_on_while_a_partial_hypothesis_is_more_probable():
    config = BeamConfig(2, length_penalty=0.0, num_hypotheses=1)
    assert search_after([(-0.1, 0, 4), (-2.0, 0, EOS), (-3.0, 0, 5)], config).beam
    assert not search_after([(-2.0, 0, EOS), (-2.0, 0, 4)], config).beam, "it can at most be equal"


def test_a_search_goes_on_while_length_normalization_may_favour_a_longer_text():
    config = BeamConfig(2, length_penalty=1.0, num_hypotheses=1)
    assert search_after([(-2.0, 0, EOS), (-2.1, 0, 4)], config).beam
    assert not search_after([(-2.0, 0, EOS), (-2.5, 0, 4)], config, max_length=2).beam


def test_a_search_goes_on_while_the_token_bonus_may_favour_a_longer_text():
    config = BeamConfig(2, length_penalty=0.0, token_bonus=1.0, num_hypotheses=1)
    assert search_after([(-2.0, 0, EOS), (-9.0, 0, 4)], config).beam
    assert not search_after([(-2.0, 0, EOS), (-9.0, 0, 4)], config, max_length=7).beam


def test_a_search_goes_on_until_it_has_all_hypotheses_that_it_returns():
    continuations = [(-0.1, 0, EOS), (-5.0, 0, 4)]
    assert search_after(continuations, BeamConfig(3, length_penalty=0.0)).beam
    assert search_after([(-2.0, 0, EOS), (-2.0, 0, 4)], BeamConfig(2, length_penalty=1.0)).beam
    single = BeamConfig(3, length_penalty=0.0, num_hypotheses=1)
    assert not search_after(continuations, single).beam


def test_a_search_goes_on_while_the_last_of_its_hypotheses_can_be_overtaken():
    config = BeamConfig(2, length_penalty=0.0)
    search = search_after([(-0.1, 0, EOS), (-1.0, 0, 4)], config)
    search.advance([Continuation(-2.0, 0, 4), Continuation(-3.0, 0, EOS)])
    assert search.beam, "-2.0 may overtake -3.0, though not -0.1"
    search.advance([Continuation(-2.5, 0, EOS), Continuation(-2.6, 0, 4)])
    assert not search.beam
    assert [h.log_prob for h in search.finished] == [-0.1, -2.5]


def test_patience_ends_a_search_even_if_partial_hypotheses_are_better():
    continuations = [(-0.1, 0, 4), (-2.0, 0, EOS), (-3.0, 0, 5)]
    assert not search_after(continuations, BeamConfig(2, patience=0.5)).beam
    assert search_after(continuations, BeamConfig(2, patience=1)).beam


def test_only_the_best_finished_hypotheses_are_kept_and_all_count_for_patience():
    search = BeamHypotheses(
        BeamConfig(2, length_penalty=0.0, num_hypotheses=1, patience=1.5), max_length=9
    )
    for log_prob in (-2.0, -1.0, -3.0):
        assert search.beam
        search.advance([Continuation(log_prob, 0, EOS), Continuation(-0.5, 0, 4)])
    assert not search.beam
    assert [h.log_prob for h in search.finished] == [-1.0]


def test_at_the_maximum_length_the_beam_counts_as_finished():
    config = BeamConfig(3, length_penalty=0.0)
    search = search_after([(-1.0, 0, 4), (-2.0, 0, EOS)], config, max_length=1)
    assert not search.beam
    assert [h.ids for h in search.finished] == [[4], []]


def test_a_maximum_length_of_zero_gives_the_empty_hypothesis():
    (only,) = BeamHypotheses(BeamConfig(3), max_length=0).finished
    assert (only.ids, only.score) == ([], 0.0)


@pytest.mark.parametrize("length_penalty", [-1.5, -0.5, 0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("token_bonus", [-2.0, -0.1, 0.0, 0.1, 2.0])
def test_no_continuation_scores_more_than_the_bound(length_penalty, token_bonus):
    config = BeamConfig(length_penalty=length_penalty, token_bonus=token_bonus)
    for log_prob in (0.0, -0.01, -3.0, -200.0):
        for shortest, longest in ((1, 1), (1, 9), (4, 60)):
            bound = config.highest_score(log_prob, shortest, longest)
            scores = [
                config.score(log_prob - loss, length)
                for loss in (0.0, 0.1, 5.0)
                for length in range(shortest, longest + 1)
            ]
            assert max(scores) <= bound + 1e-12
            if length_penalty * token_bonus >= 0:
                assert max(scores) == pytest.approx(bound), "the bound is reached"
