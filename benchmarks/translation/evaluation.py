"""Test of a trained encoder–decoder: choice of search options, BLEU and the speed of decoding."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from benchmarks.translation.jobs import TranslationJob
from benchmarks.translation.task import MAX_LENGTH, TranslationTask
from utils.data.examples import SentencePair
from utils.decoding.beam_config import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.text import bleu, bleu_interval, chrf
from utils.models.encoder_decoder import EncoderDecoder

LENGTH_BOUNDS = (0, 8, 10, 12, 14, 17, 100)  # of the classes of source lengths, in words


def evaluate_trained(
    model: EncoderDecoder[Any], task: TranslationTask, job: TranslationJob
) -> dict[str, Any]:
    """Test a model of a job greedily and with the best of its rankings.

    Parameters
    ----------
    model
        The model.
    task
        The data.
    job
        The job.

    Returns
    -------
    results : dict
        The results of both searches.
    """
    ranking = choose_ranking(model, task, job.rankings)
    results = {
        "greedy": evaluate_on_test(model, task, None),
        "beam": evaluate_on_test(model, task, ranking),
    }
    if job.seed:  # the answers of one seed are enough for examples and paired tests
        for result in results.values():
            del result["answers"]
    return results


def choose_ranking(
    model: EncoderDecoder[Any], task: TranslationTask, rankings: Sequence[BeamConfig]
) -> BeamConfig:
    """Return the ranking with the best BLEU on the validation sentences.

    Parameters
    ----------
    model
        The model.
    task
        The data.
    rankings
        One option of beam search or several.

    Returns
    -------
    ranking : BeamConfig
        One of them.
    """
    if len(rankings) == 1:
        return rankings[0]
    references = [reference for _, reference in task.corpus.valid]
    return max(
        rankings,
        key=lambda beam: bleu(
            translate_sources(model, task.corpus.valid, task=task, beam=beam), references
        ),
    )


def evaluate_on_test(
    model: EncoderDecoder[Any], task: TranslationTask, beam: BeamConfig | None
) -> dict[str, Any]:
    """Translate the test set, greedily if `beam` is None, and return what is stored about it.

    Parameters
    ----------
    model
        The model.
    task
        The data.
    beam
        Options of beam search; None for greedy search.

    Returns
    -------
    results : dict
        Scores of text with their intervals, the speed and the translations.
    """
    references = [reference for _, reference in task.corpus.test]
    start = time.process_time()
    answers = translate_sources(model, task.corpus.test, task=task, beam=beam)
    seconds = time.process_time() - start
    interval = bleu_interval(answers, references)
    return {
        "bleu": interval.score,
        "low": interval.low,
        "high": interval.high,
        "signature": interval.signature,
        "lowercased": bleu(answers, references, lowercase=True),
        "chrf": chrf(answers, references),
        "by_length": [asdict(row) for row in bleu_by_length(answers, task.corpus.test)],
        "sentences_per_second": len(answers) / seconds,
        "answers": answers,
        "ranking": stored_ranking(beam),
    }


def translate_sources(
    model: EncoderDecoder[Any],
    pairs: Sequence[SentencePair],
    *,
    task: TranslationTask,
    beam: BeamConfig | None,
) -> list[str]:
    """Translate the sources of sentence pairs, greedily if `beam` is None.

    Parameters
    ----------
    model
        The model.
    pairs
        Sources and references.
    task
        The data.
    beam
        Options of beam search; None for greedy search.

    Returns
    -------
    translations : list of str
        The translation of each source.
    """
    sources = [source for source, _ in pairs]
    return translate(model, sources, task.tokenizer, beam=beam, max_length=MAX_LENGTH)


def stored_ranking(beam: BeamConfig | None) -> dict[str, float | None]:
    """Return how a ranking is stored: the options that have an effect, by their names."""
    if beam is None:
        return {}
    names = (
        ["length_penalty", "token_bonus", "patience"] if beam.token_bonus else ["length_penalty"]
    )
    return {name: getattr(beam, name) for name in names}


@dataclass(frozen=True)
class LengthClass:
    """The test sentences whose sources have so many words.

    Parameters
    ----------
    low, high
        The smallest number of words, and the smallest that is too large.
    sentences
        The number of sentences.
    bleu
        The BLEU of their translations; None without sentences.
    """

    low: int
    high: int
    sentences: int
    bleu: float | None


def bleu_by_length(answers: Sequence[str], pairs: Sequence[SentencePair]) -> list[LengthClass]:
    """Compute BLEU for each class of source lengths.

    Parameters
    ----------
    answers
        The translation of each source.
    pairs
        Sources and references.

    Returns
    -------
    rows : list of LengthClass
        One for each class that `LENGTH_BOUNDS` delimit.
    """
    rows = []
    for low, high in pairwise(LENGTH_BOUNDS):
        inside = [i for i, (source, _) in enumerate(pairs) if low <= len(source.split()) < high]
        references = [pairs[i][1] for i in inside]
        value = bleu([answers[i] for i in inside], references) if inside else None
        rows.append(LengthClass(low, high, len(inside), value))
    return rows
