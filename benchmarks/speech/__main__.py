"""Digits in real voices, two measurements with several seeds.

    python -m benchmarks.speech PART

    voices      each of six seeds tests another speaker, who does not train: noise, and a language
                model in the search and in a list of texts, on dates and on random strings (rows)
    lengths     random strings of 3 to 8 digits train, of 3 to 16 test, of other recordings of the
                same voices, at 10 dB: CTC and attention, with location features and without, with
                the joint loss and without (``lengths``)

Results go to book/results/speech.json, or to `--out=FILE`, after each seed; a part that a
run does not make stays as it was there. Section 6.3 reads them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import command_line, result_files
from benchmarks.speech import lengths
from benchmarks.speech.fusion import run_voices
from benchmarks.speech.voices import STEPS
from utils.console import make_output_safe
from utils.data.corpora import load_digits
from utils.runtime import use_full_precision


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("speech", __doc__)
    parser.add_argument("part", choices=["voices", "lengths"])
    parser.add_argument("--seeds", type=command_line.positive_integer, default=1, help="how many")
    parser.add_argument(
        "--steps", type=command_line.positive_integer, help="of each model, instead of its own"
    )
    options = parser.parse_args(arguments)
    use_full_precision()
    run, corpus = result_files.Run.start("speech", arguments), load_digits()
    if options.part == "voices":
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=corpus.origin)
            for name in ("voices, trials", "voices")
        )
        run_voices(rows, trials, range(options.seeds), steps=options.steps or STEPS)
        return
    steps = options.steps or lengths.STEPS
    results: list[lengths.LengthResult] = []
    for seed in range(options.seeds):
        results += lengths.measure_lengths(corpus, steps=steps, seed=seed)
        content = {
            **lengths.summarize_lengths(results),
            "runs": [stored_result(result) for result in results],
            "steps": steps,
            "provenance": run.provenance(seeds=range(seed + 1), origin=corpus.origin),
        }
        result_files.write_results(options.out, {"lengths": content}, keep_others=True)


def stored_result(result: lengths.LengthResult) -> dict[str, Any]:
    """Return the fields of a result that are not None."""
    return {name: value for name, value in asdict(result).items() if value is not None}


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
