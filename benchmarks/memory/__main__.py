"""How far back recurrent networks learn to reach, by their start, their cell and their training.

    python -m benchmarks.memory                       some four minutes on one quiet core
    python -m benchmarks.memory recall                one part
    python -m benchmarks.memory recall --arms minGRU  one arm

Each arm has its own learning rate: rates are tried with one or two seeds that are used for nothing
else, more of them while the best is at an edge. The recall task can be solved: where several rates
end below SOLVED nats, the middle one, or the lower of two, is taken. An arm that learns at none of
the rates (its loss stays within LEARNED nats of a guess) keeps the best. Rates are chosen by the
first fifth of the validation text, or by sequences of their own, and figures measured elsewhere.
Trials and runs are rows of book/results/memory.json; a run that was stopped goes on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence

import torch

from benchmarks import record, tuning
from benchmarks.memory.parts import PARTS
from benchmarks.memory.task import NUM_SYMBOLS, Characters
from benchmarks.memory.training import Recipe, run_trial
from utils.console import make_output_safe

MAX_TRIALS = 8
LEARNED = 0.02  # nats below a guess
SOLVED = 0.05  # nats of the recall task


def tune(
    score: Callable[[float], float], rates: Sequence[float], *, guess: float = math.inf
) -> dict[float, float]:
    """Try all rates, and more until the best has a worse one on each side.

    Parameters
    ----------
    score
        The loss for a rate.
    rates
        The rates that are tried in any case.
    guess
        The loss of a guess in a task that can be solved; infinite in one that cannot. Where a
        rate solves it, or none is better than a guess by LEARNED nats, no others are tried.

    Returns
    -------
    scores : dict of float to float
        The losses by rate, in the order of the rates.

    Raises
    ------
    RuntimeError
        If the best rate is still at an edge after MAX_TRIALS trials.
    """

    def is_decided(best: float) -> bool:
        return math.isfinite(guess) and not SOLVED < best <= guess - LEARNED

    return tuning.tune(score, rates, max_trials=MAX_TRIALS, is_decided=is_decided)


def best_rate(scores: Mapping[float, float], *, can_be_solved: bool) -> float:
    """Return the rate of the lowest loss, or the middle one of those that solve."""
    solving = [rate for rate in sorted(scores) if scores[rate] < SOLVED]
    if can_be_solved and solving:
        return solving[(len(solving) - 1) // 2]
    return min(scores, key=lambda rate: scores[rate])


def tune_arm(
    arm: str, recipe: Recipe, task: Characters, rows: record.SeedRows
) -> dict[float, float]:
    """Tune the rate of an arm by `tune`; each trial is a row and is run once only.

    Parameters
    ----------
    arm
        The name of the arm.
    recipe
        What it trains and how.
    task
        The data.
    rows
        The rows of the trials.

    Returns
    -------
    scores : dict of float to float
        The scores by rate.
    """

    def score(rate: float) -> float:
        settings = recipe.settings() | {"learning_rate": rate, "grid": None}
        return tuning.trial_score(
            rows,
            f"{arm}, rate {rate:g}",
            recipe.tuning_seeds,
            settings,
            lambda seed: run_trial(recipe, task, rate=rate, seed=seed),
            figure="selection loss",
        )

    guess = math.inf if recipe.delay is None else math.log(NUM_SYMBOLS)
    return tune(score, recipe.rates, guess=guess)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("memory", __doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these arms of the parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3)))
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    run, task = record.Run.start("memory", arguments), Characters.load()
    for part in options.parts or PARTS:
        trials, rows = (
            record.SeedRows(options.out, run, part=name, origin=task.origin)
            for name in (f"{part}, trials", part)
        )
        for arm, recipe in PARTS[part].items():
            if options.arms and arm not in options.arms:
                continue
            scores = tune_arm(arm, recipe, task, trials)
            rate = best_rate(scores, can_be_solved=recipe.delay is not None)
            settings = recipe.settings() | {"learning_rate": rate, "grid": list(scores)}
            for seed in rows.missing(arm, options.seeds, settings):
                figures, costs = run_trial(recipe, task, rate=rate, seed=seed)
                rows.write(arm, seed, figures=figures, settings=settings, costs=costs)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
