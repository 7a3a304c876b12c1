"""What the parts of a Transformer are good for: for section 7.3.

    python -m benchmarks.transformer                     some eleven minutes on one quiet core
    python -m benchmarks.transformer norm                one part
    python -m benchmarks.transformer positions --arms rotary

Each arm has its learning rate tuned by itself: rates a factor of two apart are tried with a seed
that is used for nothing else, more of them while the best is at an edge. Rates are chosen by the
loss on validation text, and figures measured on test text. Masked letters are also predicted by
counts of their neighbours, and rotary models are also measured under two controls. Trials and runs
are rows of book/results/transformer.json; a run that was stopped goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.transformer.counting import FREQUENCY, NARROW, WIDE, NeighbourCounts
from benchmarks.transformer.parts import PARTS
from benchmarks.transformer.task import Characters, Words
from benchmarks.transformer.training import run_trial
from benchmarks.tuning import Arm, run_tuned_arm
from utils.console import make_output_safe
from utils.notebook.seed_results import COSTS, SETTINGS

TUNING_SEEDS = (100,)


def count_neighbours(task: Words, rows: result_files.SeedRows) -> None:
    """Write the loss of counting letters, and of counting them by one or two neighbours a side.

    Parameters
    ----------
    task
        The words.
    rows
        Where the losses are stored; counting has no seed.
    """
    settings = dict.fromkeys(SETTINGS) | {"words": len(task.rows["train"])}
    costs = dict.fromkeys(COSTS)
    for seed in rows.missing("counts", [0], settings):
        figures = {}
        for name, chains in (
            ("frequency", FREQUENCY),
            ("one a side", NARROW),
            ("two a side", WIDE),
        ):
            counts = NeighbourCounts(task.rows["train"], vocab_size=task.vocab_size, chains=chains)
            counts.fit(task.eval_batches("valid"))
            figures[f"loss, {name}"] = counts.loss(task.eval_batches("test"))
        rows.write("counts", seed, figures=figures, settings=settings, costs=costs)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("transformer", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, range(3))
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, PARTS)
    torch.set_num_threads(1)
    run = result_files.Run.start("transformer", arguments)
    for part, arms in chosen.items():
        task = Words.load() if part.startswith("masked") else Characters.load()
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=task.origin)
            for name in (f"{part}, trials", part)
        )
        if isinstance(task, Words) and part == "masked":
            count_neighbours(task, rows)
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
