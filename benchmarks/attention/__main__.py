"""What attention aligns, and soft and hard choices: for section 4.2.

    python -m benchmarks.attention                     some ten minutes on one quiet core
    python -m benchmarks.attention choice              one part
    python -m benchmarks.attention choice --arms soft

Each arm has its learning rate tuned by itself: rates a factor of two apart are tried with two seeds
that are used for nothing else, more of them while the best is at an edge. Rates are chosen by the
loss on strings or sentences of their own, and figures measured on others. The translations are
those of the stand-in grammar, whose words have gold links; baselines without a network are
measured on the same sentences. Trials and runs are rows of book/results/attention.json; a run that
was stopped goes on. The stored alignments have three seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.attention.counting import IBMModel1
from benchmarks.attention.parts import PARTS
from benchmarks.attention.task import (
    Translation,
    align_diagonally,
    align_to_first_gold,
    alignment_error_rate,
    drawn_error_rate,
)
from benchmarks.attention.training import run_trial
from benchmarks.tuning import Arm, run_tuned_arm
from utils.console import make_output_safe
from utils.notebook.seed_results import COSTS, SETTINGS

TUNING_SEEDS = (100, 101)
ORIGIN = "real"  # strings and sentences are drawn, and replace no corpus


def measure_baselines(task: Translation, rows: result_files.SeedRows) -> None:
    """Write the alignment errors of baselines and of the best links, which have no seed.

    Parameters
    ----------
    task
        The sentence pairs and their gold links.
    rows
        Where the errors are stored.
    """
    settings = dict.fromkeys(SETTINGS) | {"pairs": len(task.train)}
    counted = IBMModel1(task.train, vocab_size=task.vocab_size)
    aligners = {
        "diagonal": [align_diagonally(pair) for pair in task.linked],
        "IBM Model 1": [counted.align(*pair) for pair in task.reporting],
        "one gold link": [align_to_first_gold(pair) for pair in task.linked],
    }
    errors = {name: alignment_error_rate(links, task.linked) for name, links in aligners.items()}
    errors["chance"] = drawn_error_rate(task.linked)
    costs = dict.fromkeys(COSTS)
    for name, error in errors.items():
        for seed in rows.missing(name, [0], settings):
            figures = {"alignment error": error}
            rows.write(name, seed, figures=figures, settings=settings, costs=costs)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("attention", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, range(7))
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, PARTS)
    torch.set_num_threads(1)
    run = result_files.Run.start("attention", arguments)
    for part, arms in chosen.items():
        task = Translation.make() if part == "alignment" else None
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=ORIGIN)
            for name in (f"{part}, trials", part)
        )
        if task:
            measure_baselines(task, rows)
        for arm, recipe in arms.items():
            run_tuned_arm(
                arm,
                Arm(recipe.settings(), partial(run_trial, recipe, task), recipe.rates),
                tuning_seeds=TUNING_SEEDS,
                seeds=options.seeds,
                trials=trials,
                rows=rows,
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
