"""Records: how far one thread of a processor comes with the book's library.

    python -m benchmarks.records RECORD

    de-en-transformer   Multi30k, German to English: a Transformer of 1.8 million parameters, 12,000
                        steps, some 50 minutes of one quiet core for each seed, after four trials of
                        600 steps that choose its rate and its positions on validation; with
                        `--steps 4500`, some nine passes over the pairs, a row of its own
    en-de-transformer   the same from English to German

Nothing is chosen on the test sets. book/results/records.json gets a row for each seed as soon as it
is done; a seed that the file has is skipped, and a run that was stopped goes on from its checkpoint
in the folder `--checkpoints`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import command_line, result_files
from benchmarks.records import de_en_transformer, en_de_transformer
from utils.console import make_output_safe

RECORDS = {
    "de-en-transformer": de_en_transformer.run_record,
    "en-de-transformer": en_de_transformer.run_record,
}
STEPS = dict.fromkeys(RECORDS, 12_000)  # of a run, by which its rows are named


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("records", __doc__)
    parser.add_argument("record", choices=RECORDS)
    command_line.add_seeds(parser, [0, 1, 2])
    parser.add_argument(
        "--steps", type=command_line.positive_integer, help="of each run, instead of its own"
    )
    parser.add_argument(
        "--trial-steps",
        type=command_line.positive_integer,
        help="of each trial, instead of its own",
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=result_files.ROOT / "runs" / "records",
        help="the folder of the checkpoints",
    )
    options = parser.parse_args(arguments)
    RECORDS[options.record](
        options.out,
        arguments,
        seeds=options.seeds,
        steps=options.steps or STEPS[options.record],
        trial_steps=options.trial_steps,
        folder=options.checkpoints,
    )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
