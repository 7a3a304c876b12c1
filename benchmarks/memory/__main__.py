"""How far back recurrent networks learn to reach, by their start, their cell and their training.

    python -m benchmarks.memory                    some five minutes on one quiet core
    python -m benchmarks.memory recall             one part
    python -m benchmarks.memory recall --arms GRU  one arm

Each arm has its own learning rate, tuned with seeds that are used for nothing else. Rates are a
factor of two apart. On the recall task all arms try the same nine, and of those that solve the task
the middle one is taken. On text the grid is extended while the best is at an edge; rates are chosen
by the first fifth of the validation text, and figures measured on the second.
Trials and runs are rows of book/results/memory.json; a run that was stopped goes on. A trial of the
recall task is a row with the losses of all rates.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial

import torch

from benchmarks import command_line, result_files
from benchmarks.memory.parts import PARTS, RECALL
from benchmarks.memory.recall import (
    RECALL_RATES,
    best_rate,
    recall_settings,
    train_side_by_side,
)
from benchmarks.memory.recall_networks import RecallNetwork
from benchmarks.memory.task import Characters
from benchmarks.memory.training import Recipe, run_trial
from benchmarks.tuning import run_missing, trial_score, tune
from utils.console import make_output_safe

RECALL_TUNING_SEEDS = (100, 101, 102)
LOSSES = "loss by rate"


def run_recall_trials(
    arm: str, network: RecallNetwork, *, rows: result_files.SeedRows
) -> dict[float, float]:
    """Train an arm of the recall task at all rates, with each tuning seed that has no row yet.

    Parameters
    ----------
    arm
        The name of the arm.
    network
        What it trains.
    rows
        The rows of the trials, each with the losses at all rates.

    Returns
    -------
    scores : dict of float to float
        The mean loss over the seeds by rate.
    """
    settings = recall_settings(network) | {"learning_rate": None, "grid": list(RECALL_RATES)}
    waiting = list(rows.missing(arm, RECALL_TUNING_SEEDS, settings))
    pairs = [(rate, seed) for seed in waiting for rate in RECALL_RATES]
    if pairs:
        runs = train_side_by_side(
            network, rates=[rate for rate, _ in pairs], seeds=[seed for _, seed in pairs]
        )
        for seed in waiting:
            own = [run for run, (_, s) in zip(runs, pairs, strict=True) if s == seed]
            figures = own[0][0] | {LOSSES: [run["loss"] for run, _ in own]}
            del figures["loss"]
            rows.write(arm, seed, figures=figures, settings=settings, costs=own[0][1])
    trials = [rows.figures(arm, seed)[LOSSES] for seed in RECALL_TUNING_SEEDS]
    means = torch.tensor(trials).mean(dim=0).tolist()
    return dict(zip(RECALL_RATES, means, strict=True))


def run_recall_arm(
    arm: str,
    network: RecallNetwork,
    seeds: Sequence[int],
    *,
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
) -> None:
    """Tune an arm of the recall task and run the seeds that have no row yet, side by side.

    Parameters
    ----------
    arm
        The name of the arm.
    network
        What it trains.
    seeds
        The seeds of its runs.
    trials, rows
        The rows of the trials and of the runs.
    """
    scores = run_recall_trials(arm, network, rows=trials)
    rate = best_rate(scores)
    settings = recall_settings(network) | {"learning_rate": rate, "grid": list(scores)}
    waiting = list(rows.missing(arm, seeds, settings))
    rates = [rate] * len(waiting)
    runs = train_side_by_side(network, rates=rates, seeds=waiting) if waiting else []
    for seed, (figures, costs) in zip(waiting, runs, strict=True):
        rows.write(arm, seed, figures=figures, settings=settings, costs=costs)


def run_text_arm(
    arm: str,
    recipe: Recipe,
    *,
    task: Characters,
    seeds: Sequence[int],
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
) -> None:
    """Tune an arm that reads text and run the seeds that have no row yet.

    Parameters
    ----------
    arm
        The name of the arm.
    recipe
        What it trains and how.
    task
        The data.
    seeds
        The seeds of its runs.
    trials, rows
        The rows of the trials and of the runs.
    """

    def score(rate: float) -> float:
        return trial_score(
            trials,
            f"{arm}, rate {rate:g}",
            seeds=recipe.tuning_seeds,
            settings=recipe.settings() | {"learning_rate": rate, "grid": None},
            run=partial(run_trial, recipe, task, rate=rate, is_trial=True),
            figure="selection loss",
        )

    scores = tune(score, recipe.rates)
    rate = min(scores, key=lambda rate: scores[rate])
    settings = recipe.settings() | {"learning_rate": rate, "grid": list(scores)}
    run_missing(
        rows, arm, seeds=seeds, settings=settings, run=partial(run_trial, recipe, task, rate=rate)
    )


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parts: Mapping[str, Mapping[str, RecallNetwork | Recipe]] = {"recall": RECALL, **PARTS}
    parser = command_line.benchmark_parser("memory", __doc__)
    command_line.add_parts(parser, parts)
    command_line.add_arms(parser)
    command_line.add_seeds(parser, None, meaning="by default 3 of text, 10 of recall")
    options = parser.parse_args(arguments)
    chosen = command_line.chosen_arms(parser, options, parts)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("memory", arguments), Characters.load()
    for part, arms in chosen.items():
        trials, rows = (
            result_files.SeedRows(options.out, run, part=name, origin=task.origin)
            for name in (f"{part}, trials", part)
        )
        for arm, recipe in arms.items():
            if isinstance(recipe, RecallNetwork):
                seeds = options.seeds or range(10)
                run_recall_arm(arm, recipe, seeds, trials=trials, rows=rows)
            else:
                seeds = options.seeds or range(3)
                run_text_arm(arm, recipe, task=task, seeds=seeds, trials=trials, rows=rows)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
