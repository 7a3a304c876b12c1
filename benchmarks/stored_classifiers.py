"""The trained classifiers of film reviews that travel with the book, in book/models.

    python -m benchmarks.stored_classifiers     sentiment-cnn and sentiment-gru: some minutes

Networks of section 9.1 learn the training sentences by words that occur there at least twice. Each
is trained with every rate of a grid; the one with the lowest validation loss is stored. Nothing is
chosen on test: the weights as they are stored, in half precision, judge the test sentences once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.reviews.networks import (
    BATCH_SIZE,
    LABEL_SMOOTHING,
    WARMUP,
    WEIGHT_DECAY,
    word_tokenizer,
)
from benchmarks.reviews.task import Reviews
from utils.console import make_output_safe
from utils.data.examples import LabelledReview
from utils.data.labelled_batches import LabelledBatches, labelled_eval_batches
from utils.metrics.cost import count_parameters
from utils.models.classifiers import Classifier, predict_logits
from utils.models.stored_classifier import (
    build_classifier,
    load_stored_classifier,
    save_stored_classifier,
)
from utils.models.stored_files import models_folder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import label_objective

NAMES = {"sentiment-cnn": "cnn", "sentiment-gru": "gru"}
RATES = {"sentiment-cnn": (0.0025, 0.005, 0.01), "sentiment-gru": (0.0035, 0.007, 0.014)}
EPOCHS, VALIDATIONS, SEED = 4, 12, 0


def train(
    options: dict[str, Any], task: Reviews, *, rate: float, epochs: int
) -> tuple[Classifier, dict[str, Any]]:
    """Train a classifier and keep the parameters of its best validation.

    Parameters
    ----------
    options
        The arguments of `build_classifier`.
    task
        The sentences.
    rate
        The highest learning rate.
    epochs
        Number of passes over the training sentences.

    Returns
    -------
    model : Classifier
        The trained model.
    facts : dict
        Steps, loss and processor time of the training.
    """
    start = time.process_time()
    tokenizer = word_tokenizer()
    encoded = [(tokenizer.encode(text), label) for text, label in task.train]
    valid = [(tokenizer.encode(text), label) for text, label in task.valid]
    seed_everything(SEED)
    model = build_classifier(**options)
    batches = LabelledBatches(encoded, batch_size=BATCH_SIZE, seed=SEED)
    steps = epochs * len(batches)
    config = TrainConfig(
        steps=steps,
        learning_rate=rate,
        warmup_fraction=WARMUP,
        weight_decay=WEIGHT_DECAY,
        validate_every=max(1, steps // VALIDATIONS),
    )
    objective = label_objective(label_smoothing=LABEL_SMOOTHING)
    eval_batches = labelled_eval_batches(valid, batch_size=200)
    history = fit(model, batches, config, objective=objective, valid=eval_batches, progress=False)
    history.raise_if_interrupted()
    facts = {
        "learning_rate": rate,
        "steps": steps,
        "best_step": history.best_step,
        "valid_loss": evaluate(model, eval_batches, objective=objective).loss,
        "processor_seconds": round(time.process_time() - start, 1),
    }
    return model, facts


def accuracy(model: Classifier, examples: Sequence[LabelledReview]) -> float:
    """Return the share of sentences that are judged right, in per cent."""
    tokenizer = word_tokenizer()
    logits = predict_logits(model, [tokenizer.encode(text) for text, _ in examples])
    labels = torch.tensor([label for _, label in examples])
    return 100 * float((logits.argmax(1) == labels).double().mean())


def main(arguments: Sequence[str]) -> None:
    """Train, store and measure the classifiers by the arguments of the command line."""
    parser = command_line.benchmark_parser("stored_classifiers", __doc__, folder=models_folder())
    parser.add_argument("--epochs", type=command_line.positive_integer, default=EPOCHS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("stored_classifiers", arguments), Reviews.load()
    tokenizer = word_tokenizer()
    for name, encoder in NAMES.items():
        built_with = {"vocab_size": len(tokenizer), "encoder": encoder}
        trials = [train(built_with, task, rate=rate, epochs=options.epochs) for rate in RATES[name]]
        model, best = min(trials, key=lambda trial: trial[1]["valid_loss"])
        facts = best | {
            "corpus": "movie_reviews",
            "origin": task.origin,
            "optimizer": "adamw",
            "label_smoothing": LABEL_SMOOTHING,
            "weight_decay": WEIGHT_DECAY,
            "batch_size": BATCH_SIZE,
            "parameters": count_parameters(model),
            "valid_loss_of_rates": {
                f"{trial['learning_rate']:g}": trial["valid_loss"] for _, trial in trials
            },
        }
        where = {"options": built_with, "folder": options.out}
        save_stored_classifier(name, model, tokenizer, facts=facts, **where)
        stored = load_stored_classifier(name, folder=options.out).model
        for split in ("valid", "test"):
            facts[f"{split}_accuracy"] = accuracy(stored, getattr(task, split))
        facts["provenance"] = run.provenance(seeds=[SEED], origin=task.origin)
        save_stored_classifier(name, model, tokenizer, facts=facts, **where)
        print(name, facts, flush=True)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
