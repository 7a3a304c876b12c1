"""The language models that ``ladder`` trains, and how it trains them.

A recipe's number of steps is what one quiet core does in a minute; the last GPT's, in five.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from utils.data.tokenizers import CharTokenizer, Tokenizer, WordTokenizer
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM, NNLM, RNNLM
from utils.training.optimizers import OptimizerFactory, adamw, muon


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A neural language model and how it is trained.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary.
    steps
        Training steps.
    learning_rate
        The highest learning rate.
    batch_size
        Windows in a training step.
    context_length
        Tokens in a window.
    weight_decay
        Weight decay of the optimizer.
    optimizer
        Builds the optimizer.
    """

    build: Callable[[int], nn.Module]
    steps: int
    learning_rate: float
    batch_size: int = 16
    context_length: int = 64
    weight_decay: float = 0.01
    optimizer: OptimizerFactory = adamw


def gpt_with_pairs(vocab_size: int, *, context_length: int) -> GPT:
    """Build a GPT with a vector of its own for each pair of tokens."""
    return GPT(
        vocab_size,
        width=128,
        layers=4,
        heads=4,
        context_length=context_length,
        ngram_tables=(vocab_size**2,),
    )


CHARACTER_RECIPES = {
    "window": Recipe(
        build=partial(NNLM, order=8, embedding_size=16, hidden_size=160, direct=False),
        steps=15_000,
        learning_rate=5e-3,
    ),
    "RNN": Recipe(
        build=partial(RNNLM, width=192, embedding_size=32), steps=6500, learning_rate=8e-3
    ),
    "LSTM": Recipe(
        build=partial(LSTMLM, width=128, layers=1, tied=False, embedding_size=32),
        steps=9000,
        learning_rate=1.5e-2,
    ),
    "LSTM, wide": Recipe(
        build=partial(LSTMLM, width=512, layers=1, tied=False, embedding_size=64),
        steps=1100,
        learning_rate=6e-3,
    ),
    "GPT": Recipe(
        build=partial(gpt_with_pairs, context_length=64),
        steps=700,
        learning_rate=1e-2,
        batch_size=12,
        weight_decay=0.0,
        optimizer=muon,
    ),
    "GPT, five minutes": Recipe(
        build=partial(gpt_with_pairs, context_length=128),
        steps=2500,
        learning_rate=1e-2,
        batch_size=8,
        context_length=128,
        weight_decay=0.0,
        optimizer=muon,
    ),
}
WORD_RECIPES = {
    "window": Recipe(
        build=partial(NNLM, order=4, embedding_size=64, hidden_size=128, direct=False, dropout=0.2),
        steps=2000,
        learning_rate=6e-3,
        context_length=32,
    ),
    "RNN": Recipe(
        build=partial(RNNLM, width=128, embedding_size=64, dropout=0.2),
        steps=2000,
        learning_rate=5e-3,
        context_length=32,
    ),
    "LSTM": Recipe(
        build=partial(LSTMLM, width=128, layers=1, dropout=0.2),
        steps=2100,
        learning_rate=1.2e-2,
        context_length=32,
    ),
    "GPT": Recipe(
        build=partial(GPT, width=128, layers=2, heads=4, context_length=64, dropout=0.2),
        steps=950,
        learning_rate=5e-3,
        batch_size=8,
        optimizer=muon,
    ),
}


@dataclass(frozen=True)
class Unit:
    """What the tokens of a text are, and the models of such tokens.

    Parameters
    ----------
    train_tokenizer
        Makes the tokenizer for a training text.
    ngram_order
        The order of the n-gram model.
    recipes
        The neural models by name.
    """

    train_tokenizer: Callable[[str], Tokenizer]
    ngram_order: int
    recipes: dict[str, Recipe]


UNITS = {
    "characters": Unit(CharTokenizer.train, 6, CHARACTER_RECIPES),
    "words": Unit(partial(WordTokenizer.train, min_count=5), 5, WORD_RECIPES),
}
