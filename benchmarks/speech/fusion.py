"""A language model beside a recognizer: in the search, and in a list of its best texts.

The part "fusion" of ``speech``. Weight and bonus of each arm are chosen on the speaker that
chooses, from a grid that grows until its best is inside; the arm "n-gram, narrow grid" keeps the
bonuses 0 and 1.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from benchmarks.record import SeedRows
from benchmarks.speech.date_models import (
    date_batch,
    gpt_costs,
    gpt_settings,
    text_log_probs,
    train_gpt,
)
from benchmarks.speech.dates import shuffled_calendar, train_language_model
from benchmarks.speech.grid import Point, best_point, grow_grid
from benchmarks.speech.task import digit_error_rate
from benchmarks.speech.voices import STEPS, DateTask, HeardTexts, make_date_task
from benchmarks.tuning import trial_score, tune
from utils.contract import LanguageModel
from utils.data.vocabulary import EOS
from utils.models.gpt import GPT
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.notebook.seed_results import COSTS
from utils.speech.ctc_beam_search import CTCHypothesis
from utils.speech.digits import DIGIT_TOKENIZER, random_digits
from utils.training.evaluation import evaluate

WEIGHTS, BONUSES = (0.25, 0.5, 1.0), (0.0, 2.0, 4.0)
NARROW_WEIGHTS, NARROW_BONUSES = (0.25, 0.5, 0.75, 1.0, 1.5), (0.0, 1.0)
LIST_SIZE = 32  # texts that are rescored
STRINGS_ORDER = 3  # it cannot count to eight
GPT_RATES, GPT_TUNING_SEED = (0.004, 0.008, 0.016), 100

Answer = Callable[[HeardTexts, float, float], list[list[int]]]
"""Maps clips, a weight and a bonus to the ids of a text for each clip."""


@dataclass(frozen=True)
class TextLists:
    """The best texts of each clip by a first search, and what a language model says of them.

    Parameters
    ----------
    lists
        The hypotheses of each clip.
    lm_log_probs
        The language model's log-probability of each of them.
    """

    lists: list[list[CTCHypothesis]]
    lm_log_probs: list[list[float]]

    @classmethod
    def make(cls, lists: list[list[CTCHypothesis]], model: LanguageModel[Any]) -> TextLists:
        """Score the texts of a search by a language model."""
        flat = iter(text_log_probs(model, [text.ids for texts in lists for text in texts]))
        return cls(lists, [[next(flat) for _ in texts] for texts in lists])

    def answers(self, weight: float, bonus: float) -> list[list[int]]:
        """Return the best text of each clip by the score of ``eq-fusion``."""
        chosen = []
        for texts, lm_log_probs in zip(self.lists, self.lm_log_probs, strict=True):
            scores = [
                text.ctc_log_prob + weight * lm_log_prob + bonus * len(text.ids)
                for text, lm_log_prob in zip(texts, lm_log_probs, strict=True)
            ]
            chosen.append(texts[scores.index(max(scores))].ids)
        return chosen


def fewest_errors(lists: list[list[CTCHypothesis]], texts: Sequence[str]) -> list[list[int]]:
    """Return the text of each list with the fewest errors: no model can choose a better one."""
    return [
        min((text.ids for text in row), key=lambda ids: digit_error_rate([ids], [said]))
        for row, said in zip(lists, texts, strict=True)
    ]


@dataclass
class Seed:
    """The recognizer's clips of a seed, and the language models and lists that its arms share.

    Parameters
    ----------
    task
        The clips, and the dates for language models.
    gpt_rate
        The GPT's learning rate.
    seed
        The seed.
    """

    task: DateTask
    gpt_rate: float
    seed: int

    @cached_property
    def ngram(self) -> NGramLM:
        """The n-gram of dates."""
        return train_language_model(self.task.lm_dates)

    @cached_property
    def gpt(self) -> GPT:
        """The GPT of dates."""
        return train_gpt(self.task.lm_dates, rate=self.gpt_rate, seed=self.seed)

    @cached_property
    def fusion(self) -> dict[Point, float]:
        """The validation error rates of the search with the n-gram."""
        return self.grow(self.search(self.ngram))

    @cached_property
    def plain_lists(self) -> dict[int, list[list[CTCHypothesis]]]:
        """The best texts of all clips by the recognizer alone."""
        return {id(part): part.search(beam_size=LIST_SIZE) for part in self.parts}

    @cached_property
    def fused_lists(self) -> dict[int, list[list[CTCHypothesis]]]:
        """The best texts of all clips by the search with the n-gram."""
        point = best_point(self.fusion)
        return {
            id(part): part.search(self.ngram, *point, beam_size=LIST_SIZE) for part in self.parts
        }

    @property
    def parts(self) -> tuple[HeardTexts, ...]:
        """All clips."""
        return self.task.valid, self.task.test, self.task.strings

    def search(self, model: NGramLM | None) -> Answer:
        """Return a search with a language model."""
        return lambda heard, weight, bonus: [
            row[0].ids for row in heard.search(model, weight, bonus)
        ]

    def rescore(
        self, lists: dict[int, list[list[CTCHypothesis]]], model: LanguageModel[Any]
    ) -> Answer:
        """Return a function that chooses among the texts of lists by a language model."""
        scored = {key: TextLists.make(rows, model) for key, rows in lists.items()}
        return lambda heard, weight, bonus: scored[id(heard)].answers(weight, bonus)

    def grow(self, answer: Answer) -> dict[Point, float]:
        """Return the validation error rates of a grid whose best is inside."""
        valid = self.task.valid
        return grow_grid(
            lambda weight, bonus: valid.error_rate(answer(valid, weight, bonus)), WEIGHTS, BONUSES
        )

    def narrow(self, answer: Answer) -> dict[Point, float]:
        """Return the validation error rates of the narrow grid."""
        valid, points = self.task.valid, itertools.product(NARROW_WEIGHTS, NARROW_BONUSES)
        return {point: valid.error_rate(answer(valid, *point)) for point in points}

    def measure(
        self, answer: Answer, scores: dict[Point, float], point: Point | None = None
    ) -> dict[str, Any]:
        """Return the error rates of the tests in per cent.

        Parameters
        ----------
        answer
            Maps clips, a weight and a bonus to texts.
        scores
            The validation error rate of each weight and bonus that was tried.
        point
            The weight and bonus; None for those of the lowest validation error rate.

        Returns
        -------
        figures : dict
            Error rates in per cent, the errors in each date, and what was chosen.
        """
        weight, bonus = point or best_point(scores)
        dates, strings = (
            answer(part, weight, bonus) for part in (self.task.test, self.task.strings)
        )
        return {
            "WER, dates (%)": self.task.test.error_rate(dates),
            "WER, random strings (%)": self.task.strings.error_rate(strings),
            "errors in each date": " ".join(map(str, self.task.test.errors(dates))),
            "weight": weight,
            "bonus": bonus,
            "tried": [[*tried, score] for tried, score in scores.items()],
        }


def no_model(own: Seed) -> dict[str, Any]:
    """Measure the search without a language model, and the best of its lists."""
    figures = own.measure(own.search(None), {}, (0.0, 0.0))
    texts = own.task.test.texts
    for name, lists in (("plain", own.plain_lists), ("n-gram", own.fused_lists)):
        best = fewest_errors(lists[id(own.task.test)], texts)
        figures[f"WER, best of the list, {name} (%)"] = own.task.test.error_rate(best)
    return figures


def of_strings(own: Seed) -> dict[str, Any]:
    """Measure an n-gram of random strings, with weight and bonus of that of dates."""
    rng = np.random.default_rng([own.seed, 8])
    strings = [random_digits(rng, 8) for _ in own.task.lm_dates]
    texts = [torch.tensor([*DIGIT_TOKENIZER.encode(text), EOS]) for text in strings]
    counts = NGramCounts(texts, order=STRINGS_ORDER, vocab_size=len(DIGIT_TOKENIZER))
    answer = own.search(NGramLM.kneser_ney(counts))
    return own.measure(answer, {}, best_point(own.fusion))


def narrow_grid(own: Seed) -> dict[str, Any]:
    """Measure the search with the n-gram at the best of the narrow grid."""
    answer = own.search(own.ngram)
    return own.measure(answer, own.narrow(answer))


def listed(own: Seed, lists: str, model: str) -> dict[str, Any]:
    """Measure the choice from lists by a language model; the names are attributes of `own`."""
    answer = own.rescore(getattr(own, lists), getattr(own, model))
    return own.measure(answer, own.grow(answer))


ARMS: dict[str, Callable[[Seed], dict[str, Any]]] = {
    "no language model": no_model,
    "n-gram, search": lambda own: own.measure(own.search(own.ngram), own.fusion),
    "n-gram, narrow grid": narrow_grid,
    "n-gram of random strings, search": of_strings,
    "n-gram, list": partial(listed, lists="plain_lists", model="ngram"),
    "GPT, list": partial(listed, lists="plain_lists", model="gpt"),
    "n-gram, list of the search": partial(listed, lists="fused_lists", model="ngram"),
    "GPT, list of the search": partial(listed, lists="fused_lists", model="gpt"),
}


def run_fusion(
    rows: SeedRows, trials: SeedRows, seeds: Sequence[int], *, steps: int = STEPS
) -> None:
    """Run the seeds of all arms that have no row yet.

    Parameters
    ----------
    rows
        The rows of the arms.
    trials
        The rows of the trials of the GPT's rate.
    seeds
        The seeds.
    steps
        Training steps of the recognizers.
    """
    dates = shuffled_calendar(GPT_TUNING_SEED)
    tuning, held_out = dates[: len(dates) // 4], dates[-1000:]

    def run_trial(*, seed: int, rate: float) -> tuple[dict[str, Any], dict[str, Any]]:
        began = time.process_time()
        model = train_gpt(tuning, rate=rate, seed=seed)
        loss = evaluate(model, [date_batch(held_out)]).loss
        return {"selection loss": loss}, gpt_costs(model, time.process_time() - began)

    def gpt_score(rate: float) -> float:
        name, run = f"GPT, rate {rate:g}", partial(run_trial, rate=rate)
        settings = gpt_settings(rate, None)
        return trial_score(trials, name, [GPT_TUNING_SEED], settings, run, figure="selection loss")

    tried = tune(gpt_score, GPT_RATES)
    rate = min(tried, key=lambda rate: tried[rate])
    for seed in seeds:
        own: Seed | None = None
        for arm, measure in ARMS.items():
            settings = {"optimizer": None, "learning_rate": None, "grid": None, "steps": steps}
            if arm.startswith("GPT"):
                settings |= gpt_settings(rate, list(tried))
            for missing in rows.missing(arm, [seed], settings):
                own = own or Seed(make_date_task(missing, steps), rate, missing)
                figures, costs = measure(own), dict.fromkeys(COSTS)
                if arm.startswith("GPT"):
                    costs = gpt_costs(own.gpt, None)
                    loss = evaluate(own.gpt, [date_batch(own.task.lm_valid)]).loss
                    figures["loss (nats per token)"] = loss
                elif arm == "n-gram, search":
                    texts = [DIGIT_TOKENIZER.encode(date) for date in own.task.lm_valid]
                    nll = -sum(text_log_probs(own.ngram, texts))
                    figures["loss (nats per token)"] = nll / sum(len(text) + 1 for text in texts)
                print({k: v for k, v in figures.items() if "each" not in k}, flush=True)
                rows.write(arm, missing, figures=figures, settings=settings, costs=costs)
