"""The speed of training and decoding translators.

    python -m benchmarks.translation_speed PART

    training   the book's models and those of well-known tutorials, in real target tokens per
               second at equal numbers of parameters
    decoding   the whole test set in batches, with caches, and one sentence at a time: with the
               cache as well, and as a tutorial's Transformer does it, which reads its whole answer
               again for each token

The tutorials' side (``tutorial_rnns``, ``tutorial_transformer``) has random batches of 128, padded
to the longest sentence, for all models. Random batches waste about half of their positions, batches
of similar lengths a tenth or less, and some tutorials form such batches: the ratio measures padding
and code together, and does not say how much of it is either. Otherwise it does as they do:
recurrent decoders that are called token by token and read their own token half of the time; a
Transformer with its attention written out. The book's side: batches of equal source length, a known
target read in one call, fused attention, one matrix for the target's embedding and the output. Both
sides have separate embeddings for source and target, the same loss and the same optimizer. They
take turns in one process, on one thread, and each round gives the ratio of their processor times;
medians and quartiles go to book/results/translation_speed.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from benchmarks import command_line, result_files
from benchmarks.translation.task import TranslationTask
from benchmarks.translation_speed.decoding import (
    DECODED_STEPS,
    SINGLE_SENTENCES,
    measure_decoding,
)
from benchmarks.translation_speed.training import measure_training
from utils.console import make_output_safe


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("translation_speed", __doc__)
    parser.add_argument("part", choices=["training", "decoding"])
    parser.add_argument(
        "--rounds", type=command_line.positive_integer, default=15, help="2 or more"
    )
    parser.add_argument(
        "--steps",
        type=command_line.positive_integer,
        default=DECODED_STEPS,
        help="of training before decoding",
    )
    parser.add_argument(
        "--sentences",
        type=command_line.positive_integer,
        default=SINGLE_SENTENCES,
        help="decoded one at a time in a round",
    )
    options = parser.parse_args(arguments)
    if options.rounds < 2:
        parser.error("argument --rounds: expected 2 or more, for the quartiles")
    torch.set_num_threads(1)
    run, task = result_files.Run.start("translation_speed", arguments), TranslationTask.load()
    if options.part == "training":
        results = measure_training(task, num_rounds=options.rounds)
    else:
        results = measure_decoding(
            task,
            num_rounds=options.rounds,
            steps=options.steps,
            num_sentences=options.sentences,
        )
    results["provenance"] = run.provenance(seeds=[0], origin=task.corpus.origin)
    result_files.write_results(options.out, {options.part: results}, keep_others=True)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
