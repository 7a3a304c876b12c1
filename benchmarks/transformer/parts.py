"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial

from benchmarks.transformer.networks import (
    CONTEXT_LENGTH,
    SIZES,
    MaskedLM,
    Stack,
    language_model,
)
from benchmarks.transformer.training import Recipe

GATED_SIZE = round(8 * SIZES["width"] / 3)  # as many parameters as without a gate, of size 4·D
LARGER_START = SIZES["width"] ** -0.5  # keeps the size of a normalized vector

stack = partial(Stack, width=32, num_layers=12, num_heads=4)
one_head = partial(language_model, num_heads=1, query_std=LARGER_START)  # as in eq-dot-variance
HIGH_RATES = (0.004, 0.008, 0.016)
small = partial(
    Recipe, rates=(0.004, 0.008, 0.016), steps=240, batch_size=10, length=CONTEXT_LENGTH
)
deep = partial(
    Recipe,
    rates=(0.0005, 0.001, 0.002),
    steps=200,
    batch_size=6,
    length=48,
    schedule="constant",
    clip_norm=0.0,
)
masked = partial(Recipe, rates=(0.004, 0.008, 0.016), steps=700, batch_size=48, length=None)

PARTS: dict[str, dict[str, Recipe]] = {
    "positions": {
        "rotary": small(build=language_model, lengths=True),
        "none": small(build=partial(language_model, positions="none"), lengths=True),
    },
    "lengths": {
        "rotary": small(build=language_model, lengths=True, controls=True),
        "sinusoidal": small(
            build=partial(language_model, positions="sinusoidal", word_std=LARGER_START),
            lengths=True,
        ),
    },
    "pre-norm": {
        "constant rate": deep(build=partial(stack, norm_first=True), warmup=0.0, rates=HIGH_RATES),
        "warm-up": deep(build=partial(stack, norm_first=True), warmup=0.5, rates=HIGH_RATES),
    },
    "root": {
        "divided by √d": small(build=one_head),
        "undivided": small(build=partial(one_head, divided=False)),
    },
    "masked": {
        "both sides": masked(build=partial(MaskedLM, causal=False)),
        "left side only": masked(build=partial(MaskedLM, causal=True)),
    },
    "masked, longer": {
        "both sides": masked(
            build=partial(MaskedLM, causal=False), steps=2100, rates=(0.002, 0.004, 0.008)
        ),
    },
    "norm": {
        "post-norm, no warm-up": deep(build=partial(stack, norm_first=False), warmup=0.0),
        "post-norm, warm-up": deep(build=partial(stack, norm_first=False), warmup=0.5),
        "pre-norm, no warm-up": deep(build=partial(stack, norm_first=True), warmup=0.0),
    },
    "variants": {
        "SwiGLU": small(
            build=partial(language_model, activation="swiglu", feedforward_size=GATED_SIZE)
        ),
        "SwiGLU, larger start": small(
            build=partial(
                language_model,
                activation="swiglu",
                feedforward_size=GATED_SIZE,
                hidden_std=LARGER_START,
            )
        ),
        "GELU, larger start": small(build=partial(language_model, hidden_std=LARGER_START)),
        "1 group": small(build=partial(language_model, num_groups=1)),
    },
}
