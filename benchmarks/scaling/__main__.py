"""Loss by parameters and tokens: for section 2.2.

    python -m benchmarks.scaling                   about half an hour on one quiet core
    python -m benchmarks.scaling batches           one part

In "grid" each width is trained from scratch on each budget with each seed, at a learning rate that
a rule gives it. The section fits its law to these runs, and tests the law on sizes and budgets that
it leaves out. "equal operations" trains several widths with equally many operations, with three
seeds at the rule's rate; "rates" tunes the rate of each of them, and "tuned rates" trains again
those that another rate suits better; "equal compute" is the first at the rule's rate and equal
6·N·D, which leaves out attention's products. "balance" trains experts with and without the loss
that keeps them equally busy.
In the other parts each arm has its rate tuned by itself, with two seeds that are used for nothing
else, in a grid of factors of two that is extended while the best rate is at its edge. Rates are
chosen by characters 20,000 to 40,000 of the validation text; figures are measured on the first
20,000. Results go to book/results/scaling.json, or to `--out=FILE`; a part other than the grid that
was stopped goes on.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from functools import partial

import scipy
import torch

from benchmarks import command_line, result_files
from benchmarks.scaling.grid import (
    LEARNING_RATE_FACTORS,
    STEP_BUDGETS,
    TRIAL_STEPS,
    WIDTHS,
    run_grid,
)
from benchmarks.scaling.parts import (
    BALANCE,
    PARTS,
    TUNED_PARTS,
    equal_compute_arms,
    equal_operations_arms,
)
from benchmarks.scaling.training import Recipe, Study, run_trial
from benchmarks.tuning import Arm, run_missing, run_tuned_arm, trial_score, tune
from utils.console import make_output_safe
from utils.data.corpora import load_text
from utils.studies.scaling_runs import WIDTH_MULTIPLE, learning_rate_for

TUNING_SEEDS = (100, 101)


def train_seeds(
    arm: str,
    recipe: Recipe,
    *,
    study: Study,
    rows: result_files.SeedRows,
    rate: float,
    seeds: Sequence[int],
    grid: list[float] | None = None,
) -> None:
    """Train an arm with each seed that has no row yet.

    Parameters
    ----------
    arm
        The name of the arm.
    recipe
        What it trains and how.
    study
        The data.
    rows
        The rows to write.
    rate
        Its learning rate.
    seeds
        The seeds.
    grid
        The rates tried; None where a rule gives the rate.
    """
    run = partial(run_trial, recipe, study, rate=rate)
    run_missing(rows, arm, seeds=seeds, settings=recipe.settings(rate, grid), run=run)


def tune_factor(
    arm: str, recipe: Recipe, *, study: Study, trials: result_files.SeedRows
) -> dict[float, float]:
    """Tune the factor of the rule's rate of an arm by `tune`; each trial is a row.

    Parameters
    ----------
    arm
        The name of the arm.
    recipe
        What it trains and how.
    study
        The data.
    trials
        The rows of the trials.

    Returns
    -------
    scores : dict of float to float
        The selection losses by factor.
    """

    def score(factor: float) -> float:
        rate = factor * learning_rate_for(recipe.width)
        run = partial(run_trial, recipe, study, rate=rate)
        settings, name = recipe.settings(rate, None), f"{arm}, rate × {factor:g}"
        return trial_score(
            trials, name, seeds=TUNING_SEEDS, settings=settings, run=run, figure="selection loss"
        )

    return tune(score, LEARNING_RATE_FACTORS)


def train_untuned(
    arms: Mapping[str, Recipe], *, study: Study, rows: result_files.SeedRows, seeds: Sequence[int]
) -> None:
    """Train arms at the rate that the rule gives to their width.

    Parameters
    ----------
    arms
        The arms by name.
    study
        The data.
    rows
        The rows to write.
    seeds
        The seeds.
    """
    for arm, recipe in arms.items():
        rate = learning_rate_for(recipe.width)
        train_seeds(arm, recipe, study=study, rows=rows, rate=rate, seeds=seeds)


def tune_rule(
    arms: Mapping[str, Recipe],
    *,
    study: Study,
    trials: result_files.SeedRows,
    rows: result_files.SeedRows,
    seeds: Sequence[int],
) -> None:
    """Tune the rate of arms, and train again those that another rate than the rule's suits better.

    Parameters
    ----------
    arms
        The arms by name.
    study
        The data.
    trials, rows
        The rows of the trials, and of the arms that are trained again.
    seeds
        The seeds of the latter.
    """
    for arm, recipe in arms.items():
        scores = tune_factor(arm, recipe, study=study, trials=trials)
        factor = min(scores, key=lambda factor: scores[factor])
        if factor != 1:
            rule = learning_rate_for(recipe.width)
            grid = [each * rule for each in scores]
            rate = factor * rule
            train_seeds(arm, recipe, study=study, rows=rows, rate=rate, seeds=seeds, grid=grid)


def _run_grid(study: Study, run: result_files.Run, *, origin: str, options: Namespace) -> None:
    """Run the part "grid", and write it to the file of results."""
    results = run_grid(
        study,
        widths=options.widths,
        step_budgets=options.steps,
        trial_steps=options.trial_steps,
        num_seeds=options.grid_seeds,
    )
    results["provenance"] = run.provenance(
        seeds=range(options.grid_seeds), origin=origin, scipy=scipy.__version__
    )
    result_files.write_results(options.out, results, keep_others=True)


def _tuned_arm(recipe: Recipe, study: Study) -> Arm:
    """Return what tunes and runs a recipe, beginning near the rule's rate."""
    rule = learning_rate_for(recipe.width)
    run = partial(run_trial, recipe, study)
    return Arm(recipe.settings(None, None), run, (rule / 2, rule, 2 * rule))


def model_width(text: str) -> int:
    """Read the width of a model of the grid.

    Raises
    ------
    ArgumentTypeError
        If it is not a positive multiple of WIDTH_MULTIPLE.
    """
    width = command_line.positive_integer(text)
    if width % WIDTH_MULTIPLE:
        raise ArgumentTypeError(f"expected a multiple of {WIDTH_MULTIPLE}, got {text!r}")
    return width


def _parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = command_line.benchmark_parser("scaling", __doc__)
    number = partial(parser.add_argument, type=command_line.positive_integer)
    command_line.add_parts(parser, PARTS)
    number("--seeds", default=5, help="how many, in the tuned parts")
    number("--grid-seeds", default=2, help="how many, in the grid")
    number("--equal-seeds", default=3, help="how many, at an equal cost")
    parser.add_argument("--widths", type=model_width, nargs="+", default=WIDTHS, help="of the grid")
    number("--steps", nargs="+", default=STEP_BUDGETS, help="of the grid")
    number("--trial-steps", default=TRIAL_STEPS, help="of the trials of learning rates")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    run, corpus = result_files.Run.start("scaling", arguments), load_text()
    study, parts, equal_seeds = Study(corpus), options.parts, range(options.equal_seeds)

    def rows_of(part: str) -> result_files.SeedRows:
        return result_files.SeedRows(options.out, run, part=part, origin=corpus.origin)

    if "grid" in parts:
        _run_grid(study, run, origin=corpus.origin, options=options)
    equal_operations = equal_operations_arms(study.vocab_size)
    untuned = {
        "equal operations": equal_operations,
        "equal compute": equal_compute_arms(study.vocab_size),
        "balance": BALANCE,
    }
    for part in [part for part in untuned if part in parts]:
        train_untuned(untuned[part], study=study, rows=rows_of(part), seeds=equal_seeds)
    if "rates" in parts:
        trials, rows = rows_of("rates"), rows_of("tuned rates")
        tune_rule(equal_operations, study=study, trials=trials, rows=rows, seeds=equal_seeds)
    for part in [part for part in TUNED_PARTS if part in parts]:
        trials, rows = rows_of(f"{part}, trials"), rows_of(part)
        for name, recipe in TUNED_PARTS[part].items():
            run_tuned_arm(
                name,
                _tuned_arm(recipe, study),
                tuning_seeds=TUNING_SEEDS,
                seeds=range(options.seeds),
                trials=trials,
                rows=rows,
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
