"""NBSVM: log-count ratios by hand, pairs of words, and coefficients of the least loss."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse

from utils.models.nbsvm import LOSSES, NBSVM, log_count_ratio


def test_the_log_count_ratio_equals_a_hand_worked_example():
    x = sparse.csr_matrix([[1, 0], [1, 1], [0, 1]])
    # class 1: counts (2, 1) plus 1 = (3, 2) of 5; class 0: (0, 1) plus 1 = (1, 2) of 3
    expected = [math.log((3 / 5) / (1 / 3)), math.log((2 / 5) / (2 / 3))]
    np.testing.assert_allclose(log_count_ratio(x, np.array([1, 1, 0])), expected)


@pytest.mark.parametrize(
    "container", [list, tuple, lambda labels: np.array(labels, dtype=bool), torch.tensor]
)
@pytest.mark.parametrize(
    "matrix", [sparse.csr_matrix, sparse.csr_array, sparse.coo_matrix, np.array]
)
def test_counts_and_labels_may_be_of_any_type(matrix, container):
    x = [[1, 0], [1, 1], [0, 1]]
    expected = [math.log((3 / 5) / (1 / 3)), math.log((2 / 5) / (2 / 3))]
    ratio = log_count_ratio(matrix(x), container([1, 1, 0]))
    assert ratio.shape == (2,)
    np.testing.assert_allclose(ratio, expected)


@pytest.mark.parametrize(
    "labels, alpha, message",
    [
        ((1, 1), 1, r"one label for each of 3 texts; got shape \(2,\)"),
        ([[1], [1], [0]], 1, r"got shape \(3, 1\)"),
        ((1, 1, 1), 1, r"both at least once; got \[1\]"),
        ((1, 2, 0), 1, r"labels must be 0 and 1"),
        ((1, 1, 0), 0, "alpha must be a positive number, got 0"),
        ((1, 1, 0), math.nan, "alpha must be a positive number, got nan"),
    ],
)
def test_labels_and_constants_without_a_ratio_are_refused(labels, alpha, message):
    with pytest.raises(ValueError, match=message):
        log_count_ratio(sparse.csr_matrix([[1, 0], [1, 1], [0, 1]]), labels, alpha=alpha)


@pytest.mark.parametrize("count", [-1, math.nan, math.inf])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match="negative or not finite"):
        log_count_ratio(np.array([[count, 1], [1, 2]]), [0, 1])


@pytest.mark.parametrize("loss", LOSSES)
def test_pairs_of_words_are_learned_where_no_single_word_suffices(loss):
    positive = ["not bad at all", "good fun"] * 6
    negative = ["not good at all", "bad fun"] * 6
    texts, labels = positive + negative, [1] * 12 + [0] * 12
    pairs = NBSVM(loss=loss).fit(texts, labels)
    assert ((pairs.decision_function(texts) > 0) == labels).all()
    single_words = NBSVM(order=1).fit(texts, labels)
    assert not ((single_words.decision_function(texts) > 0) == labels).all()


def test_features_are_all_n_grams_up_to_the_order():
    model = NBSVM(order=2).fit(["b a, B", "b"], [1, 0])
    assert sorted(model.vectorizer.vocabulary_) == ["B", "a,", "a, B", "b", "b a,"]
    assert model.vectorizer.transform(["b b b"]).max() == 1, "whether, not how often"


@pytest.mark.parametrize("loss", LOSSES)
def test_the_coefficients_are_where_the_loss_has_its_minimum(loss):
    texts, y = ["a b", "a", "b c", "c", "a c"], np.array([1, 1, -1, -1, 1])
    model = NBSVM(order=1, C=0.5, interpolation=1, loss=loss).fit(texts, (y + 1) // 2)
    x = model.vectorizer.transform(texts).multiply(model.log_ratio).toarray()  # (N, F)
    w, b = model.coefficients, model.intercept
    margin = y * (x @ w + b)
    if loss == "squared hinge":
        slope = -2 * np.maximum(0, 1 - margin)
    else:
        slope = -1 / (1 + np.exp(margin))
    gradient = w + 0.5 * (slope * y) @ x  # of |w|²/2 + b²/2 + C Σ loss(margin)
    assert np.abs(gradient).max() < 2e-3 and abs(b + 0.5 * (slope * y).sum()) < 2e-3
    np.testing.assert_allclose(model.decision_function(texts), x @ w + b)


def test_coefficients_are_interpolated_with_their_mean_magnitude():
    texts, labels = ["a a b", "a c", "a b c", "b", "c d", "d a"], [1, 1, 0, 0, 1, 0]
    learned = NBSVM(interpolation=1).fit(texts, labels).coefficients
    assert learned.min() < -0.01, "else the mean magnitude would be the mean"
    for beta in (0.0, 0.25):
        model = NBSVM(interpolation=beta).fit(texts, labels)
        expected = beta * learned + (1 - beta) * np.abs(learned).mean()
        np.testing.assert_allclose(model.coefficients, expected)


def test_a_fitted_model_can_be_pickled():
    model = NBSVM().fit(["a b", "a", "b c"], [1, 1, 0])
    copy = pickle.loads(pickle.dumps(model))
    texts = ["a c", "b d"]
    assert (copy.decision_function(texts) == model.decision_function(texts)).all()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="labels must be 0 and 1, both at least once"):
        NBSVM().fit(["a", "b"], [1, 1])
    with pytest.raises(ValueError, match="one label for each of 2 texts"):
        NBSVM().fit(["a", "b"], [1])
    for name in ("alpha", "C"):
        with pytest.raises(ValueError, match=f"^{name} must be a positive number"):
            NBSVM(**{name: -1})
    for interpolation in (2, -0.1):
        with pytest.raises(ValueError, match="interpolation must be a number from 0 to 1"):
            NBSVM(interpolation=interpolation)
    with pytest.raises(ValueError, match="choose from squared hinge, logistic"):
        NBSVM(loss="hinge")
