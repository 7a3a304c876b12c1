"""Comparison of both recipes in equal time: the part "comparison" of the stored results."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from benchmarks.characters.loss_curves import LossCurve
from benchmarks.characters.nanogpt import train_baseline
from benchmarks.characters.recipes import (
    BOOK_RECIPE,
    NANOGPT_RECIPE,
    train_recipe,
    with_validations,
)
from benchmarks.characters.task import CharacterTask

RUN_NAMES = ("baseline", "book", "quarter")
TIME_FRACTION = 0.97  # of the baseline's time that the book's recipe is planned to take
TRIAL_STEPS, NUM_TRIALS = 20, 3  # to measure how long a step takes


def compare_over_seeds(
    task: CharacterTask, *, num_seeds: int, baseline_steps: int, book_steps: int | None = None
) -> dict[str, Any]:
    """Compare the recipes from each seed, and return what is stored of it.

    Parameters
    ----------
    task
        The data.
    num_seeds
        The number of seeds, from 0 on.
    baseline_steps
        Training steps of the baseline.
    book_steps
        Training steps of the book's recipe; by default as many as take equal time.

    Returns
    -------
    part : dict
        The summary and the curves of all runs.
    """
    if book_steps is None:
        book_steps = equal_time_steps(task, baseline_steps)
    runs = [
        compare_recipes(task, seed=seed, baseline_steps=baseline_steps, book_steps=book_steps)
        for seed in range(num_seeds)
    ]
    stored_runs = [{name: asdict(curve) for name, curve in run.items()} for run in runs]
    return {"summary": summarize(runs), "runs": stored_runs}


def compare_recipes(
    task: CharacterTask, *, seed: int, baseline_steps: int, book_steps: int
) -> dict[str, LossCurve]:
    """Train both recipes in turn, then the book's alone for a quarter of its steps.

    Parameters
    ----------
    task
        The data.
    seed
        Seed of the parameters and of the order of the data.
    baseline_steps
        Training steps of the baseline.
    book_steps
        Training steps of the book's recipe.

    Returns
    -------
    curves : dict
        The curves of "book", "quarter" and "baseline".
    """
    baseline_losses: list[tuple[int, float]] = []
    baseline_valid = task.valid_batches()
    baseline_config = with_validations(NANOGPT_RECIPE.config, baseline_steps)
    baseline = train_baseline(task, baseline_valid, baseline_config, seed=seed)

    def advance_baseline() -> None:
        """Train the baseline until its next validation."""
        baseline_losses.extend(islice(baseline, 1))

    curves = {
        "book": train_recipe(
            task,
            BOOK_RECIPE,
            config=with_validations(BOOK_RECIPE.config, book_steps),
            valid=task.valid_batches(),
            seed=seed,
            after_validation=advance_baseline,
        ),
        "quarter": train_recipe(
            task,
            BOOK_RECIPE,
            config=with_validations(BOOK_RECIPE.config, book_steps // 4),
            valid=task.valid_batches(),
            seed=seed,
        ),
        "baseline": LossCurve.from_readings(baseline_losses, baseline_valid.readings),
    }
    for name, curve in curves.items():
        print(f"seed {seed} {name:9s} {curve.losses[-1]:.4f} nats, {curve.processor[-1]:.0f} s")
    return curves


def equal_time_steps(task: CharacterTask, baseline_steps: int) -> int:
    """Return how many steps of the book's recipe fit into the time of the baseline's.

    Parameters
    ----------
    task
        The data.
    baseline_steps
        Training steps of the baseline.

    Returns
    -------
    book_steps : int
        The number of steps, by the median time of a step in short trials.
    """
    trial = replace(task, valid=task.train[:100])
    baseline_config = replace(NANOGPT_RECIPE.config, steps=TRIAL_STEPS, validate_every=TRIAL_STEPS)
    book_config = replace(BOOK_RECIPE.config, steps=TRIAL_STEPS)
    baseline_seconds, book_seconds = [], []
    for _ in range(NUM_TRIALS):
        valid = trial.valid_batches()
        list(train_baseline(trial, valid, baseline_config, seed=0))
        baseline_seconds.append(valid.readings[-1].processor)
        valid = trial.valid_batches()
        train_recipe(trial, BOOK_RECIPE, config=book_config, valid=valid, seed=0)
        book_seconds.append(valid.readings[-1].processor)
    ratio = statistics.median(baseline_seconds) / statistics.median(book_seconds)
    return int(TIME_FRACTION * baseline_steps * ratio)


def summarize(runs: Sequence[dict[str, LossCurve]]) -> dict[str, Any]:
    """Return means over the seeds: last losses, and times as fractions of the baseline's."""

    def over_seeds(figure: Callable[[dict[str, LossCurve], str], float]) -> dict[str, Any]:
        return {name: mean_and_sd([figure(run, name) for run in runs]) for name in RUN_NAMES}

    fractions = [fraction for run in runs if (fraction := time_to_baseline(run)) is not None]
    return {
        "final_loss": over_seeds(lambda run, name: run[name].losses[-1]),
        "time_over_baseline": over_seeds(
            lambda run, name: run[name].processor[-1] / run["baseline"].processor[-1]
        ),
        "book_reaches_baselines_best_at_part_of_its_time": (
            mean_and_sd(fractions) if fractions else None
        ),
    }


def time_to_baseline(run: dict[str, LossCurve]) -> float | None:
    """Return after which fraction of the baseline's time the book's recipe reaches its lowest loss.

    The result is None if the book's recipe never reaches it.
    """
    seconds = run["book"].seconds_to(min(run["baseline"].losses))
    return None if seconds is None else seconds / run["baseline"].processor[-1]


def mean_and_sd(values: Sequence[float]) -> dict[str, float | None]:
    """Return {"mean", "sd"} to 4 decimals; the standard deviation of one value is None."""
    deviation = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return {"mean": round(statistics.mean(values), 4), "sd": deviation}
