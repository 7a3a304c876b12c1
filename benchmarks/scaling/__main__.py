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
from collections.abc import Sequence
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
from utils.studies.scaling_runs import learning_rate_for

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
    run = partial(run_trial, study, recipe, rate=rate)
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
        run = partial(run_trial, study, recipe, rate=rate)
        settings, name = recipe.settings(rate, None), f"{arm}, rate × {factor:g}"
        return trial_score(
            trials, name, seeds=TUNING_SEEDS, settings=settings, run=run, figure="selection loss"
        )

    return tune(score, LEARNING_RATE_FACTORS)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("scaling", __doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, default=5, help="how many, in the tuned parts")
    parser.add_argument("--grid-seeds", type=int, default=2, help="how many, in the grid")
    parser.add_argument("--equal-seeds", type=int, default=3, help="how many, at an equal cost")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of the grid")
    parser.add_argument("--steps", type=int, nargs="+", default=STEP_BUDGETS, help="of the grid")
    parser.add_argument(
        "--trial-steps", type=int, default=TRIAL_STEPS, help="of the trials of learning rates"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    run, corpus = result_files.Run.start("scaling", arguments), load_text()
    study, parts = Study(corpus), options.parts or PARTS

    def rows_of(part: str) -> result_files.SeedRows:
        return result_files.SeedRows(options.out, run, part=part, origin=corpus.origin)

    if "grid" in parts:
        results = run_grid(
            study,
            widths=options.widths,
            step_budgets=options.steps,
            trial_steps=options.trial_steps,
            num_seeds=options.grid_seeds,
        )
        provenance = run.provenance(
            seeds=range(options.grid_seeds), origin=corpus.origin, scipy=scipy.__version__
        )
        results["provenance"] = provenance
        result_files.write_results(options.out, results, keep_others=True)
    ruled = {
        "equal operations": equal_operations_arms(study.vocab_size),
        "equal compute": equal_compute_arms(study.vocab_size),
        "balance": BALANCE,
    }
    for part, arms in ruled.items():
        for arm, recipe in arms.items() if part in parts else ():
            rate, seeds = learning_rate_for(recipe.width), range(options.equal_seeds)
            train_seeds(arm, recipe, study=study, rows=rows_of(part), rate=rate, seeds=seeds)
    tuned = equal_operations_arms(study.vocab_size) if "rates" in parts else {}
    for arm, recipe in tuned.items():
        rule, seeds = learning_rate_for(recipe.width), range(options.equal_seeds)
        scores = tune_factor(arm, recipe, study=study, trials=rows_of("rates"))
        factor = min(scores, key=lambda factor: scores[factor])
        rate, grid = factor * rule, [each * rule for each in scores]
        if factor != 1:
            again = rows_of("tuned rates")
            train_seeds(arm, recipe, study=study, rows=again, rate=rate, seeds=seeds, grid=grid)
    for part, arms in TUNED_PARTS.items():
        for arm, recipe in arms.items() if part in parts else ():
            rule = learning_rate_for(recipe.width)
            run_tuned_arm(
                arm,
                Arm(
                    recipe.settings(None, None),
                    partial(run_trial, study, recipe),
                    (rule / 2, rule, 2 * rule),
                ),
                tuning_seeds=TUNING_SEEDS,
                seeds=range(options.seeds),
                trials=rows_of(f"{part}, trials"),
                rows=rows_of(part),
            )


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
