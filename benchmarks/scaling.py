"""How the loss falls with parameters and tokens: the experiment of section 2.2, larger.

    python -m benchmarks.scaling            about a quarter of an hour on one thread

Each width is trained from scratch on each budget with each seed, by
``utils.studies.scaling_runs``. The section leaves the largest width out of the fit of the law and
tests the law on it. Before that, each width tries half and twice the learning rate that the rule
gives it, to show what the rule costs. Results go to book/results/scaling.json, or to `--out=FILE`,
when all runs are done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import scipy

from benchmarks import record
from utils.console import make_output_safe
from utils.data.corpora import load_text
from utils.studies.scaling_runs import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    NUM_HEADS,
    NUM_LAYERS,
    VALID_CHARACTERS,
    CharacterScaling,
    ScalingRun,
    learning_rate_for,
)

WIDTHS = (8, 12, 20, 32, 48, 72, 104, 152)
STEP_BUDGETS = (80, 160, 320, 640, 1280)
LEARNING_RATE_FACTORS = (0.5, 1.0, 2.0)  # of the rule's learning rate
TRIAL_STEPS = 160


@dataclass(frozen=True)
class RateTrial:
    """One width at several learning rates.

    Parameters
    ----------
    width
        Width of the model.
    learning_rate
        The learning rate that the rule gives it.
    losses
        Its validation loss with each of the `LEARNING_RATE_FACTORS`, in nats per character.
    """

    width: int
    learning_rate: float
    losses: list[float]


def try_learning_rates(
    study: CharacterScaling, *, widths: Sequence[int], steps: int
) -> list[RateTrial]:
    """Train each width at half, once and twice its learning rate.

    Parameters
    ----------
    study
        Trains a model of a width.
    widths
        Sizes D of the models.
    steps
        Training steps of each trial.

    Returns
    -------
    trials : list of RateTrial
        The losses of each width.
    """
    trials = []
    for width in widths:
        losses = [
            study.train(width, steps=steps, learning_rate_factor=factor).loss
            for factor in LEARNING_RATE_FACTORS
        ]
        trial = RateTrial(width, learning_rate_for(width), losses)
        print(
            f"width {width:3d} rate {trial.learning_rate:.4f} × {LEARNING_RATE_FACTORS}: {losses}"
        )
        trials.append(trial)
    return trials


def train_all(
    study: CharacterScaling, *, widths: Sequence[int], step_budgets: Sequence[int], num_seeds: int
) -> list[ScalingRun]:
    """Train each width on each budget with each seed.

    Parameters
    ----------
    study
        Trains a model of a width.
    widths
        Sizes D of the models.
    step_budgets
        The numbers of training steps.
    num_seeds
        The number of seeds, from 0 on.

    Returns
    -------
    runs : list of ScalingRun
        One run for each width, budget and seed.
    """
    runs = []
    for width in widths:
        for steps in step_budgets:
            for seed in range(num_seeds):
                run = study.train(width, steps=steps, seed=seed)
                size = f"{run.num_parameters:7,} parameters, {run.num_tokens:7,} tokens"
                print(f"width {width:3d}, seed {seed}: {size}, {run.loss:.4f} nats", flush=True)
                runs.append(run)
    return runs


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("scaling", __doc__)
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEP_BUDGETS, help="of each budget")
    parser.add_argument(
        "--trial-steps", type=int, default=TRIAL_STEPS, help="of the trials of learning rates"
    )
    options = parser.parse_args(arguments)
    run, corpus = record.Run.start("scaling", arguments), load_text()
    study = CharacterScaling(corpus)
    trials = try_learning_rates(study, widths=options.widths, steps=options.trial_steps)
    runs = train_all(
        study, widths=options.widths, step_budgets=options.steps, num_seeds=options.seeds
    )
    results = {
        "settings": {
            "num_layers": NUM_LAYERS,
            "num_heads": NUM_HEADS,
            "context_length": CONTEXT_LENGTH,
            "batch_size": BATCH_SIZE,
            "valid_characters": VALID_CHARACTERS,
            "vocab_size": study.vocab_size,
        },
        "learning_rates": {
            "steps": options.trial_steps,
            "factors": LEARNING_RATE_FACTORS,
            "rows": [asdict(trial) for trial in trials],
        },
        "runs": [asdict(result) for result in runs],
        "provenance": run.provenance(
            seeds=range(options.seeds), origin=corpus.origin, scipy=scipy.__version__
        ),
    }
    record.write_results(options.out, results)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
