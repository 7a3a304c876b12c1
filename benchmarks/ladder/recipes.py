"""The language models of the benchmark ``ladder``, and how it trains them.

A recipe's number of steps is what one quiet core does in a minute; the last GPT's, in five.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from utils.data.tokenizers import CharTokenizer, Tokenizer, WordTokenizer
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.training.optimizers import OptimizerFactory, adamw, muon


@dataclass(frozen=True, kw_only=True)
class LadderRecipe:
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
    make_optimizer
        Builds the optimizer for the model and its configuration.
    """

    build: Callable[[int], nn.Module]
    steps: int
    learning_rate: float
    batch_size: int = 16
    context_length: int = 64
    weight_decay: float = 0.01
    make_optimizer: OptimizerFactory = adamw


def build_gpt_with_pairs(vocab_size: int, *, context_length: int) -> GPT:
    """Build a GPT with a vector of its own for each pair of tokens.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    context_length
        The largest number of tokens of a text.

    Returns
    -------
    model : GPT
        The untrained model.
    """
    return GPT(
        vocab_size,
        width=128,
        num_layers=4,
        num_heads=4,
        context_length=context_length,
        ngram_table_sizes=(vocab_size**2,),
    )


CHARACTER_RECIPES = {
    "window": LadderRecipe(
        build=partial(NNLM, order=8, embedding_size=16, hidden_size=160, use_direct_layer=False),
        steps=15_000,
        learning_rate=5e-3,
    ),
    "RNN": LadderRecipe(
        build=partial(RNNLM, width=192, embedding_size=32), steps=6500, learning_rate=8e-3
    ),
    "LSTM": LadderRecipe(
        build=partial(RNNLM, width=128, cell="lstm", embedding_size=32),
        steps=9000,
        learning_rate=1.5e-2,
    ),
    "LSTM, wide": LadderRecipe(
        build=partial(RNNLM, width=512, cell="lstm", embedding_size=64),
        steps=1100,
        learning_rate=6e-3,
    ),
    "GPT": LadderRecipe(
        build=partial(build_gpt_with_pairs, context_length=64),
        steps=700,
        learning_rate=1e-2,
        batch_size=12,
        weight_decay=0.0,
        make_optimizer=muon,
    ),
    "GPT, five minutes": LadderRecipe(
        build=partial(build_gpt_with_pairs, context_length=128),
        steps=2500,
        learning_rate=1e-2,
        batch_size=8,
        context_length=128,
        weight_decay=0.0,
        make_optimizer=muon,
    ),
}
WORD_RECIPES = {
    "window": LadderRecipe(
        build=partial(
            NNLM, order=4, embedding_size=64, hidden_size=128, use_direct_layer=False, dropout=0.2
        ),
        steps=2000,
        learning_rate=6e-3,
        context_length=32,
    ),
    "RNN": LadderRecipe(
        build=partial(RNNLM, width=128, embedding_size=64, dropout=0.2),
        steps=2000,
        learning_rate=5e-3,
        context_length=32,
    ),
    "LSTM": LadderRecipe(
        build=partial(RNNLM, width=128, cell="lstm", tied=True, dropout=0.2),
        steps=2100,
        learning_rate=1.2e-2,
        context_length=32,
    ),
    "GPT": LadderRecipe(
        build=partial(GPT, width=128, num_layers=2, num_heads=4, context_length=64, dropout=0.2),
        steps=950,
        learning_rate=5e-3,
        batch_size=8,
        make_optimizer=muon,
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
    recipes: dict[str, LadderRecipe]


UNITS = {
    "characters": Unit(CharTokenizer.train, 6, CHARACTER_RECIPES),
    "words": Unit(partial(WordTokenizer.train, min_count=5), 5, WORD_RECIPES),
}
