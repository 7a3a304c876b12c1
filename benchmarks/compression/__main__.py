"""A trained model adapted, or distilled into a smaller one: for section 8.1.

    python -m benchmarks.compression                    some four minutes on one quiet core
    python -m benchmarks.compression adaptation         one part
    python -m benchmarks.compression adaptation --arms LoRA

Each arm starts from the stored model, or learns from it, and has its learning rate tuned by itself
(all but two, whose rates are lowered on purpose):
rates a factor of two apart are tried with a seed that is used for nothing else, more of them while
the best is at an edge. Rates are chosen by the loss on validation text, and figures measured on
test text. Trials and runs are rows of book/results/compression.json; a run that was stopped goes
on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.compression.parts import PARTS
from benchmarks.compression.task import Texts
from benchmarks.compression.training import run_trial
from benchmarks.tuning import Arm, run_missing, run_tuned_arm
from utils.console import make_output_safe

TUNING_SEEDS = (100,)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("compression", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, range(3))
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, PARTS)
    torch.set_num_threads(1)
    run, texts = result_files.Run.start("compression", arguments), Texts.load()
    for part, arms in chosen.items():
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=texts.origin)
            for name in (f"{part}, trials", part)
        )
        for arm, recipe in arms.items():
            run_arm = partial(run_trial, recipe, texts)
            if recipe.fixed_rate is not None:
                settings = {**recipe.settings(), "learning_rate": recipe.fixed_rate, "grid": None}
                run_at_rate = partial(run_arm, rate=recipe.fixed_rate)
                run_missing(rows, arm, seeds=options.seeds, settings=settings, run=run_at_rate)
                continue
            run_tuned_arm(
                arm,
                Arm(recipe.settings(), run_arm, recipe.rates),
                tuning_seeds=TUNING_SEEDS,
                seeds=options.seeds,
                trials=trials,
                rows=rows,
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
