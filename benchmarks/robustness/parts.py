"""The parts of the benchmark and their arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.robustness import canaries, suffixes
from benchmarks.robustness.classifiers import EPSILON, TUNING_SEEDS, Recipe, run_classifier
from benchmarks.robustness.poison import Poison, run_poison

Run = Callable[..., tuple[dict[str, Any], dict[str, Any]]]


@dataclass(frozen=True)
class Arm:
    """An arm: what is stored of it, its first rates, and what runs it.

    Parameters
    ----------
    settings
        What is set before the run.
    run
        Returns figures and costs for the keyword argument `seed`, and `rate` if there are rates.
    rates
        The learning rates that tuning tries first; none for an arm that is not tuned.
    """

    settings: Mapping[str, Any]
    run: Run
    rates: tuple[float, ...] = ()


def _classifier(rates: tuple[float, ...] = (0.002, 0.004, 0.008), **options: Any) -> Arm:
    """Return the arm of a classifier."""
    recipe = Recipe(rates=rates, **options)
    settings = recipe.settings() | ({"epsilon": EPSILON} if recipe.shift else {})
    if recipe.fixed_rate is None:
        return Arm(settings, partial(run_classifier, recipe), rates)
    settings |= {"learning_rate": recipe.fixed_rate, "grid": None}
    return Arm(settings, partial(run_classifier, recipe, rate=recipe.fixed_rate))


def _poison(**options: Any) -> Arm:
    """Return an arm that is trained on poisoned sentences."""
    poison = Poison(**options)
    return Arm(poison.settings(), partial(run_poison, poison))


def _suffix(use_gradient: bool) -> Arm:
    """Return an arm that searches for suffixes."""
    settings = {
        "optimizer": None,
        "learning_rate": None,
        "grid": None,
        "steps": suffixes.STEPS,
        "length": suffixes.LENGTH,
        "forward passes": suffixes.PASSES,
        "gradient": use_gradient,
    }
    return Arm(settings, partial(suffixes.run_search, use_gradient=use_gradient))


def _run_canaries(*, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run `canaries.run_canaries` at CANARY_RATE."""
    return canaries.run_canaries(rate=CANARY_RATE, seed=seed, is_trial=seed in TUNING_SEEDS)


CANARY_RATE = 0.002
COUNTS, FEW_COUNTS = (0, 1, 2, 4, 8, 16, 32, 64), (0, 16, 64)
LEARNED = ("typos", "capitals", "dropped words")  # kinds of damage that training may show
SMALL = 2_000  # clean sentences
of_canaries = {
    "optimizer": "AdamW",
    "learning_rate": CANARY_RATE,
    "grid": None,
    "steps": canaries.STEPS,
    "batch size": canaries.BATCH_SIZE,
    "characters": canaries.TEXT,
}

PARTS: dict[str, dict[str, Arm]] = {
    "suffix": {"gradient": _suffix(True), "random": _suffix(False)},
    "canaries": {"planted": Arm(of_canaries, _run_canaries)},
    "poison": {
        "counts, small": _poison(size=SMALL, counts=COUNTS),
        "counts, all": _poison(size=None, counts=COUNTS),
        "network, small": _poison(size=SMALL, counts=FEW_COUNTS, epochs=3),
        "network, all": _poison(size=None, counts=FEW_COUNTS, epochs=3),
    },
    "noise": {
        "clean": _classifier(),
        "BPE-dropout": _classifier(kind="BPE-dropout"),
        **{name: _classifier(kind=name) for name in LEARNED},
    },
    "attack": {
        "random signs": _classifier(shift="random"),
        "FGSM": _classifier(shift="gradient"),
    },
    "long": {"clean": _classifier((), fixed_rate=0.004, steps=1000)},
}
