"""What changes a small GPT after pretraining: for section 8.4.

    python -m benchmarks.after_pretraining                      some six minutes on one quiet core
    python -m benchmarks.after_pretraining rewards --arms GRPO  one arm of a part

Each arm has its learning rate tuned by itself: rates a factor of two apart are tried with two
seeds that are used for nothing else, more of them while the best is at an edge. Rates are chosen by
the right answers to questions of their own, and figures measured on others. The arms of the part
"length" maximize the length of answers at one rate: no rate is the best at what it does not
maximize. Trials and runs are rows of book/results/after_pretraining.json; a run that was stopped
goes on. The stored results have three seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import record
from benchmarks.after_pretraining.parts import INSTRUCTED, PARTS, Arm, run_arm
from benchmarks.tuning import run_missing, trial_score, tune
from utils.console import make_output_safe

TUNING_SEEDS = (100, 101)
ORIGIN = "real"  # questions and sentences are drawn, and replace no corpus


def tune_arm(
    name: str, arm: Arm, start_rate: float | None, rows: record.SeedRows
) -> dict[float, float]:
    """Tune the rate of an arm by `tune`; each trial is a row and is run once only.

    Parameters
    ----------
    name
        The name of the arm.
    arm
        What it trains and how.
    start_rate
        The rate that instructed its start.
    rows
        The rows of the trials.

    Returns
    -------
    scores : dict of float to float
        The errors by rate; of an arm with a single rate None was tried.
    """
    if len(arm.rates) == 1:
        return {arm.rates[0]: 0.0}

    def score(rate: float) -> float:
        settings = arm.settings(start_rate) | {"learning_rate": rate, "grid": None}
        return trial_score(
            rows,
            f"{name}, rate {rate:g}",
            TUNING_SEEDS,
            settings,
            partial(run_arm, arm, start_rate, rate=rate, is_trial=True),
            figure="selection error",
        )

    return tune(score, arm.rates)


def best(scores: dict[float, float]) -> float:
    """Return the rate of the lowest error, of equal ones one that is not at the grid's edge."""
    inner = sorted(scores)[1:-1] or list(scores)
    return min(inner, key=lambda rate: scores[rate])


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("after_pretraining", __doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these arms of the parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    run = record.Run.start("after_pretraining", arguments)

    def rows_of(part: str) -> record.SeedRows:
        return record.SeedRows(options.out, run, part=part, origin=ORIGIN)

    start_rate = best(tune_arm("mixed", INSTRUCTED, None, rows_of("instruction, trials")))
    for part in options.parts or PARTS:
        for name, arm in PARTS[part].items():
            if options.arms and name not in options.arms:
                continue
            needed = start_rate if arm.is_instructed else None
            scores = tune_arm(name, arm, needed, rows_of(f"{part}, trials"))
            rate = best(scores)
            settings = arm.settings(needed) | {"learning_rate": rate, "grid": list(scores)}
            run_one = partial(run_arm, arm, needed, rate=rate)
            run_missing(rows_of(part), name, options.seeds, settings, run_one)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
