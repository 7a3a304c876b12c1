"""Attention scores: equal to their formulas, one query and one state at a time."""

import pytest
import torch

from tests.helpers.tensors import randn, same
from utils.models.attention_scores import (
    ATTENTION_SCORES,
    AdditiveScore,
    LocationScore,
    MultiplicativeScore,
    ScaledScore,
)

B, T, S, D = 2, 3, 4, 6


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def additive(score: AdditiveScore, query, state):
    hidden = torch.tanh(
        score.query_projection.weight @ query
        + score.key_projection.weight @ state
        + score.key_projection.bias
    )
    return score.score_projection.weight[0] @ hidden


def multiplicative(score: MultiplicativeScore, query, state):
    return query @ score.key_projection.weight @ state


def scaled(score: ScaledScore, query, state):
    return query @ score.key_projection.weight @ state / D**0.5


@pytest.mark.parametrize(
    "name, formula", [(f.__name__, f) for f in (additive, multiplicative, scaled)]
)
def test_a_score_equals_its_formula(name, formula):
    score = ATTENTION_SCORES[name](D).double()
    queries, states = randn(B, T, D), randn(B, S, D)
    scores = score(queries, score.key_projection(states))
    assert scores.shape == (B, T, S)
    for b in range(B):
        for t in range(T):
            for s in range(S):
                assert abs(scores[b, t, s] - formula(score, queries[b, t], states[b, s])) < 1e-12


def test_the_location_score_adds_features_of_the_previous_weights():
    score = LocationScore(D, num_filters=3, radius=2).double()
    query, states, previous_weights = randn(B, 1, D), randn(B, S, D), randn(B, S).softmax(-1)
    scores = score(query, score.key_projection(states), previous_weights)  # (B, 1, S)
    filters = score.convolution.weight[:, 0]  # (3, 5)
    assert filters.shape == (3, 5)
    for b in range(B):
        for s in range(S):
            positions = [r for r in range(S) if abs(r - s) <= 2]
            features = sum(filters[:, r - s + 2] * previous_weights[b, r] for r in positions)
            hidden = score.query_projection.weight @ query[b, 0] + score.key_projection(
                states[b, s]
            )
            hidden = torch.tanh(hidden + score.location_projection.weight @ features)
            assert abs(scores[b, 0, s] - score.score_projection.weight[0] @ hidden) < 1e-12


def test_without_previous_weights_the_location_score_is_additive():
    score = LocationScore(D).double()
    query, states = randn(B, 1, D), randn(B, S, D)
    keys = score.key_projection(states)
    zeros = torch.zeros(B, S, dtype=torch.float64)
    assert same(score(query, keys), score(query, keys, zeros))
    assert same(score(query, keys), AdditiveScore.forward(score, query, keys))
    with pytest.raises(AssertionError, match="scores need"):
        score(randn(B, 2, D), keys)
