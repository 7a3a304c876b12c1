"""NBSVM: a linear classifier of texts on n-grams weighted by naive Bayes.

Derived in section 9.1; Wang and Manning 2012. NumPy and scikit-learn compute it, not torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from utils.arguments import check_choice, check_number, check_positive

Loss: TypeAlias = Literal["squared hinge", "logistic"]
"""The name of a loss of the linear classifier."""

LOSSES: tuple[Loss, ...] = get_args(Loss)


class NBSVM:
    """A support vector machine or a logistic regression on naive Bayes' log-count ratios.

    Texts are split at spaces. Each n-gram of the training texts is a feature: its log-count ratio
    where the text contains the n-gram, else 0. The coefficients of the linear classifier are then
    interpolated with their mean magnitude.

    Source: Wang and Manning 2012.

    Parameters
    ----------
    order
        The largest n.
    alpha
        Smoothing constant above 0, added to each count before the ratios are computed.
    C
        Inverse regularization strength, as in scikit-learn: the weight of the loss relative to the
        penalty on the squared norm of the classifier's coefficients.
    interpolation
        Factor β of each learned coefficient, from 0 to 1; the mean magnitude of all
        coefficients has the factor 1 − β.
    loss
        "squared hinge", the loss of a support vector machine, or "logistic".

    Attributes
    ----------
    vectorizer : CountVectorizer
        Maps texts to the n-grams that they contain.
    classifier : LinearSVC or LogisticRegression
        The linear classifier of scikit-learn.
    log_ratio : numpy.ndarray
        Log-count ratios (F,) of the F features; like the following two, set by `fit`.
    coefficients : numpy.ndarray
        Interpolated coefficients, (F,).
    intercept : float
        The classifier's intercept.

    Raises
    ------
    ValueError
        For an unknown loss, an order that is not a positive integer, an interpolation outside
        [0, 1], or an alpha or C that is not positive.

    Examples
    --------
    >>> from utils.models.nbsvm import NBSVM
    >>> texts = ["a good film", "good fun", "a bad film", "bad , very bad"]
    >>> model = NBSVM().fit(texts, [1, 1, 0, 0])
    >>> (model.decision_function(["a good day", "a bad day"]) > 0).tolist()
    [True, False]
    """

    def __init__(
        self,
        *,
        order: int = 2,
        alpha: float = 1.0,
        C: float = 1.0,
        interpolation: float = 0.25,
        loss: Loss = "squared hinge",
    ) -> None:
        check_positive(order=order)
        check_number(minimum=0, maximum=1, interpolation=interpolation)
        check_number(above=0, alpha=alpha, C=C)
        self.vectorizer = CountVectorizer(
            token_pattern=r"\S+", ngram_range=(1, order), binary=True, lowercase=False
        )
        self.alpha, self.interpolation = alpha, interpolation
        self.classifier = _linear_classifier(loss, C)

    def fit(self, texts: Sequence[str], labels: Sequence[int]) -> NBSVM:
        """Learn to classify from texts and their labels.

        Parameters
        ----------
        texts
            N training texts.
        labels
            Their labels, 0 or 1.

        Returns
        -------
        model : NBSVM
            This classifier itself.

        Raises
        ------
        ValueError
            Unless there is one label for each text, and the labels are 0 and 1 and both occur.
        """
        texts = list(texts)  # they may come from a generator
        label_array = _as_labels(labels, len(texts))  # (N,)
        counts = self.vectorizer.fit_transform(texts)  # (N, F)
        self.log_ratio = log_count_ratio(counts, label_array, alpha=self.alpha)
        features = counts.multiply(self.log_ratio).tocsr()  # (N, F)
        learned = self.classifier.fit(features, label_array).coef_[0]  # (F,)
        beta = self.interpolation
        self.coefficients = (1 - beta) * np.abs(learned).mean() + beta * learned
        self.intercept = float(self.classifier.intercept_[0])
        return self

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return a number for each of N texts, (N,): above 0 for class 1, below 0 for class 0."""
        features = self.vectorizer.transform(texts).multiply(self.log_ratio)  # (N, F)
        decisions: np.ndarray = features @ self.coefficients + self.intercept
        return decisions


def log_count_ratio(
    counts: sparse.spmatrix | sparse.sparray | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    *,
    alpha: float = 1.0,
) -> np.ndarray:
    """Compute the log-count ratio of naive Bayes for each feature.

    Source: ``eq-nb-ratio`` (section 9.1); Wang and Manning 2012.

    Parameters
    ----------
    counts
        The count of each of F features in each of N texts, (N, F).
    labels
        The label of each text, 0 or 1, (N,).
    alpha
        Smoothing constant above 0, added to each count.

    Returns
    -------
    log_ratio : numpy.ndarray
        The logarithm of each feature's relative frequency in class 1 over that in class 0, (F,).

    Raises
    ------
    ValueError
        Unless there is one label for each text, the labels are 0 and 1 and both occur, no count is
        negative or not finite, and alpha is positive.
    """
    check_number(above=0, alpha=alpha)  # log 0 is not finite
    rows = sparse.csr_array(counts)  # (N, F)
    if not (np.isfinite(rows.data) & (rows.data >= 0)).all():
        raise ValueError("a count is negative or not finite; counts are numbers from 0")
    label_array = _as_labels(labels, rows.shape[0])  # (N,)
    positive, negative = (rows[label_array == label].sum(0) + alpha for label in (1, 0))  # (F,)
    log_ratios: np.ndarray = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    return log_ratios


def _as_labels(labels: Sequence[int] | np.ndarray, num_texts: int) -> np.ndarray:
    """Return the labels of N texts as an array, (N,), checked."""
    label_array = np.asarray(labels)
    if label_array.shape != (num_texts,):
        raise ValueError(
            f"expected one label for each of {num_texts} texts; got shape {label_array.shape}"
        )
    if set(label_array.tolist()) != {0, 1}:
        values = sorted(set(label_array.tolist()))
        raise ValueError(f"labels must be 0 and 1, both at least once; got {values}")
    return label_array


def _linear_classifier(loss: Loss, C: float) -> LinearSVC | LogisticRegression:
    """Return scikit-learn's linear classifier with one of `LOSSES`."""
    check_choice(LOSSES, loss=loss)
    if loss == "logistic":
        return LogisticRegression(C=C, solver="liblinear", random_state=0)
    return LinearSVC(C=C, random_state=0)
