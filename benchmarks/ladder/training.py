"""Training of the models of ``ladder``, and their losses alone and mixed with an n-gram model.

The benchmark's command is that of ``benchmarks.ladder.__main__``.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from benchmarks.ladder.recipes import UNITS, LadderRecipe, Unit
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import Corpus
from utils.decoding.interpolation import best_mixture_weight, mix_log_probs
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.history import History
from utils.training.loop import fit

NUM_VALIDATIONS = 20  # in a run
CURVE_TOKENS = 20_000  # tokens of the validation text that the curves are measured on
CURVE_BATCH_SIZE = 20  # windows


@dataclass(frozen=True)
class TokenizedText:
    """One text as tokens.

    Parameters
    ----------
    train, valid
        Ids of the training and of the validation text, (N,).
    vocab_size
        Size of the vocabulary.
    """

    train: torch.Tensor
    valid: torch.Tensor
    vocab_size: int

    @classmethod
    def from_corpus(cls, corpus: Corpus[str], unit: Unit) -> TokenizedText:
        """Train a tokenizer on the training text and encode both texts.

        Parameters
        ----------
        corpus
            The training and validation texts.
        unit
            What its tokens are.

        Returns
        -------
        text : TokenizedText
            The ids of both texts.
        """
        tokenizer = unit.train_tokenizer(corpus.train)
        train, valid = (
            torch.tensor(tokenizer.encode(text)) for text in (corpus.train, corpus.valid)
        )
        return cls(train, valid, len(tokenizer))


@dataclass(frozen=True, kw_only=True)
class LadderFigures:
    """The figures of one neural model from one seed; losses in nats per token.

    Parameters
    ----------
    seed
        Seed of the parameters and of the order of the data.
    loss
        Loss on the whole validation text, the state handed on from one window to the next.
    mixture_loss
        Loss of the mixture with the n-gram model on the same text.
    mixture_weight
        The model's weight in the mixture, the best one on that text.
    num_parameters
        Number of the model's parameters.
    steps
        Training steps.
    seconds
        Time of these steps.
    curve
        Seconds of training and loss of each validation, on windows that start without a state.
    ngram_loss
        Loss of the n-gram model on the tokens of the curve.
    """

    seed: int
    loss: float
    mixture_loss: float
    mixture_weight: float
    num_parameters: int
    steps: int
    seconds: float
    curve: list[tuple[float, float]]
    ngram_loss: float


def train_unit(
    name: str, corpus: Corpus[str], *, seed: int, steps: int | None = None
) -> dict[str, Any]:
    """Train all models of one unit from one seed, and return what is stored of them.

    Parameters
    ----------
    name
        The unit, "characters" or "words".
    corpus
        The text.
    seed
        Seed of the parameters and of the order of the data.
    steps
        Training steps of each neural model; by default those of its recipe.

    Returns
    -------
    results : dict
        The figures of each model by its name.
    """
    unit = UNITS[name]
    text = TokenizedText.from_corpus(corpus, unit)
    ngram_log_probs, seconds = train_ngram(text, unit.ngram_order)
    results: dict[str, Any] = {
        f"{unit.ngram_order}-gram": {"loss": -float(ngram_log_probs.mean()), "seconds": seconds}
    }
    for model_name, recipe in unit.recipes.items():
        shortened = recipe if steps is None else replace(recipe, steps=steps)
        figures = train_neural(shortened, text, ngram_log_probs, seed=seed)
        losses = f"{figures.loss:.3f}, mixed {figures.mixture_loss:.3f} nats"
        print(f"{name}, {model_name}, seed {seed}: {losses}, {figures.seconds:.0f} s", flush=True)
        results[model_name] = asdict(figures)
    return results


def train_ngram(text: TokenizedText, order: int) -> tuple[torch.Tensor, float]:
    """Train a Kneser–Ney model, and score all tokens of the validation text but the first.

    Parameters
    ----------
    text
        The encoded training and validation texts.
    order
        The order n of the model.

    Returns
    -------
    log_probs : torch.Tensor
        Log-probabilities of the tokens, (N − 1,).
    seconds : float
        The processor time of counting.
    """
    start = time.process_time()
    counts = NGramCounts(text.train, order=order, vocab_size=text.vocab_size)
    model = NGramLM.kneser_ney(counts, modified=True)
    seconds = time.process_time() - start
    return model.score(text.valid)[1:], seconds


def train_neural(
    recipe: LadderRecipe, text: TokenizedText, ngram_log_probs: torch.Tensor, *, seed: int
) -> LadderFigures:
    """Train one model from one seed, and score it alone and mixed with the n-gram model.

    Parameters
    ----------
    recipe
        The model and how it is trained.
    text
        The encoded training and validation texts.
    ngram_log_probs
        Log-probabilities of the validation text by the n-gram model, (N − 1,).
    seed
        Seed of the parameters and of the order of the data.

    Returns
    -------
    figures : LadderFigures
        What is stored about the model.
    """
    model, history = fit_recipe(recipe, text, seed=seed)
    log_probs = token_log_probs(model, text.valid)  # (N − 1,)
    weight = best_mixture_weight(log_probs, ngram_log_probs)
    curve_tokens = min(CURVE_TOKENS, len(text.valid))
    return LadderFigures(
        seed=seed,
        loss=-float(log_probs.mean()),
        mixture_loss=-float(mix_log_probs(log_probs, ngram_log_probs, weight).mean()),
        mixture_weight=weight,
        num_parameters=count_parameters(model),
        steps=recipe.steps,
        seconds=history.seconds,
        curve=[(history.seconds * step / recipe.steps, loss) for step, loss in history.validations],
        ngram_loss=-float(ngram_log_probs[: curve_tokens - 1].mean()),
    )


def fit_recipe(
    recipe: LadderRecipe, text: TokenizedText, *, seed: int
) -> tuple[nn.Module, History]:
    """Train one model from one seed, and validate it on the beginning of the validation text.

    Parameters
    ----------
    recipe
        The model and how it is trained.
    text
        The encoded training and validation texts.
    seed
        Seed of the parameters and of the order of the data.

    Returns
    -------
    model : nn.Module
        The trained model.
    history : History
        The losses of its training.
    """
    seed_everything(seed)
    model = recipe.build(text.vocab_size)
    config = TrainConfig(
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        validate_every=-(-recipe.steps // NUM_VALIDATIONS),  # rounded up
    )
    batches = TextBatches(
        text.train,
        batch_size=recipe.batch_size,
        context_length=recipe.context_length,
        seed=seed,
    )
    valid = text_eval_batches(
        text.valid[:CURVE_TOKENS],
        batch_size=CURVE_BATCH_SIZE,
        context_length=recipe.context_length,
    )
    history = fit(
        model, batches, config, valid=valid, progress=False, make_optimizer=recipe.make_optimizer
    )
    history.raise_if_interrupted()
    return model, history
