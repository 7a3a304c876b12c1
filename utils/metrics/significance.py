"""Whether the difference in BLEU between two translation systems could be chance (section 6.1).

The test is approximate randomization (Riezler and Maxwell 2005), computed by sacrebleu.
"""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest, Result

from utils.metrics.text import check_aligned


def paired_bleu_p_value(
    first_hypotheses: Sequence[str],
    second_hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    num_trials: int = 10_000,
) -> float:
    """Compute the p-value of the difference in corpus BLEU (13a) between two systems.

    In each trial the two hypotheses of each sentence are swapped with probability one half. The
    p-value is (c + 1) / (n + 1), where c is the number of the n trials in which the difference is
    larger than the real one (sacrebleu does not count ties): small if the systems really differ.
    It is set to 1 if their hypotheses are identical. The trials are seeded.

    Source: ``eq-randomization`` (section 6.1); Riezler and Maxwell 2005.

    Parameters
    ----------
    first_hypotheses, second_hypotheses
        The translations of the two systems as plain text, in the order of `references`.
    references
        One reference for each sentence.
    num_trials
        The number n of trials.

    Returns
    -------
    p_value : float
        Above 0 and at most 1.

    Raises
    ------
    ValueError
        If the lists differ in length or are empty.
    """
    check_aligned(first_hypotheses, references)
    check_aligned(second_hypotheses, references)
    first, second = list(first_hypotheses), list(second_hypotheses)
    if first == second:
        return 1.0  # no difference is larger than 0, so sacrebleu would return its smallest p-value
    systems: list[tuple[str, Sequence[str]]] = [("first", first), ("second", second)]
    test = PairedTest(systems, {"BLEU": BLEU()}, [list(references)], "ar", n_samples=num_trials)
    _, results = test()
    comparison = results["BLEU"][1]  # of the second system with the first
    assert isinstance(comparison, Result) and comparison.p_value is not None
    return float(comparison.p_value)
