"""The language models of section 5.1 with several seeds.

    python -m benchmarks.ladder equal size          some ten minutes on one quiet core
    python -m benchmarks.ladder long --seeds 0      four minutes of words, twelve of characters

``equal`` trains four networks of nearly equal size on equally many characters, with one optimizer
and a learning rate tuned for each, and mixes each with the best modified Kneser–Ney model.
``size`` does the same for the LSTM and the counts on parts of the training text. ``long``
(``recipes``) trains networks of several sizes for as many steps as one quiet core does in a minute,
the last GPT in five, with rates and optimizers chosen without a recorded search, on characters and
on words, and measures them on the validation text alone. Steps are counted, so that a busy machine
gets the same losses later; the seconds are measured. Trials and runs of ``equal`` and ``size`` are
rows of book/results/ladder.json; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.ladder import equal
from benchmarks.ladder.recipes import UNITS
from benchmarks.ladder.training import train_unit
from benchmarks.tuning import Arm, run_missing, tune_arm
from utils.console import make_output_safe
from utils.data.corpora import Corpus, load_text
from utils.decoding.scoring import token_log_probs
from utils.notebook.seed_results import SETTINGS

TUNING_SEEDS = (100,)
COUNTING_SETTINGS: dict[str, Any] = dict.fromkeys(SETTINGS) | {"estimate": "modified Kneser–Ney"}


def measure_counts(
    text: equal.Characters, rows: result_files.SeedRows, *, suffix: str = ""
) -> equal.NGramScores:
    """Write a row of the n-gram model of each order, and return the best one.

    Parameters
    ----------
    text
        The text.
    rows
        Where the losses are stored.
    suffix
        What ends the names of the arms.

    Returns
    -------
    counted : Counted
        The model of the order with the lowest validation loss.
    """
    losses = {}
    for order in equal.ORDERS:
        arm = f"{order}-gram{suffix}"
        for seed in rows.missing(arm, [0], COUNTING_SETTINGS):
            model, costs = equal.count(text, order)
            valid, test = (token_log_probs(model, ids) for ids in (text.valid, text.test))
            figures = {
                "validation loss": -float(valid.mean()),
                "loss": -float(test.mean()),
                "sample": equal.draw(model, text, seed=0),
            }
            rows.write(arm, seed, figures=figures, settings=COUNTING_SETTINGS, costs=costs)
        losses[order] = float(rows.figures(arm, 0)["validation loss"])
    return equal.choose_ngram(losses, text)


def run_arm(
    arm: str,
    name: str,
    *,
    text: equal.Characters,
    counted: equal.NGramScores,
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
    options: argparse.Namespace,
) -> None:
    """Tune the learning rate of a network, and write a row of each seed.

    Parameters
    ----------
    arm
        Its name in the file.
    name
        Its name in `NETWORKS`.
    text
        The text.
    counted
        The n-gram model to mix with.
    trials, rows
        Where trials and runs are stored.
    options
        The options of the command.
    """
    settings = {"optimizer": "AdamW", "steps": options.steps or equal.STEPS}
    run: Callable[..., Any] = partial(
        equal.run_network,
        name,
        text,
        steps=settings["steps"],  # type: ignore[arg-type]
    )
    tuned = Arm(settings, partial(run, None), equal.RATES)
    chosen = tune_arm(arm, tuned, seeds=TUNING_SEEDS, trials=trials, figure="validation loss")
    run_at_rate = partial(run, counted, rate=chosen["learning_rate"])
    chosen |= {"order": counted.order}
    run_missing(rows, arm, seeds=options.seeds, settings=chosen, run=run_at_rate)


def run_part(
    part: str, corpus: Corpus[str], *, run: result_files.Run, options: argparse.Namespace
) -> None:
    """Run the part equal or size.

    Parameters
    ----------
    part
        Its name.
    corpus
        The text.
    run
        The run that writes its rows.
    options
        The options of the command.
    """
    trials, rows = (
        result_files.SeedRows(options.out, run, part=name, origin=corpus.origin)
        for name in (f"{part}, trials", part)
    )
    store = partial(run_arm, trials=trials, rows=rows, options=options)
    if part == "equal":
        text = equal.Characters.from_corpus(corpus)
        counted = measure_counts(text, rows)
        for name in options.networks:
            store(name, name, text=text, counted=counted)
        return
    for fraction, divisor in equal.FRACTIONS.items():
        text = equal.Characters.from_corpus(corpus, divisor=divisor)
        counted = measure_counts(text, rows, suffix=f", {fraction}")
        store(f"LSTM, {fraction}", "LSTM", text=text, counted=counted)


def run_long(corpus: Corpus[str], run: result_files.Run, options: argparse.Namespace) -> None:
    """Train all models of each unit for their own steps.

    Parameters
    ----------
    corpus
        The text.
    run
        The run that writes the figures.
    options
        The options of the command.
    """
    for name in options.units:
        for seed in options.seeds:
            part_run = run.restarted()
            part = train_unit(name, corpus, seed=seed, steps=options.steps)
            part["provenance"] = part_run.provenance(seeds=[seed], origin=corpus.origin)
            result_files.write_results(
                options.out, {f"{name}, seed {seed}": part}, keep_others=True
            )


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("ladder", __doc__)
    parts = ("equal", "size", "long")
    command_line.add_parts(parser, parts, default=("equal", "size"))
    command_line.add_seeds(parser, [0, 1, 2])
    networks = list(equal.NETWORKS)
    parser.add_argument("--networks", nargs="+", choices=networks, default=networks)
    parser.add_argument("--units", nargs="+", choices=UNITS, default=list(UNITS))
    parser.add_argument(
        "--steps", type=command_line.positive_integer, help="of each model, instead of its own"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, corpus = result_files.Run.start("ladder", arguments), load_text()
    for part in options.parts:
        if part == "long":
            run_long(corpus, run, options)
        else:
            run_part(part, corpus, run=run, options=options)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
