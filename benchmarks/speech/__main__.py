"""Digits in real voices, three measurements with several seeds.

    python -m benchmarks.speech PART

    dates       each speaker is held out in turn, at 10 dB: four train on random strings of digits,
                the next one chooses weight and bonus of an 8-gram of other dates, the one held out
                tests (``dates``)
    isolated    single digits as the corpus publishes them: recordings 0 to 4 of all speakers test,
                the others train (``isolated``)
    fusion      dates and random strings by two new voices: a language model in the search and in a
                list of texts, an n-gram and a GPT (rows of seeds)
    noise       the same voices and known ones in more and less noise (rows of seeds)
    lengths     random strings of 3 to 8 digits train, of 3 to 16 test, of other recordings of the
                same voices, at 10 dB: CTC and attention, with location features and without, with
                the joint loss and without (``lengths``)

Results go to book/results/speech.json, or to `--out=FILE`, after each seed; a part that a
run does not make stays as it was there. Section 6.3 reads them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from benchmarks import record
from benchmarks.speech.dates import measure_dates, summarize_dates
from benchmarks.speech.fusion import run_fusion
from benchmarks.speech.isolated import measure_isolated, summarize_isolated
from benchmarks.speech.lengths import measure_lengths, summarize_lengths
from benchmarks.speech.noise import run_noise
from benchmarks.speech.voices import STEPS
from utils.console import make_output_safe
from utils.data.corpora import Corpus, load_digits
from utils.data.examples import Clip
from utils.runtime import use_full_precision


class Measurement(Protocol):
    """A function that trains and tests from one seed."""

    def __call__(self, corpus: Corpus[list[Clip]], *, steps: int, seed: int) -> list[Any]:
        """Train models and test them.

        Parameters
        ----------
        corpus
            The corpus.
        steps
            Training steps of each model.
        seed
            Seed of the parameters and of all examples.

        Returns
        -------
        results : list
            Results that have a method ``stored()``.
        """
        ...


@dataclass(frozen=True)
class SpeechPart:
    """A part of the benchmark.

    Parameters
    ----------
    measure
        Trains and tests from one seed.
    summarize
        Summarizes the results of several seeds.
    steps
        Training steps of each model.
    """

    measure: Measurement
    summarize: Callable[[list[Any]], dict[str, Any]]
    steps: int


SPEECH_PARTS = {
    "dates": SpeechPart(measure_dates, summarize_dates, 600),
    "isolated": SpeechPart(measure_isolated, summarize_isolated, 1000),
    "lengths": SpeechPart(measure_lengths, summarize_lengths, 900),
}

ROW_PARTS: dict[str, Callable[..., None]] = {"fusion": run_fusion, "noise": run_noise}
"""Parts with a row for each arm and seed."""


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("speech", __doc__)
    parser.add_argument("part", choices=[*SPEECH_PARTS, *ROW_PARTS])
    parser.add_argument("--seeds", type=record.positive_integer, default=1, help="how many")
    parser.add_argument(
        "--steps", type=record.positive_integer, help="of each model, instead of its own"
    )
    options = parser.parse_args(arguments)
    use_full_precision()
    run, corpus = record.Run.start("speech", arguments), load_digits()
    if options.part in ROW_PARTS:
        trials, rows = (
            record.SeedRows(options.out, run, part=name, origin=corpus.origin)
            for name in (f"{options.part}, trials", options.part)
        )
        ROW_PARTS[options.part](rows, trials, range(options.seeds), steps=options.steps or STEPS)
        return
    part = SPEECH_PARTS[options.part]
    steps = options.steps or part.steps
    results: list[Any] = []
    for seed in range(options.seeds):
        results += part.measure(corpus, steps=steps, seed=seed)
        content = {
            **part.summarize(results),
            "runs": [stored_result(result) for result in results],
            "steps": steps,
            "provenance": run.provenance(seeds=range(seed + 1), origin=corpus.origin),
        }
        record.write_results(options.out, {options.part: content}, keep_others=True)


def stored_result(result: Any) -> dict[str, Any]:
    """Return the fields of a result that are not None."""
    return {name: value for name, value in asdict(result).items() if value is not None}


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
