"""Whether the difference in BLEU between two translation systems could be chance (section 6.1).

The test is approximate randomization (Riezler and Maxwell 2005) on the n-gram counts of sacrebleu
(Post 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics import BLEU

from utils.arguments import check_positive
from utils.conversions import as_strings
from utils.metrics.randomization import randomization_p_value
from utils.metrics.sacrebleu_inputs import References, as_reference_lists, make_bleu_metric

_TOLERANCE = 1e-9  # BLEU; differences this close are equal


def paired_bleu_p_value(
    first_hypotheses: Sequence[str],
    second_hypotheses: Sequence[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    num_trials: int = 10_000,
) -> float:
    """Compute the p-value of the difference in corpus BLEU between two systems.

    It is the probability of a difference at least as large as the observed one if a coin flip for
    each sentence decides whether the systems exchange their hypotheses. Only the d sentences whose
    hypotheses differ in their n-gram counts matter. If all 2^d exchanges are at most `num_trials`,
    each is evaluated and the p-value is exact; it is 1 for equal hypotheses. Otherwise `num_trials`
    random exchanges are evaluated, and the p-value is (c + 1) / (`num_trials` + 1), where c of them
    gave a difference at least as large. The coin flips are seeded.

    Source: ``eq-randomization`` (section 6.1); Riezler and Maxwell 2005.

    Parameters
    ----------
    first_hypotheses, second_hypotheses
        The translations of the two systems as plain text, in the order of `references`.
    references
        One reference for each sentence, or several lists of references, as for `bleu`.
    tokenize, lowercase
        As for `bleu`: "zh" for Chinese.
    num_trials
        The maximum number of exchanges.

    Returns
    -------
    p_value : float
        Above 0 and at most 1.

    Raises
    ------
    ValueError
        If `bleu` rejects an argument, the systems differ in their number of hypotheses, or
        `num_trials` is not a positive integer.

    Examples
    --------
    >>> from utils.metrics.significance import paired_bleu_p_value
    >>> references = ["the cat sat on the mat", "a dog barked at me", "it rained all day"]
    >>> worse = ["a cat sat on the mat", "the dog barked at me", "it rained all days"]
    >>> paired_bleu_p_value(references, worse, references)
    0.25
    """
    check_positive(num_trials=num_trials)
    # effective_order changes no counts; without it sacrebleu warns of single sentences
    metric = make_bleu_metric(tokenize=tokenize, lowercase=lowercase, effective_order=True)
    first_texts = as_strings(first_hypotheses, name="hypotheses")
    reference_lists = as_reference_lists(first_texts, references)  # perhaps read only once
    first, second = (
        _sentence_counts(metric, hypotheses, reference_lists)  # (N, 10)
        for hypotheses in (first_texts, second_hypotheses)
    )
    return randomization_p_value(first, second, _bleu, num_trials=num_trials, tolerance=_TOLERANCE)


def _sentence_counts(metric: BLEU, hypotheses: Sequence[str], references: References) -> np.ndarray:
    """Return the counts of BLEU for each sentence, (N, 10): matches, n-grams, and two lengths."""
    hypotheses = as_strings(hypotheses, name="hypotheses")
    reference_lists = as_reference_lists(hypotheses, references)
    rows = []
    for hypothesis, *texts in zip(hypotheses, *reference_lists, strict=True):
        score = metric.sentence_score(hypothesis, [text for text in texts if text is not None])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    return np.array(rows, dtype=np.int64)


def _bleu(counts: np.ndarray) -> float:
    """Return the BLEU of the counts of a corpus, (10,)."""
    *ngrams, hypothesis_length, reference_length = counts.tolist()
    return BLEU.compute_bleu(
        ngrams[:4], ngrams[4:], hypothesis_length, reference_length, smooth_method="exp"
    ).score
