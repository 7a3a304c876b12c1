"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.robustness import canaries
from benchmarks.robustness.classifiers import Recipe, run_classifier
from benchmarks.robustness.poison import Poison, run_poison
from benchmarks.tuning import Arm


def _classifier(rate: float, grid: tuple[float, ...], **options: Any) -> Arm:
    """Return the arm of a classifier."""
    recipe = Recipe(**options)
    settings = recipe.settings() | {"learning_rate": rate, "grid": list(grid)}
    return Arm(settings, partial(run_classifier, recipe, rate=rate))


def _poison(size: int | None) -> Arm:
    """Return an arm that is trained on poisoned sentences."""
    poison = Poison(size=size, counts=COUNTS)
    return Arm(poison.settings(), partial(run_poison, poison))


RATES = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)  # tried with seed 100 on validation sentences
COUNTS = (0, 1, 2, 4, 8, 16, 32, 64)
SMALL = 2_000  # clean sentences
STOPPED = 150  # steps after which ordinary training is about as accurate as training on attacks
of_canaries = {
    "optimizer": "AdamW",
    "learning_rate": canaries.RATE,
    "grid": None,
    "steps": canaries.STEPS,
    "batch size": canaries.BATCH_SIZE,
    "characters": canaries.TEXT,
    "canaries of each group": canaries.EACH,
}

PARTS: dict[str, dict[str, Arm]] = {
    "attack": {
        "FGSM": _classifier(0.032, RATES, shift="gradient"),
        "stopped early": _classifier(0.008, RATES[:4], steps=STOPPED),
        "ordinary": _classifier(0.008, RATES[:4]),
    },
    "poison": {"counts, small": _poison(SMALL), "counts, all": _poison(None)},
    "canaries": {"planted": Arm(of_canaries, canaries.run_canaries)},
}
