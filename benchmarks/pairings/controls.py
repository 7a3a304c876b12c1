"""Controls of section 3.2: other numbers of steps, and errors of whole answers.

    python -m benchmarks.pairings.controls                    some ten minutes on one core
    python -m benchmarks.pairings.controls answers --seeds 0 1

- "steps": arms of the first comparison with fewer or more steps, each tuned anew.
- "answers": teacher forcing and scheduled sampling at their tuned rates: edits of whole answers,
  and wrong words in the history by the number of words that follow.

The rows are parts of book/results/pairings.json, beside those of ``benchmarks.pairings``. They are
in a module of their own, so that those rows keep their version of the code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.pairings.parts import ARMS, ONE_LAYER, RATE, TWO_LAYERS
from benchmarks.pairings.task import Task
from benchmarks.pairings.training import STEPS, run_trial, settings
from benchmarks.pairings.whole_answers import run_answers
from benchmarks.tuning import Arm, run_missing, run_tuned_arm
from utils.console import make_output_safe

PARTS = ("steps", "answers")
TUNING_SEEDS = (100, 101)  # the first alone where training is long
OTHER_STEPS = {  # the steps of an arm, and the rates that are tried in any case
    (TWO_LAYERS, 100): (0.008, 0.016, 0.032),
    ("GRU → GRU, attention", 100): (0.008, 0.016, 0.032),
    (ONE_LAYER, 1500): (0.004, 0.008, 0.016),
}
METHODS = {"teacher forcing": ONE_LAYER, "scheduled sampling": "scheduled sampling"}


def run_other_steps(
    name: str,
    steps: int,
    *,
    rates: Sequence[float],
    task: Task,
    seeds: Sequence[int],
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
) -> None:
    """Tune an arm for a number of steps, and run the seeds that have no row yet.

    Parameters
    ----------
    name
        The name of the arm.
    steps
        The number of steps.
    rates
        The rates that are tried in any case.
    task
        The data.
    seeds
        The seeds of the runs.
    trials, rows
        The rows of the trials and of the runs.
    """
    recipe = ARMS[name]
    run = partial(run_trial, recipe, task, steps=steps)
    run_tuned_arm(
        f"{name}, {steps} steps",
        Arm(settings(recipe) | {"steps": steps}, run, rates),
        tuning_seeds=TUNING_SEEDS[:1] if steps > STEPS else TUNING_SEEDS,
        seeds=seeds,
        trials=trials,
        rows=rows,
        figure="score",
    )


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("pairings.controls", __doc__)
    parser.set_defaults(out=result_files.RESULTS_FOLDER / "pairings.json")
    command_line.add_parts(parser, PARTS)
    command_line.add_seeds(parser, range(5))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("pairings.controls", arguments), Task.make()

    def rows(part: str) -> result_files.SeedRows:
        return result_files.SeedRows(options.out, run, part=part, origin="real")

    if "steps" in options.parts:
        for (name, steps), rates in OTHER_STEPS.items():
            trials = rows("steps, trials")
            run_other_steps(
                name,
                steps,
                rates=rates,
                task=task,
                seeds=options.seeds,
                trials=trials,
                rows=rows("steps"),
            )
    if "answers" in options.parts:
        for name, arm in METHODS.items():
            of_arm = settings(ARMS[arm]) | {"learning_rate": RATE, "grid": None}
            measure = partial(run_answers, ARMS[arm], task)
            run_missing(rows("answers"), name, seeds=options.seeds, settings=of_arm, run=measure)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
