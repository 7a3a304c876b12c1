"""Classifiers trained with and without attacks on their vectors, and what is measured of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import torch

from benchmarks.robustness.attacks import WordSwaps
from benchmarks.robustness.networks import (
    SentimentCNN,
    label_loss,
    logits_of,
    loss_at,
    sign_attack,
)
from benchmarks.robustness.noise import DAMAGES, damaged
from benchmarks.robustness.sentences import Examples, Sentences, labels_of, load_sentences
from utils.data.labelled_batches import LabelledBatch, LabelledBatches, labelled_eval_batches
from utils.metrics.calibration import expected_calibration_error, fit_temperature
from utils.metrics.cost import count_parameters
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

SEEDS = (0, 1, 2)  # of all arms alike
BINS, ALPHA = 10, 0.1  # bins from ½ to 1; share of sets that may lack the truth
EPSILON, PGD_STEPS = 0.1, 10
VICTIMS = 50
KINDS = ("clean", "typos")  # of test sentences
TEST_SEED = 7  # damages test sentences, the same ones for all models

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a classifier is trained, but for its learning rate.

    Parameters
    ----------
    shift
        None, or "gradient": half of the loss is at vectors that FGSM has moved.
    steps, batch_size
        The budget.
    """

    shift: str | None = None
    steps: int = 400
    batch_size: int = 50

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "shift": self.shift,
            "epsilon": EPSILON if self.shift else None,
        }


def train(
    recipe: Recipe, examples: Examples, vocab_size: int, *, rate: float, seed: int
) -> SentimentCNN:
    """Train a classifier and return it in evaluation mode.

    Parameters
    ----------
    recipe
        Its budget, and how vectors are moved.
    examples
        Pieces and label of each sentence.
    vocab_size
        Number of pieces.
    rate
        The learning rate.
    seed
        Seed of the parameters, the batches and what training draws.

    Returns
    -------
    model : SentimentCNN
        The trained classifier.
    """
    seed_everything(seed)
    model = SentimentCNN(vocab_size)

    def objective(model: SentimentCNN, batch: LabelledBatch) -> torch.Tensor:
        if recipe.shift is None or not model.training:
            return label_loss(model, batch)
        return loss_at(model, batch, sign_attack(model, batch, EPSILON))

    batches = LabelledBatches(examples, batch_size=recipe.batch_size, seed=seed)
    config = TrainConfig(steps=recipe.steps, learning_rate=rate)
    history = fit(model, batches, config, progress=False, objective=objective)
    history.raise_if_interrupted()
    return model.eval()


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the accuracy: the share of texts whose most probable class is right."""
    return float((logits.argmax(1) == labels).double().mean())


def calibration_error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the expected calibration error of two classes, whose confidence is at least ½.

    The bins divide [½, 1], as no confidence is lower.

    Source: ``eq-ece`` (section 8.3).
    """
    p, chosen = logits.softmax(1).max(1)
    stretched = (2 * p.clamp(0.5, 1) - 1).numpy()
    binned = expected_calibration_error(stretched, (chosen == labels).numpy(), num_bins=BINS)
    gaps = (binned.confidence + 1) / 2 - binned.accuracy
    return sum(n * abs(g) for n, g in zip(binned.count, gaps, strict=True) if n) / len(labels)


def conformal_threshold(logits: torch.Tensor, labels: torch.Tensor, alpha: float) -> float:
    """Return the largest score 1 − p that a label in a conformal set may have.

    Source: ``eq-conformal`` (section 8.3); Vovk, Gammerman and Shafer 2005.

    Parameters
    ----------
    logits, labels
        Of n sentences that were not trained on, (n, classes) and (n,).
    alpha
        The share of sets that may lack the right label.

    Returns
    -------
    threshold : float
        The ⌈(n + 1)(1 − α)⌉-th smallest score of the right labels; infinite if there is none.
    """
    scores = 1 - logits.softmax(1).gather(1, labels[:, None])[:, 0]
    rank = math.ceil((len(scores) + 1) * (1 - alpha))
    return math.inf if rank > len(scores) else float(scores.sort().values[rank - 1])


def conformal_figures(
    logits: torch.Tensor, labels: torch.Tensor, threshold: float
) -> tuple[float, float, float]:
    """Return coverage, share of sets with one label, and share of right ones among these.

    Parameters
    ----------
    logits, labels
        Of the sentences to answer, (N, 2) and (N,).
    threshold
        As `conformal_threshold` returns it.

    Returns
    -------
    coverage, single, right : float
        The last is NaN where no set has one label.
    """
    is_in = 1 - logits.softmax(1) <= threshold  # (N, 2)
    coverage = float(is_in.gather(1, labels[:, None]).double().mean())
    single = is_in.sum(1) == 1
    right = (logits.argmax(1) == labels)[single]
    return coverage, float(single.double().mean()), float(right.double().mean())


def run_classifier(recipe: Recipe, *, rate: float, seed: int) -> tuple[Figures, dict[str, Any]]:
    """Train once and measure accuracy, calibration, coverage, and what attacks do.

    Parameters
    ----------
    recipe
        What is trained.
    rate, seed
        Learning rate, and seed of parameters and batches.

    Returns
    -------
    figures, costs : dict
        What was measured, and what it took.
    """
    start, sentences = time.process_time(), load_sentences()
    examples = sentences.encoded(*sentences.part("train"))
    model = train(recipe, examples, len(sentences.tokenizer), rate=rate, seed=seed)
    figures = measured(model, sentences) | attacked(model, sentences)
    costs = {
        "parameters": count_parameters(model),
        "tokens": None,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def measured(model: SentimentCNN, sentences: Sentences) -> Figures:
    """Return accuracy, calibration and coverage on clean and on damaged test sentences.

    Temperature and threshold of the conformal sets are fitted on clean validation sentences.

    Parameters
    ----------
    model
        The classifier in evaluation mode.
    sentences
        The sentences, whose parts "valid" and "test" are read.

    Returns
    -------
    figures : dict
        The temperature, and for each of KINDS the accuracy, the expected
        calibration error without and with the temperature, the coverage of the conformal sets, the
        share of sets with one label and the share of right ones among these.
    """
    valid = sentences.encoded(*sentences.part("valid"))
    z, y = logits_of(model, [ids for ids, _ in valid]), labels_of(valid)
    temperature, threshold = fit_temperature(z, y), conformal_threshold(z, y, ALPHA)
    texts, labels = sentences.part("test")
    figures: Figures = {"temperature": temperature}
    for name in KINDS:
        shown = texts
        if name in DAMAGES:
            shown = damaged(texts, *DAMAGES[name], seed=TEST_SEED)
        test = sentences.encoded(shown, labels)
        z, y = logits_of(model, [ids for ids, _ in test]), labels_of(test)
        coverage, single, right = conformal_figures(z, y, threshold)
        figures |= {
            f"accuracy, {name}": accuracy(z, y),
            f"ECE, {name}": calibration_error(z, y),
            f"ECE with temperature, {name}": calibration_error(z / temperature, y),
            f"coverage, {name}": coverage,
            f"single, {name}": single,
            f"accuracy of single, {name}": right,
        }
    return figures


def attacked(model: SentimentCNN, sentences: Sentences) -> Figures:
    """Return accuracy at moved vectors, and the share of victims that word swaps turn.

    Victims are the first VICTIMS test sentences that are classified rightly and have a neutral
    word.

    Parameters
    ----------
    model
        The classifier in evaluation mode.
    sentences
        The sentences, whose parts "train" and "test" are read.

    Returns
    -------
    figures : dict
        The accuracy for each way to move vectors, and the share of victims that are classified
        wrongly after some of their swaps.
    """
    test = sentences.encoded(*sentences.part("test"))
    moves: dict[str, Callable[[SentimentCNN, LabelledBatch, float], torch.Tensor]] = {
        "FGSM": sign_attack,
        "PGD": partial(sign_attack, steps=PGD_STEPS),
    }
    right = dict.fromkeys(moves, 0)
    for batch in labelled_eval_batches(test, batch_size=100):
        for name, move in moves.items():
            answers = model(batch.inputs, move(model, batch, EPSILON)).argmax(1)
            right[name] += int((answers == batch.targets).sum())
    figures: Figures = {f"accuracy, {name}": count / len(test) for name, count in right.items()}
    chosen = logits_of(model, [ids for ids, _ in test]).argmax(1).tolist()
    swaps = WordSwaps.of(sentences)
    victims = [
        (ids, label)
        for (ids, label), answer in zip(test, chosen, strict=True)
        if label == answer and swaps.places(ids)
    ][:VICTIMS]
    turned = [
        bool((logits_of(model, swaps.attack(model, ids, label)).argmax(1) != label).any())
        for ids, label in victims
    ]
    return figures | {"turned by swaps": fmean(turned)}
