"""The language models of section 5.1 with several seeds, and GPT beside them.

    python -m benchmarks.ladder

Trains the window model, the simple recurrent network, the LSTM and GPT (``recipes``) on characters
and on words of one text, each for as many steps as one quiet core does in a minute (the last GPT:
in five), and mixes each with the best Kneser–Ney n-gram model. Steps are counted, so that a busy
machine gets the same losses later; the seconds are measured. For each seed,
book/results/ladder.json gets the loss by time, the loss at the end, alone and mixed, and where the
run came from. `--units` and `--seeds` choose parts; the other parts of the file stay as they are.
The test text is not used here: the notebook uses it, once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks import record
from benchmarks.ladder.recipes import UNITS
from benchmarks.ladder.training import train_unit
from utils.console import make_output_safe
from utils.data.corpora import load_text


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("ladder", __doc__)
    parser.add_argument("--seeds", type=record.non_negative_integer, nargs="+", default=[0, 1, 2])
    parser.add_argument("--units", nargs="+", choices=UNITS, default=list(UNITS))
    parser.add_argument(
        "--steps", type=record.positive_integer, help="of each model, instead of its own"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, corpus = record.Run.start("ladder", arguments), load_text()
    for name in options.units:
        for seed in options.seeds:
            part_run = run.restarted()
            part = train_unit(name, corpus, seed=seed, steps=options.steps)
            part["provenance"] = part_run.provenance(seeds=[seed], origin=corpus.origin)
            record.write_results(options.out, {f"{name}, seed {seed}": part}, keep_others=True)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
