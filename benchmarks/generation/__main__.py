"""Rules of decoding compared on one stored GPT: for section 6.2.

    python -m benchmarks.generation                          some four minutes of one quiet core
    python -m benchmarks.generation --arms "top_p 0.8"

The stored GPT continues passages by each rule with each of its settings, and two models that count
do so beside it. A judge reads the texts, and a student learns from them. Runs are rows of
book/results/generation.json; a run that was stopped goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks import command_line, result_files
from benchmarks.generation.diversity import run_rules
from benchmarks.generation.rules import RULES
from benchmarks.generation.task import GenerationTask
from utils.console import make_output_safe


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("generation", __doc__)
    names = [rule.name for rule in RULES]
    parser.add_argument("--arms", nargs="+", metavar="ARM", default=names, choices=names)
    command_line.add_seeds(parser, range(5))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("generation", arguments), GenerationTask.load()
    rows = result_files.SeedRows(options.out, run, part="diversity", origin=task.origin)
    rules = [rule for rule in RULES if rule.name in options.arms]
    run_rules(rules, task, seeds=options.seeds, rows=rows)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
