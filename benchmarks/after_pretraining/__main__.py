"""What changes a small GPT after pretraining: for section 8.4.

    python -m benchmarks.after_pretraining                      some six minutes on one quiet core
    python -m benchmarks.after_pretraining rewards --arms GRPO  one arm of a part

Each arm has its learning rate tuned by itself: rates a factor of two apart are tried with two
seeds that are used for nothing else, more of them while a rate at an edge is not worse than the
best; of equal rates the smallest is taken. Rates are chosen by the right answers to questions of
their own, and figures measured on others. The arms of the part "length" maximize the length of
answers at one rate: no rate is the best at what it does not maximize. Trials and runs are rows of
book/results/after_pretraining.json; a run that was stopped goes on. The stored results have five
seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.after_pretraining.parts import INSTRUCTED, PARTS, Recipe, run_arm
from benchmarks.tuning import FACTOR, MAX_TRIALS, run_missing, trial_score
from utils.console import make_output_safe

TUNING_SEEDS = (100, 101)
TIE = 1e-9  # errors that differ by less are equal
ORIGIN = "real"  # questions and sentences are drawn, and replace no corpus


def trial_errors(
    name: str, recipe: Recipe, *, start_rate: float | None, rows: result_files.SeedRows
) -> dict[float, float]:
    """Return the errors of the rates that `tune_counts` tries; each trial is a row.

    Parameters
    ----------
    name
        The name of the arm.
    recipe
        What it trains and how.
    start_rate
        The rate that instructed its start.
    rows
        The rows of the trials.

    Returns
    -------
    scores : dict of float to float
        The errors by rate; of an arm with a single rate None was tried.
    """
    if len(recipe.rates) == 1:
        return {recipe.rates[0]: 0.0}

    def score(rate: float) -> float:
        settings = recipe.settings(start_rate) | {"learning_rate": rate, "grid": None}
        return trial_score(
            rows,
            f"{name}, rate {rate:g}",
            seeds=TUNING_SEEDS,
            settings=settings,
            run=partial(run_arm, recipe, start_rate, rate=rate, is_trial=True),
            figure="selection error",
        )

    return tune_counts(score, recipe.rates)


def best(scores: Mapping[float, float]) -> float:
    """Return the rate of the lowest error, and of equal ones the smallest."""
    lowest = min(scores.values())
    return min(rate for rate, score in scores.items() if score <= lowest + TIE)


def open_edge(scores: Mapping[float, float]) -> float | None:
    """Return the next rate beyond an edge that is not worse than the best rate, or None.

    Parameters
    ----------
    scores
        The errors by rate. They are shares of counts, so that equal ones occur.

    Returns
    -------
    rate : float or None
        The rate below the lowest one, or above the highest one.
    """
    lowest, rates = min(scores.values()), sorted(scores)
    if scores[rates[0]] <= lowest + TIE:
        return rates[0] / FACTOR
    return rates[-1] * FACTOR if scores[rates[-1]] <= lowest + TIE else None


def tune_counts(score: Callable[[float], float], rates: Sequence[float]) -> dict[float, float]:
    """Try all rates, and more until both edges are worse than the best.

    Parameters
    ----------
    score
        The error of a rate.
    rates
        The rates that are tried in any case.

    Returns
    -------
    scores : dict of float to float
        The errors by rate, in the order of the rates.

    Raises
    ------
    RuntimeError
        If an edge is still as good as the best after MAX_TRIALS rates.
    """
    scores = {rate: score(rate) for rate in rates}
    while (rate := open_edge(scores)) is not None:
        if len(scores) >= MAX_TRIALS:
            raise RuntimeError(f"the best rate is at an edge of those tried: {scores}")
        scores[rate] = score(rate)
    return dict(sorted(scores.items()))


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("after_pretraining", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, [0, 1, 2])
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, PARTS)
    torch.set_num_threads(1)
    run = result_files.Run.start("after_pretraining", arguments)

    def rows_of(part: str) -> result_files.SeedRows:
        return result_files.SeedRows(options.out, run, part=part, origin=ORIGIN)

    start_rate = best(
        trial_errors("mixed", INSTRUCTED, start_rate=None, rows=rows_of("instruction, trials"))
    )
    for part, arms in chosen.items():
        for name, recipe in arms.items():
            needed = start_rate if recipe.is_instructed else None
            scores = trial_errors(name, recipe, start_rate=needed, rows=rows_of(f"{part}, trials"))
            rate = best(scores)
            settings = recipe.settings(needed) | {"learning_rate": rate, "grid": list(scores)}
            run_one = partial(run_arm, recipe, needed, rate=rate)
            run_missing(rows_of(part), name, seeds=options.seeds, settings=settings, run=run_one)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
