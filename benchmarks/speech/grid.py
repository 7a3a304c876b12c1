"""The weight and the bonus of a language model, chosen from a grid that grows at its edges."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

BONUS_STEP, MAX_EXTENSIONS = 2.0, 8

Point = tuple[float, float]
"""A weight λ and a bonus γ."""


def grow_grid(
    score: Callable[[float, float], float], weights: Sequence[float], bonuses: Sequence[float]
) -> dict[Point, float]:
    """Score a grid of weights and bonuses, and extend it until its best is inside.

    Weights are extended by a factor of two, bonuses by a step of two.

    Parameters
    ----------
    score
        Computes the score of a weight and a bonus, which is minimized.
    weights, bonuses
        The grid in the beginning, in ascending order.

    Returns
    -------
    scores : dict of tuple of float to float
        The score of each weight and bonus that was tried.

    Raises
    ------
    RuntimeError
        If the best is still at an edge after `MAX_EXTENSIONS` extensions.
    """
    weights, bonuses = list(weights), list(bonuses)
    scores: dict[Point, float] = {}
    for _ in range(MAX_EXTENSIONS + 1):
        for point in itertools.product(weights, bonuses):
            if point not in scores:
                scores[point] = score(*point)
        weight, bonus = best_point(scores)
        if weight == weights[0]:
            weights.insert(0, weight / 2)
        elif weight == weights[-1]:
            weights.append(weight * 2)
        elif bonus == bonuses[0]:
            bonuses.insert(0, bonus - BONUS_STEP)
        elif bonus == bonuses[-1]:
            bonuses.append(bonus + BONUS_STEP)
        else:
            return scores
    raise RuntimeError(f"the best of the grid is at its edge: {scores}")


def best_point(scores: dict[Point, float]) -> Point:
    """Return the weight and bonus of the lowest score, the first of equal ones."""
    return min(scores, key=lambda point: scores[point])
