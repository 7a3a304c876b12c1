"""The answers of recognizers to clips: by a search, or by a choice from lists of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.speech.date_models import text_log_probs
from benchmarks.speech.task import digit_error_rate
from benchmarks.speech.voices import RecognizedTexts
from utils.contract import LanguageModel
from utils.models.ngram import NGramLM
from utils.speech.ctc_beam_search import CTCHypothesis

Answer = Callable[[RecognizedTexts, float, float], list[list[int]]]
"""Maps clips, a weight and a bonus to the ids of a text for each clip."""
Lists = dict[int, list[list[CTCHypothesis]]]
"""The best texts of each clip, by the ``id`` of the clips."""


@dataclass(frozen=True)
class TextLists:
    """The best texts of each clip by a first search, with their log p by a language model.

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


def searcher(model: NGramLM | None) -> Answer:
    """Return a search with a language model."""
    return lambda recognized, weight, bonus: [
        row[0].ids for row in recognized.search(model, weight, bonus)
    ]


def rescorer(lists: Lists, model: LanguageModel[Any]) -> Answer:
    """Return a function that chooses among the texts of lists by a language model."""
    scored: dict[int, TextLists] = {}

    def answer(recognized: RecognizedTexts, weight: float, bonus: float) -> list[list[int]]:
        if id(recognized) not in scored:
            scored[id(recognized)] = TextLists.make(lists[id(recognized)], model)
        return scored[id(recognized)].answers(weight, bonus)

    return answer
