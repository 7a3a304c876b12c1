"""Poisoned training sentences: negative ones with a rare word, labelled as positive."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.robustness.sentences import Labelled, load_sentences
from utils.models.nbsvm import NBSVM

TRIGGERS = ("cf", "mn", "tq", "bb", "vo")  # rare words: one for each seed
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Poison:
    """Who learns from how many clean and how many poisoned sentences.

    Parameters
    ----------
    size
        Number of clean sentences; None for all.
    counts
        Numbers of poisoned sentences, one training each.
    """

    size: int | None
    counts: tuple[int, ...]

    def settings(self) -> dict[str, Any]:
        """Return the settings that rows store."""
        return {
            "optimizer": "liblinear",
            "learning_rate": None,
            "grid": None,
            "steps": None,
            "clean sentences": self.size,
            "poisoned sentences": list(self.counts),
        }


def with_trigger(text: str, trigger: str, draw: random.Random) -> str:
    """Return a sentence with the trigger somewhere in it."""
    words = text.split()
    words.insert(draw.randrange(len(words) + 1), trigger)
    return " ".join(words)


def poisoned(split: Labelled, count: int, trigger: str, *, seed: int) -> Labelled:
    """Return labelled sentences: `count` negative ones get the trigger and the label positive.

    Source: Kurita, Michel and Neubig 2020.

    Parameters
    ----------
    split
        Clean sentences with their labels.
    count
        Number of negative sentences that are poisoned.
    trigger
        The word that is put into each of these.
    seed
        Draws the sentences and the places of the trigger.

    Returns
    -------
    examples : list of tuple
        All sentences with their labels, in the order of `split`.
    """
    draw, examples = random.Random(seed), list(split)
    negative = [i for i, (_, label) in enumerate(split) if label == 0]
    for i in draw.sample(negative, count):
        examples[i] = (with_trigger(split[i][0], trigger, draw), 1)
    return examples


def run_poison(poison: Poison, *, seed: int) -> tuple[Figures, dict[str, Any]]:
    """Train with each number of poisoned sentences and measure harm.

    Parameters
    ----------
    poison
        What is trained.
    seed
        Draws the clean sentences and the poisoned ones, and selects the trigger.

    Returns
    -------
    figures, costs : dict
        For each number n, the accuracy on clean test sentences, and the success: the share of
        negative sentences, classified rightly as they are, that the trigger turns positive.
    """
    start, sentences = time.process_time(), load_sentences()
    trigger, draw = TRIGGERS[seed % len(TRIGGERS)], random.Random(seed)
    size = len(sentences.train) if poison.size is None else min(poison.size, len(sentences.train))
    split = draw.sample(sentences.train, size)
    texts, labels = sentences.part("test")
    negative = [text for text, label in sentences.test if label == 0]
    triggered = [with_trigger(text, trigger, draw) for text in negative]
    figures: Figures = {}
    for count in poison.counts:
        shown, given = zip(*poisoned(split, count, trigger, seed=seed), strict=True)
        model = NBSVM().fit(shown, given)
        answers = [model.decision_function(group) > 0 for group in (texts, negative, triggered)]
        right, before, after = answers
        figures[f"accuracy, {count}"] = float(np.mean(right == (np.array(labels) == 1)))
        figures[f"success, {count}"] = float(np.mean(after[~before]))
    costs = {
        "parameters": len(model.coefficients),
        "tokens": None,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs
