"""Pairs of an encoder and a decoder, each with its own tuned learning rate: for section 3.2.

    python -m benchmarks.pairings     some ten minutes on one core

Each arm has its learning rate tuned by itself: rates a factor of two apart are tried with two seeds
that are used for nothing else, and more of them while the best is at an edge. What counts is the
number of wrong answers on the selection pairs. Then the arm runs with all seeds and is measured on
the reporting pairs. Trials and runs are rows of book/results/pairings.json; a run that was stopped
goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import command_line, record
from benchmarks.pairings.parts import ARMS, Arm
from benchmarks.pairings.task import Task
from benchmarks.pairings.training import run_trial, settings
from benchmarks.tuning import trial_score, tune
from utils.console import make_output_safe

TUNING_SEEDS = (100, 101)
FIRST_RATES = (0.008, 0.016, 0.032)


def tune_arm(name: str, arm: Arm, *, task: Task, rows: record.SeedRows) -> dict[float, float]:
    """Tune the rate of an arm; each trial is a row and is run once only.

    Parameters
    ----------
    name
        The name of the arm.
    arm
        What is trained and how.
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
        def run(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
            trial = run_trial(arm, task, rate=rate, seed=seed)
            return trial.figures | {"score": trial.score}, trial.costs

        of_trial = settings(arm) | {"learning_rate": rate, "grid": None}
        trial_name = f"{name}, rate {rate:g}"
        return trial_score(
            rows, trial_name, seeds=TUNING_SEEDS, settings=of_trial, run=run, figure="score"
        )

    return tune(score, FIRST_RATES)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("pairings", __doc__)
    parser.add_argument("--arms", nargs="+", metavar="ARM", default=list(ARMS), choices=ARMS)
    parser.add_argument(
        "--seeds", type=command_line.non_negative_integer, nargs="+", default=list(range(5))
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = record.Run.start("pairings", arguments), Task.make()
    trials, rows = (
        record.SeedRows(options.out, run, part=part, origin="real") for part in ("trials", "runs")
    )  # numbers are spelled, no corpus is read
    for name in options.arms:
        arm = ARMS[name]
        scores = tune_arm(name, arm, task=task, rows=trials)
        rate = min(scores, key=lambda rate: scores[rate])
        of_arm = settings(arm) | {"learning_rate": rate, "grid": list(scores)}
        for seed in rows.missing(name, options.seeds, of_arm):
            trial = run_trial(arm, task, rate=rate, seed=seed)
            rows.write(name, seed, figures=trial.figures, settings=of_arm, costs=trial.costs)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
