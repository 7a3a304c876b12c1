"""The tuning of a learning rate: a grid that is extended until its best is inside.

Rates are a factor of two apart. Trials are rows of a file of results, as runs are, so that each is
made once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from benchmarks.result_files import SeedRows

FACTOR = 2.0  # between two rates
MAX_TRIALS = 9
DIVERGED = 20.0  # nats: what a run counts whose loss is larger or no number

Figures = dict[str, Any]
Costs = dict[str, Any]


def next_rate(scores: Mapping[float, float], *, max_trials: int = MAX_TRIALS) -> float | None:
    """Return the rate to try next, or None if the best one has a worse one on each side.

    Parameters
    ----------
    scores
        The score of each rate tried; a lower one is better.
    max_trials
        The largest number of rates.

    Returns
    -------
    rate : float or None
        The next rate beyond the edge at which the best one is.

    Raises
    ------
    RuntimeError
        If the best rate is still at an edge after `max_trials` trials.
    """
    best = min(scores, key=lambda rate: scores[rate])
    if min(scores) < best < max(scores):
        return None
    if len(scores) >= max_trials:
        raise RuntimeError(f"the best rate is at an edge of those tried: {dict(scores)}")
    return best / FACTOR if best == min(scores) else best * FACTOR


def tune(
    score: Callable[[float], float],
    rates: Sequence[float],
    *,
    max_trials: int = MAX_TRIALS,
) -> dict[float, float]:
    """Try all rates, and more until the best has a worse one on each side.

    Parameters
    ----------
    score
        Computes the score of a rate, which tuning minimizes.
    rates
        The rates that are tried in any case.
    max_trials
        The largest number of rates.

    Returns
    -------
    scores : dict of float to float
        The scores by rate, in the order of the rates.

    Raises
    ------
    RuntimeError
        As `next_rate` does.
    """
    scores = {rate: score(rate) for rate in rates}
    while (rate := next_rate(scores, max_trials=max_trials)) is not None:
        scores[rate] = score(rate)
    return dict(sorted(scores.items()))


def run_missing(
    rows: SeedRows,
    arm: str,
    *,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    run: Callable[..., tuple[Figures, Costs]],
) -> None:
    """Run the seeds of an arm that have no row yet, and write a row of each.

    Parameters
    ----------
    rows
        The rows to write.
    arm
        The name of the arm, or of the trials of one rate.
    seeds
        The seeds of its runs.
    settings
        Their settings, which rows store.
    run
        Returns figures and costs for the keyword argument `seed`.
    """
    for seed in rows.missing(arm, seeds, settings):
        figures, costs = run(seed=seed)
        rows.write(arm, seed, figures=figures, settings=settings, costs=costs)


def trial_score(
    rows: SeedRows,
    trial: str,
    *,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    run: Callable[..., tuple[Figures, Costs]],
    figure: str,
) -> float:
    """Run the trials of a rate that have no row yet, and return the mean of a figure of all.

    Parameters
    ----------
    rows
        The rows of the trials.
    trial
        The name of these ones.
    seeds
        The seeds of the trials.
    settings
        Their settings, which rows store.
    run
        Returns figures and costs for the keyword argument `seed`.
    figure
        The name of the figure.

    Returns
    -------
    score : float
        The mean over seeds.
    """
    run_missing(rows, trial, seeds=seeds, settings=settings, run=run)
    return fmean(float(rows.figures(trial, seed)[figure]) for seed in seeds)


@dataclass(frozen=True)
class Arm:
    """One arm of a comparison: what is stored of it, and what runs it.

    Parameters
    ----------
    settings
        What is set before the run; of an arm that is tuned, all but the learning rate and the grid.
    run
        Returns figures and costs for the keyword argument `seed`, and of an arm that is tuned for
        `rate` too.
    rates
        The learning rates that tuning tries in any case.
    """

    settings: Mapping[str, Any]
    run: Callable[..., tuple[Figures, Costs]]
    rates: Sequence[float] = ()


def tune_arm(
    name: str, arm: Arm, *, seeds: Sequence[int], trials: SeedRows, figure: str = "selection loss"
) -> dict[str, Any]:
    """Tune the rate of an arm; each trial is a row and is run once.

    Parameters
    ----------
    name
        The name of the arm.
    arm
        Its settings, its run and its first rates.
    seeds
        The seeds of the trials.
    trials
        The rows of the trials.
    figure
        The name of the figure that tuning minimizes.

    Returns
    -------
    settings : dict
        The settings of the arm with the best "learning_rate" and the "grid" of all rates tried.
    """

    def score(rate: float) -> float:
        settings = {**arm.settings, "learning_rate": rate, "grid": None}
        trial, run = f"{name}, rate {rate:g}", partial(arm.run, rate=rate)
        return trial_score(trials, trial, seeds=seeds, settings=settings, run=run, figure=figure)

    scores = tune(score, arm.rates)
    best = min(scores, key=lambda rate: scores[rate])
    return {**arm.settings, "learning_rate": best, "grid": list(scores)}


def run_tuned_arm(
    name: str,
    arm: Arm,
    *,
    tuning_seeds: Sequence[int],
    seeds: Sequence[int],
    trials: SeedRows,
    rows: SeedRows,
    figure: str = "selection loss",
) -> None:
    """Tune the rate of an arm, and run the seeds that have no row yet.

    Parameters
    ----------
    name, arm
        As for `tune_arm`.
    tuning_seeds, seeds
        The seeds of the trials and of the runs.
    trials, rows
        The rows of the trials and of the runs.
    figure
        The name of the figure that tuning minimizes.
    """
    settings = tune_arm(name, arm, seeds=tuning_seeds, trials=trials, figure=figure)
    run = partial(arm.run, rate=settings["learning_rate"])
    run_missing(rows, name, seeds=seeds, settings=settings, run=run)


def finite_loss(loss: float) -> float:
    """Return a loss, or DIVERGED if it is larger or no number."""
    return min(DIVERGED, loss)  # of which the first stays where the second is no number
