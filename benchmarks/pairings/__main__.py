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
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.pairings.parts import ARMS
from benchmarks.pairings.task import Task
from benchmarks.pairings.training import run_trial, settings
from benchmarks.tuning import Arm, run_tuned_arm
from utils.console import make_output_safe

TUNING_SEEDS = (100, 101)
FIRST_RATES = (0.008, 0.016, 0.032)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("pairings", __doc__)
    parser.add_argument("--arms", nargs="+", metavar="ARM", default=list(ARMS), choices=ARMS)
    command_line.add_seeds(parser, range(5))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("pairings", arguments), Task.make()
    trials, rows = (
        result_files.SeedRows(options.out, run, part=part, origin="real")
        for part in ("trials", "runs")
    )  # numbers are spelled, no corpus is read
    for name in options.arms:
        recipe = ARMS[name]
        run_tuned_arm(
            name,
            Arm(settings(recipe), partial(run_trial, recipe, task), FIRST_RATES),
            tuning_seeds=TUNING_SEEDS,
            seeds=options.seeds,
            trials=trials,
            rows=rows,
            figure="score",
        )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
