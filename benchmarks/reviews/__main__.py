"""Classifiers of film reviews compared: for section 9.1.

    python -m benchmarks.reviews                 some eight minutes on one quiet core
    python -m benchmarks.reviews networks        one part
    python -m benchmarks.reviews folds --models NBSVM

The part "folds" is ten-fold cross-validation as published; its results are parts of
book/results/reviews.json by the name of the method. In the other parts, the corpus is split once.
In "counting" and "networks", methods learn from all labels; in "labels", from subsets that a seed
draws. Each network has its learning rate tuned by itself: rates a factor of two apart are tried
with a seed that is used for nothing else, more of them while the best is at an edge. Rates are
chosen by the loss on the validation sentences, and figures measured on the test sentences. Trials
and runs are rows; a run that was stopped goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks import command_line, result_files
from benchmarks.reviews import counting
from benchmarks.reviews.folds import METHODS, NUM_FOLDS, cross_validate, make_folds
from benchmarks.reviews.networks import NETWORKS, Recipe, run_network
from benchmarks.reviews.task import Reviews
from benchmarks.tuning import Arm, run_missing, run_tuned_arm
from utils.console import make_output_safe
from utils.data.corpora import load_reviews

PARTS = ("counting", "labels", "folds", "networks")
COUNTS = (100, 1000, 300, 3000)  # numbers of labels, beside all of them
TUNING_SEEDS = (100,)


def run_folds(
    models: Sequence[str],
    *,
    indices: Sequence[int],
    num_seeds: int,
    run: result_files.Run,
    out: Path,
) -> None:
    """Cross-validate methods and write what is stored of each.

    Parameters
    ----------
    models
        Names of METHODS.
    indices
        The indices of the folds to test on.
    num_seeds
        The number of seeds, from 0 on.
    run
        The run of the benchmark.
    out
        The file of the results.
    """
    corpus = load_reviews()
    folds = make_folds(corpus.all)
    for name in models:
        method_run = run.restarted()
        part = cross_validate(name, folds, indices=indices, num_seeds=num_seeds)
        part["provenance"] = method_run.provenance(seeds=range(num_seeds), origin=corpus.origin)
        result_files.write_results(out, {name: part}, keep_others=True)


def run_networks(
    recipes: dict[str, Recipe],
    task: Reviews,
    *,
    seeds: Sequence[int],
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
) -> None:
    """Tune and train networks, and write their rows.

    Parameters
    ----------
    recipes
        What to train, by the names of the arms.
    task
        The sentences.
    seeds
        The seeds of the runs.
    trials, rows
        Where trials and runs are stored.
    """
    for arm, recipe in recipes.items():
        run_tuned_arm(
            arm,
            Arm(recipe.settings(), partial(run_network, recipe, task), recipe.rates),
            tuning_seeds=TUNING_SEEDS,
            seeds=seeds,
            trials=trials,
            rows=rows,
        )


def run_counting(
    counts: Sequence[int | None],
    task: Reviews,
    *,
    seeds: Sequence[int],
    rows: result_files.SeedRows,
) -> None:
    """Fit the methods without a learning rate, and write their rows.

    Parameters
    ----------
    counts
        The numbers of labels; None for all.
    task
        The sentences.
    seeds
        The seeds of the choice of labels.
    rows
        Where the runs are stored.
    """
    for count in counts:
        for name in counting.METHODS:
            arm = name if count is None else f"{name}, {count} labels"
            settings = counting.settings_of(name, count)
            fit = partial(counting.run_method, name, task, count)
            run_missing(rows, arm, seeds=seeds, settings=settings, run=fit)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("reviews", __doc__)
    command_line.add_parts(parser, PARTS)
    parser.add_argument("--models", nargs="+", choices=METHODS, default=list(METHODS))
    indices = range(NUM_FOLDS)
    parser.add_argument(
        "--folds",
        type=command_line.non_negative_integer,
        nargs="+",
        choices=indices,
        default=list(indices),
    )
    parser.add_argument("--seeds", type=command_line.positive_integer, default=3, help="how many")
    parser.add_argument("--arms", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task, seeds = (
        result_files.Run.start("reviews", arguments),
        Reviews.load(),
        range(options.seeds),
    )
    for part in options.parts:
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=task.origin)
            for name in (f"{part}, trials", part)
        )
        if part == "folds":
            run_folds(options.models, indices=options.folds, num_seeds=1, run=run, out=options.out)
        elif part == "counting":
            run_counting([None], task, seeds=[0], rows=rows)
        elif part == "networks":
            recipes = {name: NETWORKS[name] for name in options.arms}
            run_networks(recipes, task, seeds=seeds, trials=trials, rows=rows)
        else:
            run_counting(COUNTS, task, seeds=seeds, rows=rows)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
