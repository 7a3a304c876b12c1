"""Settings of the rules between those of ``rules``, where section 6.2 compares the rules.

    python -m benchmarks.generation.between          a minute and a half of one quiet core

Rows are written to book/results/generation.json, part "between".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import torch

from benchmarks import command_line, result_files
from benchmarks.generation.diversity import run_rules
from benchmarks.generation.rules import Rule
from benchmarks.generation.task import GenerationTask
from utils.console import make_output_safe

GRIDS: Mapping[str, Sequence[float]] = {  # option of `SamplingConfig`: its values
    "top_k": (30, 50),
    "temperature": (0.7, 0.9),
    "top_p": (0.9,),
    "min_p": (0.02,),
    "typical_p": (0.9,),
}


def main(arguments: Sequence[str]) -> None:
    """Run the settings by the arguments of the command line."""
    parser = command_line.benchmark_parser("generation.between", __doc__)
    parser.set_defaults(out=result_files.RESULTS_FOLDER / "generation.json")
    command_line.add_seeds(parser, range(5))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("generation.between", arguments), GenerationTask.load()
    rows = result_files.SeedRows(options.out, run, part="between", origin=task.origin)
    rules = [Rule(option, value) for option, values in GRIDS.items() for value in values]
    run_rules(rules, task, seeds=options.seeds, rows=rows)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
