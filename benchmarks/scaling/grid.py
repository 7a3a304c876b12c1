"""The grid: each width is trained on each budget with each seed.

Before that, each width tries half and twice the learning rate that the rule gives it, to show what
the rule costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

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


def run_grid(
    study: CharacterScaling,
    *,
    widths: Sequence[int],
    step_budgets: Sequence[int],
    trial_steps: int,
    num_seeds: int,
) -> dict[str, Any]:
    """Try the learning rates, train all, and return what is stored.

    Parameters
    ----------
    study
        Trains a model of a width.
    widths
        Sizes D of the models.
    step_budgets
        The numbers of training steps.
    trial_steps
        Training steps of the trials of learning rates.
    num_seeds
        The number of seeds, from 0 on.

    Returns
    -------
    results : dict
        The parts "settings", "learning_rates" and "runs" of the file of results.
    """
    trials = try_learning_rates(study, widths=widths, steps=trial_steps)
    runs = train_all(study, widths=widths, step_budgets=step_budgets, num_seeds=num_seeds)
    return {
        "settings": {
            "num_layers": NUM_LAYERS,
            "num_heads": NUM_HEADS,
            "context_length": CONTEXT_LENGTH,
            "batch_size": BATCH_SIZE,
            "valid_characters": VALID_CHARACTERS,
            "vocab_size": study.vocab_size,
        },
        "learning_rates": {
            "steps": trial_steps,
            "factors": LEARNING_RATE_FACTORS,
            "rows": [asdict(trial) for trial in trials],
        },
        "runs": [asdict(result) for result in runs],
    }
