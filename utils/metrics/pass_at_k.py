"""pass@k: the chance that at least one of k answers is right (Chen et al. 2021)."""

from __future__ import annotations

from math import comb

from utils.arguments import check_integer


def pass_at_k(num_drawn: int, num_right: int, k: int) -> float:
    """Estimate the chance that at least one of `k` answers is right, without a bias.

    It is the share of the sets of `k` of the drawn answers that have a right one.

    Source: ``eq-pass-at-k`` (section 8.4); Chen et al. 2021, eq. 1.

    Parameters
    ----------
    num_drawn
        The number of answers drawn to one question.
    num_right
        How many of them are right.
    k
        From 1 to `num_drawn`.

    Returns
    -------
    chance : float
        The estimate, from 0 to 1.

    Raises
    ------
    ValueError
        If a number is not an integer of its range.

    Examples
    --------
    >>> from utils.metrics.pass_at_k import pass_at_k
    >>> pass_at_k(4, 1, 2)  # 3 of 6 pairs have the right one
    0.5
    """
    check_integer(minimum=1, num_drawn=num_drawn)
    check_integer(minimum=0, maximum=num_drawn, num_right=num_right)
    check_integer(minimum=1, maximum=num_drawn, k=k)
    return 1 - comb(num_drawn - num_right, k) / comb(num_drawn, k)
