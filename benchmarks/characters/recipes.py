"""Recipes for a small GPT: nanoGPT's, the book's, and the changes that lead from one to the other.

A recipe is a model's options, a `TrainConfig`, an optimizer and a way to draw windows. Section 6.2
explains the changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.characters import nanogpt
from benchmarks.characters.loss_curves import LossCurve, TimedBatches
from benchmarks.characters.task import NUM_HEADS, NUM_LAYERS, WIDTH, CharacterTask
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.history import History
from utils.training.loop import fit
from utils.training.optimizers import OptimizerFactory, adamw, muon

NUM_VALIDATIONS = 10  # in a run
# Rows of the tables of n-gram vectors: each pair has one of its own, triples and fours share some.
NGRAM_TABLES = (65 * 65, 8192, 16384)
GPT2_OPTIONS: Mapping[str, Any] = {  # of `GPT`; they make it the model of nanoGPT
    "positional_encoding": "learned",
    "norm": "layer",
    "activation": "gelu",
    "qk_norm": False,
    "zero_init": False,
}
BOOK_CONFIG = TrainConfig(
    learning_rate=1e-2, schedule="linear", warmup_fraction=0.02, betas=(0.9, 0.98)
)


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
        What replaces the recipe's.
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
    options={"ngram_table_sizes": NGRAM_TABLES},
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
    Ingredient(name="vectors of pairs", options={"ngram_table_sizes": NGRAM_TABLES[:1]}),
    Ingredient(name="vectors of triples", options={"ngram_table_sizes": NGRAM_TABLES[:2]}),
    Ingredient(name="vectors of fours", options={"ngram_table_sizes": NGRAM_TABLES}),
    Ingredient(name="windows without replacement", without_replacement=True),
)


def train_recipe(
    task: CharacterTask,
    recipe: CharacterRecipe,
    *,
    config: TrainConfig,
    valid: TimedBatches,
    seed: int,
    after_validation: Callable[[], None] | None = None,
) -> LossCurve:
    """Train a new model by a recipe, with another `config` than the recipe's.

    Parameters
    ----------
    task
        The data.
    recipe
        The model and how it is trained.
    config
        How to train, instead of the recipe's configuration.
    valid
        The validation batches, which record the training time.
    seed
        Seed of the parameters and of the order of the data.
    after_validation
        A function that is called after each validation; its time is not training time.

    Returns
    -------
    curve : LossCurve
        The loss of each validation.
    """

    def on_validation(_: History) -> None:
        if after_validation is not None:
            with valid.stopwatch.paused():
                after_validation()

    seed_everything(seed)
    model = recipe.build(task)
    batches = task.train_batches(seed=seed, without_replacement=recipe.without_replacement)
    valid.start()
    history = fit(
        model,
        batches,
        config,
        valid=valid,
        progress=False,
        make_optimizer=recipe.make_optimizer,
        on_validation=on_validation,
    )
    history.raise_if_interrupted()
    return LossCurve.from_readings(history.validations, valid.readings)


def with_validations(config: TrainConfig, steps: int) -> TrainConfig:
    """Return the configuration for about `steps` steps, with `NUM_VALIDATIONS` validations.

    Parameters
    ----------
    config
        A configuration.
    steps
        The number of training steps.

    Returns
    -------
    config : TrainConfig
        The configuration with a number of steps that `NUM_VALIDATIONS` divides.
    """
    interval = max(1, steps // NUM_VALIDATIONS)
    return replace(config, steps=interval * NUM_VALIDATIONS, validate_every=interval)
