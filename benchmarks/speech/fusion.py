"""A language model beside a recognizer: in the search, and in a list of its best texts.

The part "voices" of ``speech``. What an arm chooses, it chooses on dates by the speaker that
chooses: the order of an n-gram at one weight, then weight and bonus from a grid that grows until
its best is inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.result_files import SeedRows
from benchmarks.speech.answers import Answer, Lists, fewest_errors, rescorer, searcher
from benchmarks.speech.date_models import (
    count_texts,
    date_batch,
    gpt_costs,
    shuffled_calendar,
    text_log_probs,
    train_gpt,
    tune_gpt,
)
from benchmarks.speech.grid import Point, best_point, grow_grid
from benchmarks.speech.voices import (
    STEPS,
    DateTask,
    load_voices,
    make_date_task,
    noise_errors,
    pair_of,
    train_recognizer_without_pair,
)
from utils.models.gpt import GPT
from utils.models.ngram import NGramLM
from utils.notebook.seed_results import COSTS
from utils.speech.digits import DIGIT_TOKENIZER, random_digits
from utils.training.evaluation import evaluate

WEIGHTS, BONUSES = (0.25, 0.5, 1.0), (0.0, 2.0, 4.0)
ORDERS, ORDER_POINT = (3, 4, 5, 8), (0.5, 0.0)
CURVE_WEIGHTS = (0.25, 0.5, 0.75, 1.0, 2.0)
LIST_SIZE = 32  # texts that are rescored
STRINGS_ORDER = 3  # it cannot count to eight
CALENDAR_ORDER = 9  # the end of a date depends on all of its digits


@dataclass(frozen=True)
class Choice:
    """The settings that an arm chose on the validation speaker.

    Parameters
    ----------
    answer
        Maps clips, a weight and a bonus to texts.
    order
        The order of its n-gram; None for another model.
    scores
        The validation error rate of each weight and bonus that was tried.
    """

    answer: Answer
    order: int | None
    scores: dict[Point, float]

    @property
    def point(self) -> Point:
        """The weight and bonus of the lowest validation error rate."""
        return best_point(self.scores)


@dataclass
class FusionRun:
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
    def ngrams(self) -> dict[int, NGramLM]:
        """The n-grams of dates by their orders."""
        counts = count_texts(self.task.lm_dates, max(ORDERS))
        return {order: NGramLM.kneser_ney(counts, order=order) for order in ORDERS}

    @cached_property
    def gpt(self) -> GPT:
        """The GPT of dates."""
        return train_gpt(self.task.lm_dates, rate=self.gpt_rate, seed=self.seed)

    @cached_property
    def fusion(self) -> Choice:
        """The search with the n-gram of dates."""
        return self.choose_order({order: searcher(model) for order, model in self.ngrams.items()})

    @cached_property
    def lists(self) -> Lists:
        """The best texts of the dates by the search with the n-gram."""
        assert self.fusion.order is not None
        model, point = self.ngrams[self.fusion.order], self.fusion.point
        parts = self.task.valid, self.task.test
        return {id(part): part.search(model, *point, beam_size=LIST_SIZE) for part in parts}

    def choose_order(self, answers: Mapping[int, Answer]) -> Choice:
        """Choose the order of an n-gram, then its weight and bonus."""
        valid = self.task.valid
        rates = {
            order: valid.error_rate(answer(valid, *ORDER_POINT))
            for order, answer in answers.items()
        }
        order = min(rates, key=lambda order: rates[order])
        return self.choose(answers[order], order)

    def choose(self, answer: Answer, order: int | None = None) -> Choice:
        """Choose a weight and a bonus from a grid whose best is inside."""
        valid = self.task.valid
        scores = grow_grid(
            lambda weight, bonus: valid.error_rate(answer(valid, weight, bonus)), WEIGHTS, BONUSES
        )
        return Choice(answer, order, scores)

    def measure(self, choice: Choice, *parts: str) -> dict[str, Any]:
        """Return the error rates of some parts in per cent, and what was chosen."""
        weight, bonus = choice.point
        return {
            **self.test(choice.answer, weight, bonus, *parts),
            "order": choice.order,
            "weight": weight,
            "bonus": bonus,
            "tried": [[*tried, score] for tried, score in choice.scores.items()],
        }

    def test(self, answer: Answer, weight: float, bonus: float, *parts: str) -> dict[str, Any]:
        """Measure the error rates of some parts.

        Parameters
        ----------
        answer
            Maps clips, a weight and a bonus to texts.
        weight, bonus
            The weight λ of the language model and the bonus γ of each token.
        *parts
            Names of parts; by default all that test.

        Returns
        -------
        figures : dict of str to float
            Error rates in per cent by name.
        """
        clips = {"dates": self.task.test, "random strings": self.task.strings}
        return {
            f"WER, {part} (%)": clips[part].error_rate(answer(clips[part], weight, bonus))
            for part in parts or clips
        }


def search_without_model(run: FusionRun) -> dict[str, Any]:
    """Measure the search without a language model."""
    return run.test(searcher(None), 0.0, 0.0)


def search_with_ngram(run: FusionRun) -> dict[str, Any]:
    """Measure the search with the n-gram of dates, its weights, and its wrong answers."""
    choice, test = run.fusion, run.task.test
    figures, ngram = run.measure(choice), run.ngrams[choice.order or 0]
    for weight in CURVE_WEIGHTS:
        for name, rate in run.test(choice.answer, weight, 0.0).items():
            figures[f"λ = {weight:g}: {name}"] = rate
    answers = map(DIGIT_TOKENIZER.decode, choice.answer(test, *choice.point))
    wrong = [answer for answer, said in zip(answers, test.texts, strict=True) if answer != said]
    for name, dates in (("dates", shuffled_calendar(0)), ("dates of its text", run.task.lm_dates)):
        figures[f"wrong answers that are {name}"] = len([*filter(set(dates).__contains__, wrong)])
    figures["wrong answers"] = len(wrong)
    texts = [DIGIT_TOKENIZER.encode(date) for date in run.task.lm_valid]
    nll = -sum(text_log_probs(ngram, texts))
    return figures | {"loss (nats per token)": nll / sum(len(text) + 1 for text in texts)}


def search_with_ngram_of_all_dates(run: FusionRun) -> dict[str, Any]:
    """Measure an n-gram of all dates of the century, those of the tests included."""
    model = NGramLM.kneser_ney(count_texts(shuffled_calendar(0), CALENDAR_ORDER))
    return run.measure(run.choose(searcher(model), CALENDAR_ORDER))


def search_with_ngram_of_strings(run: FusionRun) -> dict[str, Any]:
    """Measure an n-gram of random strings, with weight and bonus of that of dates."""
    rng = np.random.default_rng([run.seed, 8])
    strings = [random_digits(rng, 8) for _ in run.task.lm_dates]
    model = NGramLM.kneser_ney(count_texts(strings, STRINGS_ORDER))
    return run.test(searcher(model), *run.fusion.point)


def rescore_with_ngram(run: FusionRun) -> dict[str, Any]:
    """Measure the choice by the n-gram from the lists of the search, and the best of these."""
    answers = {order: rescorer(run.lists, model) for order, model in run.ngrams.items()}
    figures, test = run.measure(run.choose_order(answers), "dates"), run.task.test
    best = fewest_errors(run.lists[id(test)], test.texts)
    return figures | {"WER, best of the list (%)": test.error_rate(best)}


def rescore_with_gpt(run: FusionRun) -> dict[str, Any]:
    """Measure the choice by the GPT from the lists of the search with the n-gram."""
    figures = run.measure(run.choose(rescorer(run.lists, run.gpt)), "dates")
    loss = evaluate(run.gpt, [date_batch(run.task.lm_valid)]).loss
    return figures | {"loss (nats per token)": loss}


FUSION_ARMS: dict[str, Callable[[FusionRun], dict[str, Any]]] = {
    "no language model": search_without_model,
    "n-gram, search": search_with_ngram,
    "n-gram of all dates, search": search_with_ngram_of_all_dates,
    "n-gram of random strings, search": search_with_ngram_of_strings,
    "n-gram, list of the search": rescore_with_ngram,
    "GPT, list of the search": rescore_with_gpt,
}
NOISE_ARMS: dict[str, Callable[[int], int]] = {
    "new voice": pair_of,
    "known voice": lambda seed: (pair_of(seed) + 1) % 3,
}
"""The pair that is held out from the recognizer that the voice of a seed tests."""


def run_voices(
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
    of_gpt = tune_gpt(trials)
    settings = {"optimizer": None, "learning_rate": None, "grid": None, "steps": steps}
    for seed in seeds:
        run: FusionRun | None = None
        for arm, measure in FUSION_ARMS.items():
            is_gpt = arm.startswith("GPT")
            of_arm = settings | (of_gpt if is_gpt else {})
            for missing in rows.missing(arm, [seed], of_arm):
                run = run or FusionRun(
                    make_date_task(missing, steps), of_gpt["learning_rate"], missing
                )
                figures = {"voice": load_voices(missing).test_name} | measure(run)
                costs = gpt_costs(run.gpt, None) if is_gpt else dict.fromkeys(COSTS)
                print(arm, missing, figures, flush=True)
                rows.write(arm, missing, figures=figures, settings=of_arm, costs=costs)
        for arm, recognizer in NOISE_ARMS.items():
            for missing in rows.missing(arm, [seed], settings):
                errors = noise_errors(
                    train_recognizer_without_pair(recognizer(missing), steps), missing
                )
                figures = {"voice": load_voices(missing).test_name, **errors}
                print(arm, missing, figures, flush=True)
                costs = dict.fromkeys(COSTS)
                rows.write(arm, missing, figures=figures, settings=settings, costs=costs)
