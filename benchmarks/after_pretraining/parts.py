"""The parts of the benchmark, their arms, and one run of an arm."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from benchmarks.after_pretraining import rewards
from benchmarks.after_pretraining.measure import accuracy, describe, pass_curves, sentence_loss
from benchmarks.after_pretraining.models import PRETRAINING, ROWS_IN_BATCH, instruct, pretrained
from benchmarks.after_pretraining.task import Style, demonstrations
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT

NUM_DEMONSTRATIONS = 200
INSTRUCTION_STEPS = 30
Method: TypeAlias = (
    Literal["demonstrations", "own right answers", "own answers", "DPO"] | rewards.Gradient
)
Figures: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model and its training, except the learning rate, which is tuned.

    Parameters
    ----------
    method
        The training method.
    rates
        The learning rates that tuning tries first.
    steps
        Number of steps, each on ROWS_IN_BATCH answers.
    style
        The style of the demonstrations.
    num_replayed
        How many rows of a batch of demonstrations are lines of pretraining instead.
    has_new_demonstrations
        Whether the demonstrations are other ones than those of the start, and as many as the
        answers that a run of policy gradients draws.
    is_instructed
        Whether training starts from the instructed model, or from the pretrained one.
    reward
        What policy gradients maximize.
    kl_weight
        The weight of the divergence from the start model.
    """

    method: Method
    rates: tuple[float, ...]
    steps: int
    style: Style = "mixed"
    num_replayed: int = 0
    has_new_demonstrations: bool = False
    is_instructed: bool = True
    reward: str = "right"
    kl_weight: float = 0.0

    def settings(self, start_rate: float | None) -> dict[str, Any]:
        """Return the settings that rows store; `start_rate` is the rate of the instruction."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "method": self.method,
            "style": self.style,
            "replayed lines in a step": self.num_replayed,
            "new demonstrations": self.has_new_demonstrations,
            "answers in a step": ROWS_IN_BATCH,
            "reward": self.reward,
            "KL weight": self.kl_weight,
            "pretraining steps": PRETRAINING.steps,
            "rate of instruction": start_rate,
        }


INSTRUCTED = Recipe(
    method="demonstrations",
    rates=(2e-3, 4e-3, 8e-3),
    steps=INSTRUCTION_STEPS,
    is_instructed=False,
)
STEPS, LENGTH_STEPS = 40, 80
IMITATION_RATES = (2.5e-4, 5e-4, 1e-3)
POLICY_RATES = (1.25e-4, 2.5e-4, 5e-4)
PARTS: dict[str, dict[str, Recipe]] = {
    "instruction": {
        style: Recipe(
            method="demonstrations",
            rates=INSTRUCTED.rates,
            steps=INSTRUCTION_STEPS,
            style=style,
            is_instructed=False,
        )
        for style in ("mixed", "worked", "short", "filler")
    }
    | {
        "mixed with replay": Recipe(
            method="demonstrations",
            rates=INSTRUCTED.rates,
            steps=INSTRUCTION_STEPS,
            num_replayed=ROWS_IN_BATCH // 8,
            is_instructed=False,
        )
    },
    "rewards": {
        "same demonstrations": Recipe(method="demonstrations", rates=IMITATION_RATES, steps=STEPS),
        "new demonstrations": Recipe(
            method="demonstrations",
            rates=IMITATION_RATES,
            steps=STEPS,
            has_new_demonstrations=True,
        ),
        "own answers": Recipe(method="own answers", rates=POLICY_RATES, steps=STEPS),
        "own right answers": Recipe(method="own right answers", rates=POLICY_RATES, steps=STEPS),
        "DPO": Recipe(method="DPO", rates=(6.25e-5, 1.25e-4, 2.5e-4), steps=STEPS),
    }
    | {
        gradient: Recipe(method=gradient, rates=POLICY_RATES, steps=STEPS)
        for gradient in rewards.GRADIENTS
    },
    "length": {
        name: Recipe(
            method="REINFORCE",
            rates=(5e-4,),
            steps=LENGTH_STEPS,
            reward="length",
            kl_weight=weight,
        )
        for name, weight in (("no penalty", 0.0), ("penalty 0.1", 0.1), ("penalty 0.3", 0.3))
    },
}


@cache
def _instructed(seed: int, rate: float) -> GPT:
    """Instruct once for each seed of a process."""
    model = pretrained(seed)
    pairs = demonstrations("mixed", NUM_DEMONSTRATIONS, seed=seed)
    instruct(model, pairs, steps=INSTRUCTION_STEPS, rate=rate, seed=seed)
    return model


@cache
def _draws(seed: int, start_rate: float, steps: int) -> rewards.Draws:
    """Draw from the instructed model once for each seed of a process."""
    return rewards.draw_from_start(_instructed(seed, start_rate), steps=steps, seed=seed)


def start_of(recipe: Recipe, seed: int, start_rate: float | None) -> GPT:
    """Return the model that an arm starts from."""
    if not recipe.is_instructed:
        return pretrained(seed)
    assert start_rate is not None, "the start is instructed at a rate"
    return copy.deepcopy(_instructed(seed, start_rate))


def run_arm(
    recipe: Recipe, start_rate: float | None, *, rate: float, seed: int, is_trial: bool = False
) -> tuple[Figures, dict[str, Any]]:
    """Train once, and measure.

    Parameters
    ----------
    recipe
        What to train.
    start_rate
        The rate that instructed the start; None for an arm that starts from pretraining.
    rate
        The learning rate.
    seed
        The seed of all stages.
    is_trial
        Whether only the error for selection is measured.

    Returns
    -------
    figures : dict
        What is reported.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = start_of(recipe, seed, start_rate)
    model = copy.deepcopy(start)
    began = time.process_time()
    curves, tokens, generated = train(
        recipe, model, start=start, start_rate=start_rate, rate=rate, seed=seed
    )
    figures: Figures = {"selection error": 1 - accuracy(model, "selection")}
    if not is_trial:
        figures |= describe(model, start) | pass_curves(model) | {"curves": curves}
        figures["sentence loss at start"] = sentence_loss(start)
    if not is_trial and not recipe.is_instructed:
        figures["accuracy at start"] = accuracy(start, "reporting")
        figures["accuracy at start, as a note"] = accuracy(start, "reporting", mark=" ")
    costs = {
        "parameters": count_parameters(model),
        "tokens": tokens,
        "generated tokens": generated,
        "processor_seconds": round(time.process_time() - began, 2),
    }
    return figures, costs


def train(
    recipe: Recipe, model: GPT, *, start: GPT, start_rate: float | None, rate: float, seed: int
) -> tuple[dict[str, list[float]], int, int]:
    """Train a model by the method of an arm, in place.

    Parameters
    ----------
    recipe
        What to train.
    model, start
        The model, and the one that it started from.
    start_rate
        The rate that instructed the start; None for an arm that starts from pretraining.
    rate
        The learning rate.
    seed
        The seed of all draws.

    Returns
    -------
    curves : dict of str to list of float
        What was noted at each step.
    tokens : int
        The number of predicted tokens.
    generated : int
        The number of tokens that models have drawn for it.
    """
    if recipe.method == "demonstrations":
        return {}, _train_on_demonstrations(recipe, model, rate=rate, seed=seed), 0
    assert start_rate is not None, "these methods start from the instructed model"
    if recipe.method == "own right answers" or recipe.method == "own answers":
        draws = _draws(seed, start_rate, recipe.steps)
        answers = draws.right if recipe.method == "own right answers" else draws.answers
        tokens = rewards.train_on_own_answers(
            model, answers, steps=recipe.steps, rate=rate, seed=seed
        )
        return {}, tokens, draws.tokens
    if recipe.method == "DPO":
        draws = _draws(seed, start_rate, recipe.steps)
        losses, tokens = rewards.train_by_dpo(
            model, start, draws, steps=recipe.steps, rate=rate, seed=seed
        )
        return {"loss": losses}, tokens, draws.tokens
    config = rewards.PolicyConfig(
        gradient=recipe.method,
        steps=recipe.steps,
        rate=rate,
        seed=seed,
        reward=recipe.reward,
        kl_weight=recipe.kl_weight,
    )
    curves = rewards.train_policy(model, start, config)
    tokens = round(sum(curves["tokens"]) * ROWS_IN_BATCH)
    return curves, tokens, tokens


def _train_on_demonstrations(recipe: Recipe, model: GPT, *, rate: float, seed: int) -> int:
    """Train a model on demonstrations, in place; return the number of predicted tokens."""
    other = seed + 1000  # questions, or an order, that are not those of the start
    pairs = demonstrations(recipe.style, NUM_DEMONSTRATIONS, seed=seed)
    if recipe.has_new_demonstrations:
        pairs = demonstrations(recipe.style, recipe.steps * ROWS_IN_BATCH, seed=other)
    return instruct(
        model,
        pairs,
        steps=recipe.steps,
        rate=rate,
        seed=other if recipe.is_instructed else seed,
        num_replayed=recipe.num_replayed,
        is_constant=recipe.is_instructed,
    )
