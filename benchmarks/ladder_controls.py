"""Controls of the ladder of section 5.1: equal passes, mixtures of two tables, another rate.

    python -m benchmarks.ladder_controls            some four minutes on one quiet core

``counts`` mixes the best n-gram model with one of another order. ``passes`` trains the LSTM on
parts of the text for as many characters as they have, so that each size is read about once; the
part size of ``benchmarks.ladder`` reads a million characters at each size. ``mixtures`` trains the
networks of its part equal once more, to mix each with the best two tables. The GPT has another
rate there than the one that a single trial chose.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.ladder import equal
from benchmarks.tuning import Arm, run_missing, tune_arm
from utils.console import make_output_safe
from utils.data.corpora import Corpus, load_text
from utils.decoding.interpolation import best_mixture_weight, mix_log_probs
from utils.decoding.scoring import token_log_probs
from utils.notebook.seed_results import SETTINGS

TUNING_SEEDS = (100, 101, 102)
PASS_RATES = (0.02, 0.04, 0.08)
ORDER = 7  # of the best n-gram model on the whole text
PASS_ORDERS = {"1/16": 9, "1/4": 7}  # of the best ones on its parts
RATES = {"LSTM": 0.04, "GPT": 0.005, "RNN": 0.01, "NNLM": 0.02}
COUNTING_SETTINGS = dict.fromkeys(SETTINGS) | {"estimate": "two modified Kneser–Ney models"}


def score(text: equal.Characters, order: int) -> equal.NGramScores:
    """Count n-grams of one order and score both texts.

    Parameters
    ----------
    text
        The text.
    order
        The order n of the model.

    Returns
    -------
    counted : equal.Counted
        The order and the scores.
    """
    model, _ = equal.count(text, order)
    return equal.NGramScores(
        order, token_log_probs(model, text.valid), token_log_probs(model, text.test)
    )


def mix(one: equal.NGramScores, other: equal.NGramScores) -> tuple[equal.NGramScores, float]:
    """Mix two n-gram models, with the weight that is best on the validation text.

    Parameters
    ----------
    one, other
        The models by their scores.

    Returns
    -------
    mixed : equal.Counted
        The mixture, under the order of `other`.
    weight : float
        The weight of `one`.
    """
    weight = best_mixture_weight(one.valid, other.valid)
    valid = mix_log_probs(one.valid, other.valid, weight)
    test = mix_log_probs(one.test, other.test, weight)
    return equal.NGramScores(other.order, valid, test), weight


def mix_counts(text: equal.Characters, rows: result_files.SeedRows) -> equal.NGramScores:
    """Write a row of the best n-gram model mixed with each other order, and return the best.

    Parameters
    ----------
    text
        The text.
    rows
        Where the losses are stored.

    Returns
    -------
    mixed : equal.Counted
        The mixture with the lowest validation loss.
    """
    best = score(text, ORDER)
    losses = {}
    for order in equal.ORDERS:
        if order == ORDER:
            continue
        arm = f"{ORDER}-gram + {order}-gram"
        for seed in rows.missing(arm, [0], COUNTING_SETTINGS):
            mixed, weight = mix(score(text, order), best)
            figures = {
                "validation loss": -float(mixed.valid.mean()),
                "loss": -float(mixed.test.mean()),
                "weight": weight,
            }
            costs = {"tokens": len(text.train), "parameters": None, "processor_seconds": None}
            rows.write(arm, seed, figures=figures, settings=COUNTING_SETTINGS, costs=costs)
        losses[order] = float(rows.figures(arm, 0)["validation loss"])
    order = min(losses, key=lambda n: losses[n])
    return mix(score(text, order), best)[0]


def run_passes(
    corpus: Corpus[str],
    *,
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
    options: argparse.Namespace,
) -> None:
    """Train the LSTM on parts of the text for about as many characters as each has.

    Parameters
    ----------
    corpus
        The text.
    trials, rows
        Where trials and runs are stored.
    options
        The options of the command.
    """
    for fraction, divisor in equal.FRACTIONS.items():
        text = equal.Characters.from_corpus(corpus, divisor=divisor)
        per_step = equal.BATCH_SIZE * equal.CONTEXT_LENGTH
        steps = options.steps or -(-len(text.train) // per_step)
        settings = {"optimizer": "AdamW", "steps": steps}
        run = partial(equal.run_network, "LSTM", text, steps=steps)
        name, tuned = f"LSTM, {fraction}", Arm(settings, partial(run, None), PASS_RATES)
        chosen = tune_arm(name, tuned, seeds=TUNING_SEEDS, trials=trials, figure="validation loss")
        counted = score(text, PASS_ORDERS[fraction])
        run_at_rate = partial(run, counted, rate=chosen["learning_rate"])
        run_missing(rows, name, seeds=options.seeds, settings=chosen, run=run_at_rate)


def main(arguments: Sequence[str]) -> None:
    """Run the controls by the arguments of the command line."""
    parser = command_line.benchmark_parser("ladder_controls", __doc__)
    parts = ("counts", "passes", "mixtures")
    command_line.add_parts(parser, parts)
    command_line.add_seeds(parser, [0, 1, 2])
    parser.add_argument("--networks", nargs="+", choices=list(RATES), default=list(RATES))
    parser.add_argument(
        "--steps", type=command_line.positive_integer, help="of each network, instead of its own"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, corpus = result_files.Run.start("ladder_controls", arguments), load_text()

    def rows(part: str) -> result_files.SeedRows:
        return result_files.SeedRows(options.out, run, part=part, origin=corpus.origin)

    if "passes" in options.parts:
        run_passes(corpus, trials=rows("passes, trials"), rows=rows("passes"), options=options)
    if "counts" not in options.parts and "mixtures" not in options.parts:
        return
    text = equal.Characters.from_corpus(corpus)
    tables = mix_counts(text, rows("counts"))
    if "mixtures" not in options.parts:
        return
    for name in options.networks:
        rate, steps = RATES[name], options.steps or equal.STEPS
        settings = {"optimizer": "AdamW", "steps": steps, "learning_rate": rate, "grid": None}
        train = partial(equal.run_network, name, text, tables, rate=rate, steps=steps)
        run_missing(rows("mixtures"), name, seeds=options.seeds, settings=settings, run=train)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
