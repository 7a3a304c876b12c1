"""Classifiers without a learning rate: naive Bayes, NBSVM, and a linear one on frozen vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from benchmarks.reviews.features import fit_linear, sentence_vectors
from benchmarks.reviews.task import Reviews, as_digits
from utils.data.examples import LabelledReview
from utils.models.nbsvm import NBSVM, log_count_ratio
from utils.notebook.seed_results import COSTS, SETTINGS

DecisionFunction = Callable[
    [Sequence[str]], np.ndarray
]  # a number for each text, above 0 for label 1


def fit_naive_bayes(examples: Sequence[LabelledReview], alpha: float) -> DecisionFunction:
    """Fit binarized multinomial naive Bayes on words and pairs of words.

    Source: ``eq-nb-posterior`` (section 9.1).

    Parameters
    ----------
    examples
        Sentences with their labels.
    alpha
        Smoothing constant.

    Returns
    -------
    decision_function : function
        The log odds of label 1 for each text.
    """
    texts, labels = zip(*examples, strict=True)
    vectorizer, counts = _counts(texts)
    log_ratio = log_count_ratio(counts, labels, alpha=alpha)
    share = float(np.mean(labels))
    intercept = float(np.log(share / (1 - share)))
    return lambda new: vectorizer.transform(new) @ log_ratio + intercept


def fit_logistic(examples: Sequence[LabelledReview], C: float) -> DecisionFunction:
    """Fit logistic regression on words and pairs of words, and return its decision function."""
    texts, labels = zip(*examples, strict=True)
    vectorizer, counts = _counts(texts)
    classifier = fit_linear(counts, labels, C=C)
    return lambda new: classifier.decision_function(vectorizer.transform(new))


@lru_cache(maxsize=2)
def _counts(texts: tuple[str, ...]) -> tuple[CountVectorizer, sparse.csr_matrix]:
    """Return a vectorizer of words and pairs of words, and the features of N texts, (N, F)."""
    vectorizer = NBSVM().vectorizer
    return vectorizer, vectorizer.fit_transform(texts)


def fit_tf_idf(examples: Sequence[LabelledReview], C: float) -> DecisionFunction:
    """Fit logistic regression on TF-IDF of words and pairs, and return its decision function."""
    texts, labels = zip(*examples, strict=True)
    vectorizer, features = _tf_idf(texts)
    classifier = fit_linear(features, labels, C=C)
    return lambda new: classifier.decision_function(vectorizer.transform(new))


@lru_cache(maxsize=2)
def _tf_idf(texts: tuple[str, ...]) -> tuple[TfidfVectorizer, sparse.csr_matrix]:
    """Return a TF-IDF vectorizer, and the features of N texts, (N, F)."""
    vectorizer = TfidfVectorizer(
        token_pattern=r"\S+", ngram_range=(1, 2), binary=True, lowercase=False
    )
    return vectorizer, vectorizer.fit_transform(texts)


def fit_scaled_logistic(examples: Sequence[LabelledReview], C: float) -> DecisionFunction:
    """Fit logistic regression on features scaled by their log-count ratios."""
    texts, labels = zip(*examples, strict=True)
    scaled = NBSVM(order=2, alpha=0.5, C=C, interpolation=1.0, loss="logistic")
    return scaled.fit(texts, labels).decision_function


def fit_nbsvm(examples: Sequence[LabelledReview], C: float) -> DecisionFunction:
    """Fit `NBSVM` on words and pairs of words, and return its decision function."""
    texts, labels = zip(*examples, strict=True)
    return NBSVM(order=2, alpha=0.5, C=C).fit(texts, labels).decision_function


def fit_minilm(examples: Sequence[LabelledReview], C: float) -> DecisionFunction:
    """Fit logistic regression on frozen sentence vectors, and return its decision function."""
    texts, labels = zip(*examples, strict=True)
    classifier = fit_linear(sentence_vectors(texts), labels, C=C)

    def decision_function(new: Sequence[str]) -> np.ndarray:
        decisions: np.ndarray = classifier.decision_function(sentence_vectors(new))
        return decisions

    return decision_function


Fit = Callable[[Sequence[LabelledReview], float], DecisionFunction]
METHODS: dict[str, tuple[Fit, tuple[float, ...]]] = {  # with the values of C that are tried
    "naive Bayes": (fit_naive_bayes, (1.0,)),  # its α
    "NBSVM": (fit_nbsvm, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
    "MiniLM, frozen": (fit_minilm, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)),
}


def settings_of(name: str, count: int | None) -> dict[str, Any]:
    """Return the settings of a method that rows store."""
    return dict.fromkeys(SETTINGS) | {"labels": count, "values of C": list(METHODS[name][1])}


def run_method(
    name: str, task: Reviews, count: int | None, *, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit a method with each C, choose one on the validation sentences, and test it.

    Parameters
    ----------
    name
        One of METHODS.
    task
        The sentences.
    count
        How many labels it learns from; None for all.
    seed
        Seed of their choice.

    Returns
    -------
    figures : dict
        Accuracy on the test sentences and on those for validation, in per cent, the smallest of the
        best values of C, and which test sentences are judged right.
    costs : dict
        Seconds of the processor.
    """
    start = time.process_time()
    examples = task.labelled(count, seed=seed)
    learn, values = METHODS[name]
    tried = [
        (
            classify_right(decision_function := learn(examples, C), task.valid).mean(),
            C,
            decision_function,
        )
        for C in values
    ]
    best = max(tried, key=lambda entry: entry[0])  # of equal ones the first, with the smallest C
    is_right = classify_right(best[2], task.test)
    figures = {
        "accuracy": 100 * float(is_right.mean()),
        "validation accuracy": 100 * float(best[0]),
        "C": best[1],
        "right": as_digits(is_right),
    }
    seconds = round(time.process_time() - start, 2)
    return figures, dict.fromkeys(COSTS) | {"processor_seconds": seconds}


def classify_right(
    decision_function: DecisionFunction, examples: Sequence[LabelledReview]
) -> np.ndarray:
    """Return which of N sentences are classified correctly, (N,) bool."""
    texts, labels = zip(*examples, strict=True)
    is_right: np.ndarray = (decision_function(texts) > 0) == np.array(labels)
    return is_right
