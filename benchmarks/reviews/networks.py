"""Networks that classify the film reviews, and how one is trained and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from benchmarks.reviews.task import Reviews, as_digits
from benchmarks.tuning import finite_loss
from utils.contract import Encoder
from utils.data.labelled_batches import LabelledBatches, labelled_eval_batches
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import PAD
from utils.metrics.cost import count_parameters
from utils.models.classifiers import Classifier, WordCNNEncoder, predict_logits
from utils.models.masks import masked_mean, source_mask
from utils.models.typed_module import TypedModule
from utils.runtime import seed_everything
from utils.states import Memory
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import label_objective

WIDTH, FILTERS = 64, 48
EPOCHS = 3
BATCH_SIZE, NUM_VALIDATIONS = 64, 8
LABEL_SMOOTHING, WEIGHT_DECAY, WARMUP = 0.1, 0.01, 0.1


class MeanEncoder(TypedModule):
    """An encoder whose vector is the mean of the word vectors: a bag of words.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of a word vector.
    """

    def __init__(self, vocab_size: int, *, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)

    def forward(self, ids: torch.Tensor) -> Memory:
        """Return the Memory of B texts, `ids` (B, S), padded with PAD at the end."""
        is_token = source_mask(ids)  # (B, S)
        states = self.embedding(ids)  # (B, S, D)
        return Memory(states, is_token, masked_mean(states, is_token))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The network of an arm, except its learning rate, which is tuned.

    Parameters
    ----------
    build
        Builds the encoder for a size of the vocabulary.
    rates
        The learning rates that tuning tries first.
    size
        The length of the encoder's vector.
    """

    build: Callable[[int], Encoder[Memory]]
    rates: tuple[float, ...]
    size: int = WIDTH

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": "AdamW",
            "steps": f"{EPOCHS} epochs",
            "batch size": BATCH_SIZE,
            "label smoothing": LABEL_SMOOTHING,
            "weight decay": WEIGHT_DECAY,
            "warm-up": WARMUP,
        }


def cnn(vocab_size: int) -> Encoder[Memory]:
    """Build the convolutions of Kim 2014 over spans of three, four and five words."""
    return WordCNNEncoder(vocab_size, embedding_size=WIDTH, num_filters=FILTERS)


def mean(vocab_size: int) -> Encoder[Memory]:
    """Build the bag of word vectors."""
    return MeanEncoder(vocab_size, width=WIDTH)


NETWORKS: dict[str, Recipe] = {
    "mean of vectors": Recipe(build=mean, rates=(0.005, 0.01, 0.02)),
    "CNN": Recipe(build=cnn, rates=(0.0025, 0.005, 0.01), size=3 * FILTERS),
}


def run_network(
    recipe: Recipe, task: Reviews, *, rate: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a network and keep the weights of its lowest validation loss.

    Parameters
    ----------
    recipe
        What to train.
    task
        The sentences.
    rate
        The highest learning rate.
    seed
        Seed of the parameters and the batches.

    Returns
    -------
    figures : dict
        The validation loss, which selects the rate, the accuracy on the test sentences in per cent,
        and which of them are judged right.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    tokenizer = word_tokenizer()
    examples = [(tokenizer.encode(text), label) for text, label in task.train]
    valid = [(tokenizer.encode(text), label) for text, label in task.valid]
    seed_everything(seed)
    encoder = recipe.build(len(tokenizer))
    model = Classifier(encoder, input_size=recipe.size)
    batches = LabelledBatches(examples, batch_size=BATCH_SIZE, seed=seed)
    steps = EPOCHS * len(batches)
    config = TrainConfig(
        steps=steps,
        learning_rate=rate,
        warmup_fraction=WARMUP,
        weight_decay=WEIGHT_DECAY,
        validate_every=steps // NUM_VALIDATIONS,
    )
    eval_batches = labelled_eval_batches(valid, batch_size=200)
    objective = label_objective(label_smoothing=LABEL_SMOOTHING)
    history = fit(model, batches, config, objective=objective, valid=eval_batches, progress=False)
    history.raise_if_interrupted()
    logits = predict_logits(model, [tokenizer.encode(text) for text, _ in task.test])  # (N, 2)
    is_right = logits.argmax(1).numpy() == [label for _, label in task.test]
    figures = {
        "selection loss": finite_loss(evaluate(model, eval_batches, objective=objective).loss),
        "accuracy": 100 * float(is_right.mean()),
        "right": as_digits(is_right),
    }
    costs = {
        "parameters": count_parameters(model),
        "tokens": history.num_tokens,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


@cache
def word_tokenizer() -> WordTokenizer:
    """Make the tokenizer of the words that occur twice in training, which needs no labels."""
    return WordTokenizer.train([text for text, _ in Reviews.load().train], min_count=2)
