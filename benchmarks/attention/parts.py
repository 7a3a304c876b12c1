"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial
from typing import get_args

from benchmarks.attention.choice import Estimator
from benchmarks.attention.networks import build
from benchmarks.attention.training import Recipe

LETTERS = 6
small = partial(Recipe, rates=(0.004, 0.008, 0.016), batch_size=32)
copier = partial(build, width=48)
translator = partial(build, width=64, score="additive", is_bidirectional=True)

PARTS: dict[str, dict[str, Recipe]] = {
    "alignment": {
        "additive": small(build=translator, steps=400),
    },
    "choice": {
        name: small(build=copier, steps=300, length=LETTERS, estimator=name)
        for name in get_args(Estimator)
    },
}
