"""The training runs of the benchmark ``translation``: models, seeds and numbers of steps."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.translation.recipes import RECIPES
from benchmarks.translation.task import BEAM_SIZE
from utils.decoding.beam_config import BeamConfig

DROPOUT = 0.1  # in the bake-off
BAKE_OFF_STEPS = {
    "LSTM": 1380,
    "LSTM + attention": 1350,
    "CNN": 1270,
    "Transformer": 680,
    "Transformer, AdamW": 910,
}
LENGTH_PENALTY = BeamConfig(BEAM_SIZE, length_penalty=1.0, patience=1)
TOKEN_BONUSES = tuple(
    BeamConfig(BEAM_SIZE, length_penalty=0.0, token_bonus=bonus, patience=2)
    for bonus in (0.4, 0.6, 0.8)
)


@dataclass(frozen=True, kw_only=True)
class TranslationJob:
    """One model to train from one seed.

    Parameters
    ----------
    model
        Its name in `RECIPES`.
    seed
        Seed of the parameters and of the order of the data.
    steps
        Training steps.
    learning_rate
        The highest learning rate.
    dropout
        Probability of dropout.
    rankings
        How beam search may rank its answers: the test set is translated with the one that has the
        best BLEU on validation. Without any, the model is not tested.
    """

    model: str
    seed: int
    steps: int
    learning_rate: float
    dropout: float = DROPOUT
    rankings: tuple[BeamConfig, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A longer training of one model, from any seed.

    Parameters
    ----------
    model, steps, dropout, rankings
        Fields of `TranslationJob`.
    """

    model: str
    steps: int
    dropout: float
    rankings: tuple[BeamConfig, ...]


BUDGETS = {
    "five minutes": Budget(
        model="LSTM + attention", steps=1650, dropout=0.1, rankings=(LENGTH_PENALTY,)
    ),
    "fifteen minutes": Budget(
        model="GRU + attention",
        steps=5400,
        dropout=0.2,
        rankings=(LENGTH_PENALTY, *TOKEN_BONUSES),
    ),
}


def bake_off_jobs(models: list[str], seeds: list[int]) -> dict[str, TranslationJob]:
    """Return the jobs of the bake-off by their names in the results.

    Parameters
    ----------
    models
        Names of the models.
    seeds
        The seeds.

    Returns
    -------
    jobs : dict
        The jobs by name.
    """
    return {
        f"{model}, seed {seed}": TranslationJob(
            model=model,
            seed=seed,
            steps=BAKE_OFF_STEPS[model],
            learning_rate=RECIPES[model].learning_rate,
            rankings=(LENGTH_PENALTY,),
        )
        for seed in seeds
        for model in models
    }


def longer_jobs(budgets: list[str], seeds: list[int]) -> dict[str, TranslationJob]:
    """Return the jobs of the longer trainings by their names in the results.

    Parameters
    ----------
    budgets
        Names of budgets in `BUDGETS`.
    seeds
        The seeds.

    Returns
    -------
    jobs : dict
        The jobs by name.
    """
    return {
        f"{name}, seed {seed}": TranslationJob(
            model=budget.model,
            seed=seed,
            steps=budget.steps,
            learning_rate=RECIPES[budget.model].learning_rate,
            dropout=budget.dropout,
            rankings=budget.rankings,
        )
        for seed in seeds
        for name, budget in BUDGETS.items()
        if name in budgets
    }


def rate_jobs(models: list[str]) -> dict[str, TranslationJob]:
    """Return the jobs with half and with twice the learning rate by their names in the results."""
    return {
        f"rate {rate:g}, {model}": TranslationJob(
            model=model, seed=0, steps=BAKE_OFF_STEPS[model], learning_rate=rate
        )
        for model in models
        for rate in (RECIPES[model].learning_rate / 2, RECIPES[model].learning_rate * 2)
    }
