"""Choices of training, each with its own tuned learning rate: for section 3.1.

    python -m benchmarks.optimization                      some fifteen minutes on one quiet core
    python -m benchmarks.optimization depth                one part
    python -m benchmarks.optimization depth --arms residual

Each arm has its learning rate tuned by itself: tried are the rates of a grid, which is the same for
all arms of one optimizer in a part and spans more than a decade, with two seeds that are used for
nothing else. The grid is extended while the best rate is at its edge. Then the arm runs with all
seeds. Rates are chosen by the selection split and figures measured on the reporting split: two
parts of the validation text. The runs of plain deep networks differ much from seed to seed; the
stored ones were tuned with five seeds (`--tuning-seeds 100 101 102 103 104`).
Trials and runs are rows of book/results/optimization.json; a run that was stopped goes on.
The stored schedules and batch sizes are older: they were tuned with one seed and three or four
rates. A new run tunes them as described.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.optimization.parts import PARTS
from benchmarks.optimization.task import Task
from benchmarks.optimization.training import run_trial
from benchmarks.tuning import Arm, run_tuned_arm
from utils.console import make_output_safe

TUNING_SEEDS = (100, 101)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("optimization", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, range(5))
    command_line.add_seeds(parser, TUNING_SEEDS, option="--tuning-seeds", meaning="of the trials")
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, PARTS)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("optimization", arguments), Task.load()
    for part, arms in chosen.items():
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=task.origin)
            for name in (f"{part}, trials", part)
        )
        for arm, recipe in arms.items():
            run_tuned_arm(
                arm,
                Arm(recipe.settings(), partial(run_trial, recipe, task), recipe.rates),
                tuning_seeds=options.tuning_seeds,
                seeds=options.seeds,
                trials=trials,
                rows=rows,
                figure="score",
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
