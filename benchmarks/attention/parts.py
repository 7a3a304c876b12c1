"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial
from typing import get_args

from benchmarks.attention.choice import Estimator
from benchmarks.attention.networks import ScoreName, build
from benchmarks.attention.training import Recipe

LETTERS = 6
small = partial(Recipe, rates=(0.004, 0.008, 0.016))
copier = partial(build, width=48)
translator = partial(build, width=64, is_bidirectional=True)

PARTS: dict[str, dict[str, Recipe]] = {
    "alignment": {
        score: small(build=partial(translator, score=score), steps=1000, batch_size=32)
        for score in get_args(ScoreName)
    },
    "choice": {
        name: small(
            build=copier,
            steps=300,
            batch_size=32,
            length=LETTERS,
            estimator=name,
            clip_norm=0,  # a clipped estimate would be biased, and the more the noisier it is
        )
        for name in get_args(Estimator)
    },
}
