"""Adversarial training with its controls: random signs, and a constant added to the logits.

    python -m benchmarks.robustness.longer    some four minutes on one quiet core

All arms train for STEPS steps, three times as long as those of the part "attack": after 400 steps,
training on attacks has learned little. Rows are the part "longer" of book/results/robustness.json.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.robustness.classifiers import EPSILON, PGD_STEPS, SEEDS, accuracy
from benchmarks.robustness.networks import (
    SentimentCNN,
    label_loss,
    loss_at,
    sign_attack,
)
from benchmarks.robustness.sentences import load_sentences
from benchmarks.tuning import run_missing
from utils.console import make_output_safe
from utils.data.labelled_batches import LabelledBatch, LabelledBatches, labelled_eval_batches
from utils.metrics.cost import count_parameters
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

STEPS, BATCH_SIZE = 1200, 50
RATES = {"FGSM": 0.016, "random signs": 0.002, "ordinary": 0.002}
TRIED = {  # with seed 100, by accuracy on validation sentences; FGSM's also under PGD
    "FGSM": [0.008, 0.016, 0.032],
    "random signs": None,  # the rate of ordinary training
    "ordinary": [0.001, 0.002, 0.004, 0.008],
}
CONSTANTS = 81  # that are added to the margin, for a curve

Perturbation = Callable[[SentimentCNN, LabelledBatch], torch.Tensor]


def random_signs(model: SentimentCNN, batch: LabelledBatch) -> torch.Tensor:
    """Return vectors whose coordinates are moved by EPSILON up or down at random, (B, S, E)."""
    own = model.vectors()[batch.inputs].detach()
    return own + EPSILON * (2.0 * torch.randint(2, own.shape) - 1)


MOVES: dict[str, Perturbation | None] = {
    "FGSM": partial(sign_attack, epsilon=EPSILON),
    "random signs": random_signs,
    "ordinary": None,
}


def train(move: Perturbation | None, *, rate: float, steps: int, seed: int) -> SentimentCNN:
    """Train a classifier and return it in evaluation mode.

    Parameters
    ----------
    move
        Moves the vectors at which half of the loss is taken; None for ordinary training.
    rate, steps
        The learning rate and the number of steps.
    seed
        Seed of the parameters, the batches and what training draws.

    Returns
    -------
    model : SentimentCNN
        The trained classifier.
    """
    sentences = load_sentences()
    seed_everything(seed)
    model = SentimentCNN(len(sentences.tokenizer))

    def objective(model: SentimentCNN, batch: LabelledBatch) -> torch.Tensor:
        if move is None or not model.training:
            return label_loss(model, batch)
        return loss_at(model, batch, move(model, batch))

    examples = sentences.encoded(*sentences.part("train"))
    batches = LabelledBatches(examples, batch_size=BATCH_SIZE, seed=seed)
    config = TrainConfig(steps=steps, learning_rate=rate)
    fit(model, batches, config, progress=False, objective=objective).raise_if_interrupted()
    return model.eval()


def with_constant(
    logits: torch.Tensor, labels: torch.Tensor, constants: Sequence[float]
) -> list[float]:
    """Return the share of right answers for each constant added to the logit of positive.

    With two classes, a constant leaves the signs of the gradient, and so the attack, as they are.

    Parameters
    ----------
    logits, labels
        Of N sentences, (N, 2) and (N,).
    constants
        What is added.

    Returns
    -------
    shares : list of float
        One for each constant.
    """
    margins = logits[:, 1] - logits[:, 0]  # (N,)
    return [accuracy(torch.stack([-margins, margins + 2 * c], 1), labels) for c in constants]


def run_longer(arm: str, *, seed: int, steps: int = STEPS) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train once and measure test accuracy as it is and under PGD, also with constants added.

    Parameters
    ----------
    arm
        A name of MOVES.
    seed
        Seed of parameters, batches and what training draws.
    steps
        The number of steps.

    Returns
    -------
    figures, costs : dict
        The accuracy, clean and under PGD, and two curves of it with a value for each constant.
    """
    start, sentences = time.process_time(), load_sentences()
    model = train(MOVES[arm], rate=RATES[arm], steps=steps, seed=seed)
    test = sentences.encoded(*sentences.part("test"))
    rows: list[list[torch.Tensor]] = []
    for batch in labelled_eval_batches(test, batch_size=100):
        x = sign_attack(model, batch, EPSILON, steps=PGD_STEPS)
        rows.append([model(batch.inputs), model(batch.inputs, x), batch.targets])
    clean, attacked, labels = (torch.cat(column).detach() for column in zip(*rows, strict=True))
    largest = max(float(z.diff(dim=1).abs().max()) for z in (clean, attacked))
    constants = torch.linspace(-largest, largest, CONSTANTS).tolist()
    figures: dict[str, Any] = {}
    for name, logits in (("clean", clean), ("PGD", attacked)):
        figures[f"accuracy, {name}"] = accuracy(logits, labels)
        figures[f"accuracy with constants, {name}"] = with_constant(logits, labels, constants)
    costs = {
        "parameters": count_parameters(model),
        "tokens": None,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("robustness", __doc__)
    parser.prog = "python -m benchmarks.robustness.longer"
    command_line.add_seeds(parser, SEEDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run = result_files.Run.start("robustness.longer", arguments)
    rows = result_files.SeedRows(options.out, run, part="longer", origin=load_sentences().origin)
    for arm, move in MOVES.items():
        settings = {
            "optimizer": "AdamW",
            "steps": STEPS,
            "batch size": BATCH_SIZE,
            "epsilon": EPSILON if move else None,
            "learning_rate": RATES[arm],
            "grid": TRIED[arm],
        }
        run_missing(rows, arm, seeds=options.seeds, settings=settings, run=partial(run_longer, arm))


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
