"""Attributions, heads and features, each with controls: for section 8.2.

    python -m benchmarks.interpretability              some ten minutes on one quiet core
    python -m benchmarks.interpretability induction    one part

Each arm has its learning rate tuned by itself: rates a factor of two apart are tried with a seed
that is used for nothing else, more of them while the best is at an edge. Rates are chosen on
validation data, and figures measured on test data. Trials and runs are rows of
book/results/interpretability.json; a run that was stopped goes on. The part "features"
needs the stored model "gpt-pieces" (``benchmarks.stored_models``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks import command_line, result_files
from benchmarks.interpretability.parts import PARTS, TUNING_SEEDS, origin_of
from benchmarks.tuning import run_tuned_arm
from utils.console import make_output_safe


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("interpretability", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_seeds(parser, [0, 1, 2])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run = result_files.Run.start("interpretability", arguments)
    for part in options.parts:
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=origin_of(part))
            for name in (f"{part}, trials", part)
        )
        for name, arm in PARTS[part].items():
            run_tuned_arm(
                name,
                arm,
                tuning_seeds=TUNING_SEEDS,
                seeds=options.seeds,
                trials=trials,
                rows=rows,
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
