"""Whether the difference in BLEU between two translation systems could be chance (section 6.1).

The test is approximate randomization (Riezler and Maxwell 2005), computed by sacrebleu.
"""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest, Result

from utils.metrics.text import check_aligned


def paired_bleu_p_value(
    first: Sequence[str], second: Sequence[str], references: Sequence[str], *, trials: int = 10_000
) -> float:
    """Return the p-value of the difference in corpus BLEU (13a) between two systems.

    In each trial the two systems' answers to each sentence are swapped with probability one half.
    The p-value is (c + 1) / (n + 1), where c is the number of the n trials in which the difference
    is larger than the real one (sacrebleu does not count ties): small if the systems really differ.
    It is set to 1 if their answers are identical. The trials are seeded.

    Source: ``eq-randomization`` (section 6.1); Riezler and Maxwell 2005.

    Parameters
    ----------
    first, second
        The answers of the two systems as plain text, in the order of `references`.
    references
        One reference for each sentence.
    trials
        The number n of trials.

    Returns
    -------
    float
        The p-value, above 0 and at most 1.

    Raises
    ------
    ValueError
        If the lists differ in length or are empty.
    """
    check_aligned(first, references)
    check_aligned(second, references)
    if list(first) == list(second):
        return 1.0  # no difference is larger than 0, so sacrebleu would return its smallest p-value
    systems: list[tuple[str, Sequence[str]]] = [("first", list(first)), ("second", list(second))]
    test = PairedTest(systems, {"BLEU": BLEU()}, [list(references)], "ar", n_samples=trials)
    _, results = test()
    comparison = results["BLEU"][1]  # of the second system with the first
    assert isinstance(comparison, Result) and comparison.p_value is not None
    return float(comparison.p_value)
