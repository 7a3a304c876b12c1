"""Controls of section 3.2: swapped encoders, other numbers of steps, and errors of whole answers.

    python -m benchmarks.pairings.controls                    some ten minutes on one core
    python -m benchmarks.pairings.controls swaps --seeds 0 1

- "swaps": the encoder of a trained arm, frozen, with a new decoder of the same or another.
- "steps": arms of the first comparison with fewer or more steps, each tuned anew.
- "answers": teacher forcing and scheduled sampling at their tuned rates: edits of whole answers,
  and wrong words in the history by the number of words that follow.

The rows are parts of book/results/pairings.json, beside those of ``benchmarks.pairings``. They are
in a module of their own, so that those rows keep their version of the code.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks import command_line, record
from benchmarks.pairings.measures import answers, exact_share, first_mistakes, history_figures
from benchmarks.pairings.parts import ARMS, Arm
from benchmarks.pairings.task import Planted, Task
from benchmarks.pairings.training import (
    BATCH_SIZE,
    STEPS,
    ScheduledSampling,
    inverse_sigmoid,
    run_trial,
    settings,
)
from benchmarks.tuning import Costs, Figures, run_missing, trial_score, tune
from utils.console import make_output_safe
from utils.data.pair_batches import IdPair, PairBatches
from utils.metrics.error_rates import word_errors
from utils.models.encoder_decoder import EncoderDecoder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

PARTS = ("swaps", "steps", "answers")
TUNING_SEEDS = (100, 101)  # the first alone where training is long
RATE = 0.016  # the best of the first comparison for each arm that trains here without tuning
ONE_LAYER, TWO_LAYERS = "GRU → GRU, c in each step", "GRU → GRU, one vector"
SWAPS = {
    "encoder of two layers, decoder of one": (TWO_LAYERS, ONE_LAYER),
    "encoder of one layer, decoder of one": (ONE_LAYER, ONE_LAYER),
    "encoder of one layer, decoder of two": (ONE_LAYER, TWO_LAYERS),
}  # each encoder is named by the decoder that it was trained with
NEW_SEED = 50  # added to the seed for the parameters of the new decoder
OTHER_STEPS = {  # the steps of an arm, and the rates that are tried in any case
    (TWO_LAYERS, 100): (0.008, 0.016, 0.032),
    ("GRU → GRU, attention", 100): (0.008, 0.016, 0.032),
    ("GRU → GRU, c at the start", 1500): (0.004, 0.008, 0.016),
    (ONE_LAYER, 1500): (0.004, 0.008, 0.016),
}
METHODS = {"teacher forcing": ONE_LAYER, "scheduled sampling": "scheduled sampling"}


def train(model: Any, arm: Arm, task: Task, *, seed: int, steps: int = STEPS) -> Any:
    """Train a model as its arm says, at the rate RATE.

    Parameters
    ----------
    model
        An encoder–decoder.
    arm
        How it trains.
    task
        The data.
    seed
        The seed of the batches and of what scheduled sampling draws.
    steps
        The number of steps.

    Returns
    -------
    model : EncoderDecoder
        The same model, trained, in evaluation mode.
    """
    trained = ScheduledSampling(model, inverse_sigmoid, seed=seed) if arm.scheduled else model
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=seed)
    config = TrainConfig(steps=steps, learning_rate=RATE)
    fit(trained, batches, config, progress=False).raise_if_interrupted()
    return model.eval()


def train_swapped(
    donor: Arm, receiver: Arm, task: Task, *, seed: int, steps: int = STEPS
) -> tuple[Any, Any]:
    """Train the donor; then train a new decoder of the receiver on its encoder, which is frozen.

    Parameters
    ----------
    donor, receiver
        The arm whose encoder is kept, and the arm whose decoder is new and which says what of the
        encoder it is given.
    task
        The data.
    seed
        The seed; the new decoder has parameters of another.
    steps
        The number of steps of each training.

    Returns
    -------
    first, second : EncoderDecoder
        The donor, and the new decoder with its encoder.
    """
    seed_everything(seed)
    first = train(donor.build(task.vocab_size), donor, task, seed=seed, steps=steps)
    seed_everything(seed + NEW_SEED)
    fresh: Any = receiver.build(task.vocab_size)
    kept = first.encoder.encoder if donor.one_vector else first.encoder
    encoder = fresh.encoder
    if receiver.one_vector:
        encoder.encoder = kept
    else:
        encoder = kept
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    second: nn.Module = EncoderDecoder(encoder, fresh.decoder)
    return first, train(second, receiver, task, seed=seed, steps=steps)


def run_swap(
    donor: Arm, receiver: Arm, task: Task, *, seed: int, steps: int = STEPS
) -> tuple[Figures, Costs]:
    """Measure the right answers of a donor and of the new decoder on its encoder.

    Parameters
    ----------
    donor
        The arm whose encoder is trained with its own decoder, and then kept as it is.
    receiver
        The arm whose decoder is trained on that encoder.
    task
        The data.
    seed
        Seed of both trainings.
    steps
        Steps of each training.

    Returns
    -------
    figures : dict
        The shares of answers that are right as a whole.
    costs : dict
        What the two trainings cost.
    """
    start = time.process_time()
    first, second = train_swapped(donor, receiver, task, seed=seed, steps=steps)
    figures: Figures = {
        "exact": exact_share(second, task.reporting),
        "exact, donor": exact_share(first, task.reporting),
    }
    return figures, _costs(second, task, start, seed=seed, steps=steps)


def edit_figures(model: Any, task: Task, pairs: Sequence[IdPair]) -> Figures:
    """Count the word edits of greedy answers, in all and in those that are wrong.

    Parameters
    ----------
    model
        An encoder–decoder.
    task
        The data, whose tokenizer makes words of ids.
    pairs
        The pairs to translate.

    Returns
    -------
    figures : dict
        "edits" in all answers, "words" of all references, and "wrong" answers.
    """
    written = [task.tokenizer.decode(ids) for ids in answers(model, pairs)]
    true = [task.tokenizer.decode(target) for _, target in pairs]
    counts = word_errors(written, true)
    return {
        "edits": counts.substitutions + counts.deletions + counts.insertions,
        "words": counts.reference_length,
        "wrong": sum(a != b for a, b in zip(written, true, strict=True)),
    }


def by_words_left(items: Sequence[Planted]) -> dict[int, list[Planted]]:
    """Group wrong words by the number of target words that follow them."""
    groups: dict[int, list[Planted]] = {}
    for item in items:
        groups.setdefault(len(item.pair[1]) - 1 - item.position, []).append(item)
    return dict(sorted(groups.items()))


def run_answers(arm: Arm, task: Task, *, seed: int, steps: int = STEPS) -> tuple[Figures, Costs]:
    """Train an arm and measure whole answers, and the harm of wrong words by their place.

    Parameters
    ----------
    arm
        What to train.
    task
        The data.
    seed
        Seed of the training.
    steps
        Steps of the training.

    Returns
    -------
    figures : dict
        Shares of right answers, word edits, and what follows after planted and own mistakes.
    costs : dict
        What the training cost.
    """
    start = time.process_time()
    seed_everything(seed)
    model = train(arm.build(task.vocab_size), arm, task, seed=seed, steps=steps)
    figures: Figures = {"exact": exact_share(model, task.reporting)}
    figures |= edit_figures(model, task, task.reporting)
    same_kind, others = first_mistakes(model, task.reporting, task.kinds())
    sets = {"planted": task.planted(), "same kind": same_kind, "others": others}
    for name, items in sets.items():
        figures |= {f"{name}, {key}": n for key, n in history_figures(model, items).items()}
    figures["by words left"] = {
        name: {
            str(left): history_figures(model, group)
            for left, group in by_words_left(sets[name]).items()
        }
        for name in ("planted", "same kind")
    }
    return figures, _costs(model, task, start, seed=seed, steps=steps)


def _costs(model: nn.Module, task: Task, start: float, *, seed: int, steps: int) -> Costs:
    """Return the costs of a run that started at a reading of ``time.process_time``."""
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=seed)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": sum(int((batches[k].targets >= 0).sum()) for k in range(steps)),
        "processor_seconds": round(time.process_time() - start, 2),
    }


def run_other_steps(
    name: str,
    steps: int,
    *,
    rates: Sequence[float],
    task: Task,
    seeds: Sequence[int],
    trials: record.SeedRows,
    rows: record.SeedRows,
) -> None:
    """Tune an arm for a number of steps, and run the seeds that have no row yet.

    Parameters
    ----------
    name
        The name of the arm.
    steps
        The number of steps.
    rates
        The rates that are tried in any case.
    task
        The data.
    seeds
        The seeds of the runs.
    trials, rows
        The rows of the trials and of the runs.
    """
    arm, label = ARMS[name], f"{name}, {steps} steps"

    def run(seed: int, rate: float) -> tuple[Figures, Costs]:
        trial = run_trial(arm, task, rate=rate, seed=seed, steps=steps)
        return trial.figures | {"score": trial.score}, trial.costs

    def of_rate(rate: float, grid: list[float] | None) -> dict[str, Any]:
        return settings(arm) | {"steps": steps, "learning_rate": rate, "grid": grid}

    def score(rate: float) -> float:
        trial, of_trial = f"{label}, rate {rate:g}", of_rate(rate, None)
        run_rate = partial(run, rate=rate)
        seeds_tried = TUNING_SEEDS[:1] if steps > STEPS else TUNING_SEEDS
        return trial_score(
            trials, trial, seeds=seeds_tried, settings=of_trial, run=run_rate, figure="score"
        )

    scores = tune(score, rates)
    best = min(scores, key=lambda rate: scores[rate])
    run_missing(
        rows, label, seeds=seeds, settings=of_rate(best, list(scores)), run=partial(run, rate=best)
    )


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("pairings.controls", __doc__)
    parser.set_defaults(out=record.RESULTS_FOLDER / "pairings.json")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument(
        "--seeds", type=command_line.non_negative_integer, nargs="+", default=list(range(5))
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    run, task = record.Run.start("pairings.controls", arguments), Task.make()
    parts = options.parts or PARTS

    def rows(part: str) -> record.SeedRows:
        return record.SeedRows(options.out, run, part=part, origin="real")

    if "steps" in parts:
        for (name, steps), rates in OTHER_STEPS.items():
            trials = rows("steps, trials")
            run_other_steps(
                name,
                steps,
                rates=rates,
                task=task,
                seeds=options.seeds,
                trials=trials,
                rows=rows("steps"),
            )
    if "swaps" in parts:
        for name, (donor, receiver) in SWAPS.items():
            swap = partial(run_swap, ARMS[donor], ARMS[receiver], task)
            of_swap = settings(ARMS[receiver]) | {"learning_rate": RATE, "grid": None}
            run_missing(rows("swaps"), name, seeds=options.seeds, settings=of_swap, run=swap)
    if "answers" in parts:
        for name, arm in METHODS.items():
            of_arm = settings(ARMS[arm]) | {"learning_rate": RATE, "grid": None}
            measure = partial(run_answers, ARMS[arm], task)
            run_missing(rows("answers"), name, seeds=options.seeds, settings=of_arm, run=measure)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
