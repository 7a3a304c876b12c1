"""The parts of the benchmark and their arms."""

from __future__ import annotations

import copy
from functools import partial

from benchmarks.compression.networks import changed, rounded, with_low_rank
from benchmarks.compression.task import Texts
from benchmarks.compression.training import Recipe
from utils.models.gpt import GPT

STUDENT_STEPS = 160
LONGER_STEPS = 3.5  # times as many: a taught step costs 3.7 times the operations of another one


def copied(texts: Texts) -> GPT:
    """Return a copy of the stored model."""
    return copy.deepcopy(texts.model)


def corrected(texts: Texts) -> GPT:
    """Return the stored model with corrections of low rank, which alone are trained."""
    return with_low_rank(texts.model)


def rounded_and_corrected(texts: Texts) -> GPT:
    """Return the stored model in four bits, with corrections of low rank."""
    return with_low_rank(changed(texts.model, rounded))


def new(texts: Texts) -> GPT:
    """Return a model of the stored one's size with new weights."""
    model = texts.model
    return GPT(
        texts.vocab_size,
        width=model.embedding.embedding_dim,
        num_layers=len(model.layers),
        num_heads=model.num_heads,
        context_length=model.context_length,
    )


def student(texts: Texts) -> GPT:
    """Return a new model that is smaller."""
    return GPT(texts.vocab_size, width=64, num_layers=1, num_heads=4, context_length=64)


adapted = partial(Recipe, kind="captions", steps=60)
learning = partial(Recipe, build=student, kind="plays", rates=(0.004, 0.008, 0.016))
LOWER_RATE = 0.002  # learns the captions at least as well as LoRA with its best rate
HIGH_RATES, LOW_RATES = (0.004, 0.008, 0.016), (0.0005, 0.001, 0.002)
repaired = partial(Recipe, build=copied, kind="plays", rates=LOW_RATES, steps=40)

PARTS: dict[str, dict[str, Recipe]] = {
    "pruning": {
        "60% dropped": repaired(dropped=0.6),
        "80% dropped": repaired(dropped=0.8),
    },
    "adaptation": {
        "all weights": adapted(build=copied, rates=LOW_RATES),
        "LoRA": adapted(build=corrected, rates=HIGH_RATES),
        "LoRA on 4 bits": adapted(build=rounded_and_corrected, rates=HIGH_RATES),
        "a new model": adapted(build=new, rates=HIGH_RATES),
        "all weights, lower rate": adapted(build=copied, rates=(), fixed_rate=LOWER_RATE),
    },
    "distillation": {
        f"{amount} text, {how}": learning(
            part=part, steps=round(times * STUDENT_STEPS), taught=how == "taught"
        )
        for amount, part in (("all", "train"), ("little", "little"))
        for how, times in (("alone", 1), ("taught", 1), ("alone, longer", LONGER_STEPS))
    },
}
