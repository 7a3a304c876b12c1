"""The LSTM translator of section 5.2: the order of its source, and a longer training.

    python -m benchmarks.seq2seq                     some thirteen minutes on one quiet core
    python -m benchmarks.seq2seq order --seeds 0 1

Captions of Multi30k, German to English. Both arms of the part "order" have their own learning rate:
rates a factor of two apart are tried with a seed that is used for nothing else, more of them while
the best is at an edge. Validation sentences choose rates and parameters, test sentences report.
The part "control" is the same decoder without a source, tuned alike, in the same batches.
The part "long" trains one model on more pairs, and stores its translations and searches; beside it
is one without a source. Their rate was not tuned. Trials and runs are rows of
book/results/seq2seq.json; a run that was stopped goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.seq2seq.task import (
    LONG,
    LONG_NO_SOURCE,
    LONG_RATE,
    NO_SOURCE,
    ORDERS,
    RATES,
    TUNING_SEEDS,
    Recipe,
    Task,
)
from benchmarks.seq2seq.training import run_trial
from benchmarks.tuning import Arm, run_missing, tune_arm
from utils.console import make_output_safe

PARTS = ("order", "control", "long")


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("seq2seq", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_seeds(parser, [0, 1, 2], meaning="of order, control")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("seq2seq", arguments), Task.load()

    def rows(part: str) -> result_files.SeedRows:
        return result_files.SeedRows(options.out, run, part=part, origin=task.origin)

    tuned_parts = {"order": ORDERS, "control": {"no source": NO_SOURCE}}
    for part, arms in tuned_parts.items():
        if part in options.parts:
            trials, runs = rows(f"{part}, trials"), rows(part)
            for arm, recipe in arms.items():
                compare(task, arm, recipe=recipe, seeds=options.seeds, trials=trials, rows=runs)
    if "long" in options.parts:
        for arm, recipe in {"LSTM": LONG, "no source": LONG_NO_SOURCE}.items():
            trial = partial(run_trial, recipe, task, rate=LONG_RATE)
            run_missing(
                rows("long"), arm, seeds=[0], settings=recipe.settings(LONG_RATE, None), run=trial
            )


def compare(
    task: Task,
    arm: str,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
) -> None:
    """Tune the rate of an arm, and run its seeds that have no row yet.

    Parameters
    ----------
    task
        The data.
    arm
        The name of the arm.
    recipe
        What it trains and how.
    seeds
        The seeds of the runs.
    trials, rows
        The rows of the trials and of the runs.
    """
    run = partial(run_trial, recipe, task)
    tuned = Arm(recipe.settings(None, None), partial(run, is_tuning=True), RATES)
    settings = tune_arm(arm, tuned, seeds=TUNING_SEEDS, trials=trials, figure="validation loss")
    run_at_rate = partial(run, rate=settings["learning_rate"])
    run_missing(rows, arm, seeds=seeds, settings=settings, run=run_at_rate)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
