"""Noise, attacks, poison and memory: for section 8.3.

    python -m benchmarks.robustness              some four minutes on one quiet core
    python -m benchmarks.robustness poison       one part

All arms have the same seeds, SEEDS. The learning rates of the part "attack" were chosen on
validation sentences, with a seed that is used for nothing else, from rates a factor of two apart;
figures are measured on test sentences. Runs are rows of book/results/robustness.json; a run that
was stopped goes on. The part "canaries" needs the stored model "gpt-pieces"
(``benchmarks.stored_models``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks import command_line, result_files
from benchmarks.robustness.classifiers import SEEDS
from benchmarks.robustness.parts import PARTS
from benchmarks.robustness.sentences import load_sentences
from benchmarks.tuning import run_missing
from utils.console import make_output_safe
from utils.data.corpora import load_text


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("robustness", __doc__)
    command_line.add_parts(parser, PARTS)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, SEEDS)
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, PARTS)
    torch.set_num_threads(1)
    run = result_files.Run.start("robustness", arguments)
    for part, arms in chosen.items():
        origin = load_text().origin if part == "canaries" else load_sentences().origin
        rows = result_files.SeedRows(options.out, run, part=part, origin=origin)
        for name, arm in arms.items():
            run_missing(rows, name, seeds=options.seeds, settings=arm.settings, run=arm.run)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
