"""Training runs for the study of scaling: models of several widths on the characters of one text.

Section 2.2 and ``benchmarks.scaling`` train them; ``utils.studies.scaling_law`` fits a law to
their losses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from utils.arguments import check_positive
from utils.data.batches import Batch, TextBatches, text_eval_batches
from utils.data.corpora import Corpus
from utils.data.tokenizers import CharTokenizer
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_nll
from utils.training.optimizers import muon
from utils.training.protocols import Objective

# The setting that all models of the study have in common; only the width varies.
NUM_LAYERS = 2
NUM_HEADS = 2
WIDTH_MULTIPLE = 2 * NUM_HEADS  # rotary positions turn pairs of a head's numbers
CONTEXT_LENGTH = 64  # tokens
BATCH_SIZE = 8  # windows in a training step
EVAL_BATCH_SIZE = 64  # windows in a validation batch
VALID_CHARACTERS = 20_000  # predicted characters of the validation text

REFERENCE_WIDTH = 48
REFERENCE_LEARNING_RATE = 0.015  # at the reference width


@dataclass(frozen=True)
class ScalingRun:
    """The result of training one model once, as stored in "runs" of book/results/scaling.json.

    Parameters
    ----------
    width
        Width of the model.
    num_parameters
        N, its number of parameters.
    num_tokens
        D, the number of training tokens, repetitions included.
    learning_rate
        The highest learning rate of the run.
    seed
        Seed of the weights and of the order of the data.
    loss
        Validation loss in nats per character, to 5 decimals.
    seconds
        Processor time of the training, to 2 decimals.
    """

    width: int
    num_parameters: int
    num_tokens: int
    learning_rate: float
    seed: int
    loss: float
    seconds: float


class CharacterScaling:
    """A text and a validation loss, with which GPT models of several widths are trained.

    All runs have the same vocabulary, training text and validation windows, so that their losses
    can be compared.

    Parameters
    ----------
    corpus
        A text corpus: `train` is trained on, the beginning of `valid` measures the loss.
    """

    def __init__(self, corpus: Corpus[str]) -> None:
        tokenizer = CharTokenizer.train(corpus.train)
        self.vocab_size = len(tokenizer)
        self.train_ids = torch.tensor(tokenizer.encode(corpus.train))  # (N,)
        valid_ids = torch.tensor(tokenizer.encode(corpus.valid[: VALID_CHARACTERS + 1]))  # (N,)
        self.valid_batches = text_eval_batches(
            valid_ids, batch_size=EVAL_BATCH_SIZE, context_length=CONTEXT_LENGTH
        )

    def train(
        self,
        width: int,
        *,
        steps: int,
        seed: int = 0,
        learning_rate_factor: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> ScalingRun:
        """Train a new model by `fit_model` and measure its validation loss.

        Parameters
        ----------
        width
            Width of the model, a multiple of 4.
        steps
            Training steps of BATCH_SIZE windows with CONTEXT_LENGTH tokens each.
        seed
            Seed of the weights and of the order of the data.
        learning_rate_factor
            Multiplies the learning rate of `learning_rate_for`.
        device
            Device to train on.

        Returns
        -------
        run : ScalingRun
            Size and data of the run, its loss and its processor time.

        Raises
        ------
        ValueError
            If the width is not a positive multiple of 4, or `TrainConfig` rejects the
            configuration of the training.
        """
        check_positive(width=width)
        if width % WIDTH_MULTIPLE:
            raise ValueError(f"width must be a multiple of {WIDTH_MULTIPLE}, got {width}")
        seed_everything(seed)
        model = GPT(
            self.vocab_size,
            width=width,
            num_layers=NUM_LAYERS,
            num_heads=NUM_HEADS,
            context_length=CONTEXT_LENGTH,
        ).to(device)
        rate = learning_rate_factor * learning_rate_for(width)
        start_time = time.process_time()
        history = self.fit_model(model, steps=steps, learning_rate=rate, seed=seed)
        seconds = time.process_time() - start_time
        return ScalingRun(
            width=width,
            num_parameters=count_parameters(model),
            num_tokens=history.num_tokens,
            learning_rate=rate,
            seed=seed,
            loss=round(evaluate(model, self.valid_batches).loss, 5),
            seconds=round(seconds, 2),
        )

    def fit_model(
        self,
        model: GPT,
        *,
        steps: int,
        learning_rate: float,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
        objective: Objective[Any, Batch] = token_nll,
    ) -> History:
        """Train a model with Muon.

        The learning rate falls linearly to zero at the last step, because a run that is stopped
        early would look worse than one that was planned for its length.

        Parameters
        ----------
        model
            The model, on its device.
        steps
            Training steps of `batch_size` windows with CONTEXT_LENGTH tokens each.
        learning_rate
            The highest learning rate.
        seed
            Seed of the order of the data.
        batch_size
            Windows in a training step.
        objective
            What the training minimizes.

        Returns
        -------
        history : History
            The training losses and tokens.

        Raises
        ------
        KeyboardInterrupt, SystemExit
            If a signal stopped the training.
        ValueError
            If `TrainConfig` or `TextBatches` rejects a value.
        """
        config = TrainConfig(
            steps=steps, learning_rate=learning_rate, warmup_fraction=0.05, weight_decay=0.1
        )
        batches = TextBatches(
            self.train_ids, batch_size=batch_size, context_length=CONTEXT_LENGTH, seed=seed
        )
        history = fit(
            model, batches, config, progress=False, make_optimizer=muon, objective=objective
        )
        history.raise_if_interrupted()
        return history


def learning_rate_for(width: int) -> float:
    """Return the learning rate for a width: 0.015 at width 48, proportional to 1 / √width."""
    check_positive(width=width)
    factor: float = (REFERENCE_WIDTH / width) ** 0.5
    return REFERENCE_LEARNING_RATE * factor
