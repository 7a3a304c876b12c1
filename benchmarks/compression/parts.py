"""The parts of the benchmark and their arms."""

from __future__ import annotations

import copy
from functools import partial

from benchmarks.compression.networks import with_free_matrices, with_low_rank
from benchmarks.compression.task import Texts
from benchmarks.compression.training import Recipe
from utils.models.gpt import GPT


def copied(texts: Texts) -> GPT:
    """Return a copy of the stored model."""
    return copy.deepcopy(texts.model)


def matrices(texts: Texts) -> GPT:
    """Return the stored model, of which the matrices of the layers alone are trained."""
    return with_free_matrices(texts.model)


def corrected(texts: Texts, rank: int) -> GPT:
    """Return the stored model with corrections of low rank, which alone are trained."""
    return with_low_rank(texts.model, rank=rank)


def student(texts: Texts) -> GPT:
    """Return a new model that is smaller."""
    return GPT(texts.vocab_size, width=64, num_layers=1, num_heads=4, context_length=64)


adapted = partial(Recipe, kind="captions", steps=60)
# more than either arm needs: each stops where its validation loss is lowest
learning = partial(Recipe, build=student, kind="plays", part="little", steps=320, validate_every=40)
FULL_RATES, MATRIX_RATES = (0.001, 0.002, 0.004), (0.002, 0.004, 0.008)
# the smallest rates of the grids with which the captions are learned as well as by LoRA of rank 8
LOWER_FULL_RATE, LOWER_MATRIX_RATE = 0.002, 0.004

PARTS: dict[str, dict[str, Recipe]] = {
    "adaptation": {
        "LoRA": adapted(build=partial(corrected, rank=8), rates=(0.008, 0.016, 0.032)),
        "LoRA, rank 64": adapted(build=partial(corrected, rank=64), rates=MATRIX_RATES),
        "matrices": adapted(build=matrices, rates=MATRIX_RATES),
        "all weights": adapted(build=copied, rates=FULL_RATES),
        "matrices, lower rate": adapted(build=matrices, rates=(), fixed_rate=LOWER_MATRIX_RATE),
        "all weights, lower rate": adapted(build=copied, rates=(), fixed_rate=LOWER_FULL_RATE),
    },
    "distillation": {
        "from scratch": learning(rates=(0.001, 0.002, 0.004)),
        "distilled": learning(rates=(0.001, 0.002, 0.004), distilled=True),
    },
}
