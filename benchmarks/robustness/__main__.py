"""Noise, attacks, poison and memory: for section 8.3.

    python -m benchmarks.robustness              some ten minutes on one quiet core
    python -m benchmarks.robustness poison       one part

Arms of the parts "noise" and "attack" have their learning rates tuned, each by itself: rates a
factor of two apart are tried with a seed that is used for nothing else, more of them while the best
is at an edge. Rates are chosen on validation sentences, and figures measured on test sentences.
Trials and runs are rows of book/results/robustness.json; a run that was stopped goes on. The parts
"suffix" and "canaries" need the stored model "gpt-pieces" (``benchmarks.stored_models``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks import record
from benchmarks.robustness.classifiers import TUNING_SEEDS
from benchmarks.robustness.parts import PARTS
from benchmarks.robustness.sentences import load_sentences
from benchmarks.tuning import run_missing, run_tuned_arm
from utils.console import make_output_safe
from utils.data.corpora import load_text


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("robustness", __doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these arms of the parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    run = record.Run.start("robustness", arguments)
    for part in options.parts or PARTS:
        origin = load_text().origin if part in ("suffix", "canaries") else load_sentences().origin
        trials, rows = (
            record.SeedRows(options.out, run, part=name, origin=origin)
            for name in (f"{part}, trials", part)
        )
        for name, arm in PARTS[part].items():
            if options.arms and name not in options.arms:
                continue
            if not arm.rates:
                run_missing(rows, name, options.seeds, arm.settings, arm.run)
                continue
            run_tuned_arm(
                name,
                arm.settings,
                arm.run,
                rates=arm.rates,
                tuning_seeds=TUNING_SEEDS,
                seeds=options.seeds,
                trials=trials,
                rows=rows,
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
