"""Classifiers trained on damaged or attacked sentences, and what is measured of them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.robustness import noise
from benchmarks.robustness.attacks import SWAPS, WordSwaps
from benchmarks.robustness.networks import (
    Judge,
    label_loss,
    logits_of,
    loss_at,
    random_signs,
    sign_attack,
)
from benchmarks.robustness.noise import Damage, RandomPieces, damaged
from benchmarks.robustness.sentences import Examples, Sentences, labels_of, load_sentences
from benchmarks.tuning import finite_loss
from utils.data.labelled_batches import LabelledBatch, LabelledBatches, labelled_eval_batches
from utils.metrics.calibration import expected_calibration_error, fit_temperature
from utils.metrics.cost import count_parameters
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

TUNING_SEEDS = (100,)
VARIANTS = 3  # copies of the training sentences, each damaged anew
BINS, ALPHA = 10, 0.1  # bins from ½ to 1; share of sets that may lack the truth
EPSILON = 0.1
VICTIMS = 80
TEST_SEED = 7  # damages test sentences, the same ones for all models
DAMAGES: dict[str, tuple[Damage, float]] = {
    "typos": (noise.typos, 0.1),
    "capitals": (noise.capitals, 0.5),
    "lost spaces": (noise.joined, 0.2),
    "dropped words": (noise.dropped, 0.3),
    "swapped words": (noise.swapped, 0.3),
}

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a classifier is trained on, but for its learning rate.

    Parameters
    ----------
    kind
        "clean", "BPE-dropout" or a name of DAMAGES.
    shift
        None, "random" or "gradient": how vectors are moved for half of the loss.
    rates
        The learning rates that tuning tries first.
    fixed_rate
        The learning rate of an arm that is not tuned; None for one that is.
    steps, batch_size
        The budget.
    """

    kind: str = "clean"
    shift: str | None = None
    rates: tuple[float, ...] = ()
    fixed_rate: float | None = None
    steps: int = 400
    batch_size: int = 50

    def settings(self) -> dict[str, Any]:
        """Return what is stored of the recipe."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "kind": self.kind,
            "shift": self.shift,
        }


def training_examples(sentences: Sentences, kind: str, part: str, *, seed: int) -> Examples:
    """Return VARIANTS copies of a part of the sentences, damaged at rates from zero to the test's.

    Parameters
    ----------
    sentences
        The sentences.
    kind
        "clean", "BPE-dropout" or a name of DAMAGES.
    part
        "train" or "valid".
    seed
        Draws the damage.

    Returns
    -------
    examples : list of tuple
        Pieces and label of each sentence.
    """
    texts, labels = sentences.part(part)
    draw, examples = random.Random(seed), []
    pieces = RandomPieces(sentences.tokenizer)
    for _ in range(VARIANTS):
        if kind == "BPE-dropout":
            ids = [pieces.encode(text, draw) for text in texts]
            examples += list(zip(ids, labels, strict=True))
            continue
        changed = texts
        if kind in DAMAGES:
            damage, rate = DAMAGES[kind]
            changed = [damage(text, rate * draw.choice((0.0, 0.5, 1.0)), draw) for text in texts]
        examples += sentences.encoded(changed, labels)
    return examples


def train(recipe: Recipe, examples: Examples, vocab_size: int, *, rate: float, seed: int) -> Judge:
    """Train a classifier and return it in evaluation mode.

    Parameters
    ----------
    recipe
        Its budget, and how vectors are moved; the examples are damaged already.
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
    model : Judge
        The trained classifier.
    """
    seed_everything(seed)
    model = Judge(vocab_size)

    def objective(model: Judge, batch: LabelledBatch) -> torch.Tensor:
        if recipe.shift is None or not model.training:
            return label_loss(model, batch)
        move = sign_attack if recipe.shift == "gradient" else random_signs
        return loss_at(model, batch, move(model, batch, EPSILON))

    batches = LabelledBatches(examples, batch_size=recipe.batch_size, seed=seed)
    config = TrainConfig(steps=recipe.steps, learning_rate=rate)
    history = fit(model, batches, config, progress=False, objective=objective)
    history.raise_if_interrupted()
    return model.eval()


def share_right(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of right answers."""
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
    """Train once and measure accuracy on each kind of damage, calibration and coverage.

    Parameters
    ----------
    recipe
        What is trained.
    rate, seed
        Learning rate, and seed of parameters, batches and damage.

    Returns
    -------
    figures, costs : dict
        What was measured, and what it took.
    """
    start, sentences = time.process_time(), load_sentences()
    examples = training_examples(sentences, recipe.kind, "train", seed=seed)
    model = train(recipe, examples, len(sentences.tokenizer), rate=rate, seed=seed)
    chosen_on = training_examples(sentences, recipe.kind, "valid", seed=TEST_SEED)
    logits = logits_of(model, [ids for ids, _ in chosen_on])
    loss = F.cross_entropy(logits, labels_of(chosen_on))
    figures: Figures = {"selection loss": finite_loss(float(loss))}
    if seed not in TUNING_SEEDS:
        figures |= measured(model, sentences)
        if recipe.shift is not None or recipe.kind == "clean":
            figures |= attacked(model, sentences, seed=seed)
    costs = {
        "parameters": count_parameters(model),
        "tokens": None,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def measured(model: Judge, sentences: Sentences) -> Figures:
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
        The temperature, and for "clean" and each name of DAMAGES the accuracy, the expected
        calibration error without and with the temperature, the coverage of the conformal sets, the
        share of sets with one label and the share of right ones among these.
    """
    valid = sentences.encoded(*sentences.part("valid"))
    z, y = logits_of(model, [ids for ids, _ in valid]), labels_of(valid)
    temperature, threshold = fit_temperature(z, y), conformal_threshold(z, y, ALPHA)
    texts, labels = sentences.part("test")
    figures: Figures = {"temperature": temperature}
    for name in ("clean", *DAMAGES):
        shown = texts
        if name in DAMAGES:
            shown = damaged(texts, *DAMAGES[name], seed=TEST_SEED)
        test = sentences.encoded(shown, labels)
        z, y = logits_of(model, [ids for ids, _ in test]), labels_of(test)
        coverage, single, right = conformal_figures(z, y, threshold)
        figures |= {
            f"accuracy, {name}": share_right(z, y),
            f"ECE, {name}": calibration_error(z, y),
            f"ECE with temperature, {name}": calibration_error(z / temperature, y),
            f"coverage, {name}": coverage,
            f"single, {name}": single,
            f"accuracy of single, {name}": right,
        }
    return figures


def attacked(model: Judge, sentences: Sentences, *, seed: int) -> Figures:
    """Return accuracy at moved vectors, and the share of victims that word swaps turn.

    Victims are the first VICTIMS test sentences that are judged rightly and have a neutral word.

    Parameters
    ----------
    model
        The classifier in evaluation mode.
    sentences
        The sentences, whose parts "train" and "test" are read.
    seed
        Draws the random signs and the random swaps.

    Returns
    -------
    figures : dict
        The accuracy for each way to move vectors, and for each way to choose swaps the share of
        victims that are judged wrongly after one of the first n swaps, n = 1, …, SWAPS.
    """
    test = sentences.encoded(*sentences.part("test"))
    right = {"FGSM": 0, "random signs": 0}
    torch.manual_seed(seed)
    for batch in labelled_eval_batches(test, batch_size=100):
        for name, move in (("FGSM", sign_attack), ("random signs", random_signs)):
            with torch.no_grad():
                moved = model(batch.inputs, move_with(move, model, batch))
            right[name] += int((moved.argmax(1) == batch.targets).sum())
    figures: Figures = {f"accuracy, {name}": count / len(test) for name, count in right.items()}
    answers = logits_of(model, [ids for ids, _ in test]).argmax(1).tolist()
    swaps = WordSwaps.of(sentences)
    victims = [
        example
        for example, answer in zip(test, answers, strict=True)
        if example[1] == answer and swaps.places(example[0])
    ][:VICTIMS]
    for name, draw in (("gradient", None), ("random", random.Random(seed))):
        turned: list[list[bool]] = []
        for ids, label in victims:
            stages = swaps.attack(model, ids, label, draw)
            z = logits_of(model, stages).argmax(1) != label
            turned.append([bool(z[: n + 1].any()) for n in range(1, SWAPS + 1)])
        shares = [fmean(sentence[n] for sentence in turned) for n in range(SWAPS)]
        figures |= {f"turned, {name}, {n + 1}": share for n, share in enumerate(shares)}
    return figures


def move_with(
    move: Callable[[Judge, LabelledBatch, float], torch.Tensor], model: Judge, batch: LabelledBatch
) -> torch.Tensor:
    """Return moved vectors, also where gradients are off around the call."""
    with torch.enable_grad():
        return move(model, batch, EPSILON)
