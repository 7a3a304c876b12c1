"""The book's recipe for a small GPT, and the ingredients that lead to it from nanoGPT's.

A recipe is a model's options, a `TrainConfig`, an optimizer and a way to draw windows. Section 6.2
explains the ingredients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks import nanogpt
from benchmarks.character_task import NUM_HEADS, NUM_LAYERS, WIDTH, CharacterTask
from utils.models.gpt import GPT
from utils.training.config import TrainConfig
from utils.training.optimizers import OptimizerFactory, adamw, muon

# Rows of the tables of n-gram vectors: each pair has one of its own, triples and fours share some.
NGRAM_TABLES = (65 * 65, 8192, 16384)
GPT2_OPTIONS: Mapping[str, Any] = {  # of `GPT`; they make it the model of nanoGPT
    "positional_encoding": "learned",
    "norm": "layer",
    "activation": "gelu",
    "qk_norm": False,
    "zero_init": False,
}
BOOK_CONFIG = TrainConfig(learning_rate=1e-2, schedule="linear", warmup=0.02, betas=(0.9, 0.98))


@dataclass(frozen=True, kw_only=True)
class CharacterRecipe:
    """A model and how it is trained.

    Parameters
    ----------
    options
        Options of `GPT` other than its sizes.
    config
        How to train; the number of steps is set for each run.
    make_optimizer
        Builds the optimizer for the model and its configuration.
    without_replacement
        Whether each window of an epoch is drawn once.
    """

    options: Mapping[str, Any]
    config: TrainConfig
    make_optimizer: OptimizerFactory
    without_replacement: bool

    def build(self, task: CharacterTask) -> GPT:
        """Build the model."""
        return GPT(
            task.vocab_size,
            width=WIDTH,
            num_layers=NUM_LAYERS,
            num_heads=NUM_HEADS,
            context_length=task.context_length,
            **self.options,
        )


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """One change to a recipe; a field that is not given leaves the recipe's as it was.

    Parameters
    ----------
    name
        What the change is, as stored with its losses.
    options
        Options of `GPT` to add to the recipe's.
    config, make_optimizer, without_replacement
        What takes the place of the recipe's.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    config: TrainConfig | None = None
    make_optimizer: OptimizerFactory | None = None
    without_replacement: bool = False

    def add_to(self, recipe: CharacterRecipe) -> CharacterRecipe:
        """Return the recipe with this change."""
        return CharacterRecipe(
            options={**recipe.options, **self.options},
            config=self.config or recipe.config,
            make_optimizer=self.make_optimizer or recipe.make_optimizer,
            without_replacement=self.without_replacement or recipe.without_replacement,
        )


NANOGPT_RECIPE = CharacterRecipe(
    options=GPT2_OPTIONS, config=nanogpt.CONFIG, make_optimizer=adamw, without_replacement=False
)
BOOK_RECIPE = CharacterRecipe(
    options={"ngram_tables": NGRAM_TABLES},
    config=BOOK_CONFIG,
    make_optimizer=muon,
    without_replacement=True,
)
# In the order in which they are added to nanoGPT's recipe; the last one gives the book's.
INGREDIENTS = (
    Ingredient(name="baseline"),
    Ingredient(name="rotary positions", options={"positional_encoding": "rotary"}),
    Ingredient(name="RMSNorm", options={"norm": "rms"}),
    Ingredient(name="normalized queries and keys", options={"qk_norm": True}),
    Ingredient(name="squared ReLU", options={"activation": "squared_relu"}),
    Ingredient(name="zeros at the start", options={"zero_init": True}),
    Ingredient(name="linear decay, rate 3e-3", config=replace(BOOK_CONFIG, learning_rate=3e-3)),
    Ingredient(name="Muon, rate 1e-2", config=BOOK_CONFIG, make_optimizer=muon),
    Ingredient(name="vectors of pairs", options={"ngram_tables": NGRAM_TABLES[:1]}),
    Ingredient(name="vectors of triples", options={"ngram_tables": NGRAM_TABLES[:2]}),
    Ingredient(name="vectors of fours", options={"ngram_tables": NGRAM_TABLES}),
    Ingredient(name="windows without replacement", without_replacement=True),
)
