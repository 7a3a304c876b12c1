"""Test of a trained model of a record: its ranking is chosen on validation alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.records.task import TESTS, PairTask
from utils.data.examples import SentencePair
from utils.decoding.beam_config import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.text import bleu, chrf
from utils.models.encoder_decoder import EncoderDecoder

BEAM_SIZE, MAX_LENGTH = 5, 60  # hypotheses; tokens of a translation
BONUSES = (0.2, 0.4, 0.6, 0.8)  # per token
RANKINGS = {
    "length penalty 1": BeamConfig(BEAM_SIZE, length_penalty=1.0, patience=1),
    **{
        f"bonus {bonus:g}": BeamConfig(BEAM_SIZE, length_penalty=0.0, token_bonus=bonus, patience=2)
        for bonus in BONUSES
    },
}


def search_figures(
    model: EncoderDecoder[Any], task: PairTask, *, keep_answers: bool
) -> dict[str, Any]:
    """Choose a ranking on validation, and translate each test set greedily and with it.

    Parameters
    ----------
    model
        The trained model.
    task
        The data.
    keep_answers
        Whether the translations of the first test set are stored too.

    Returns
    -------
    figures : dict
        Scores of the validation sentences for each search, the ranking, and the scores of each test
        set.
    """
    searches: dict[str, BeamConfig | None] = {"greedy": None, **RANKINGS}
    valid = {
        name: text_scores(
            translations(model, task, pairs=task.valid_pairs, beam=beam), task.valid_pairs
        )
        for name, beam in searches.items()
    }
    ranking = max(RANKINGS, key=lambda name: valid[name]["BLEU, cased"])
    start = time.process_time()
    figures: dict[str, Any] = {"validation": valid, "ranking": ranking}
    for test in TESTS:
        pairs = task.tests[test]
        for search, beam in (("greedy", None), ("beam", RANKINGS[ranking])):
            answers = translations(model, task, pairs=pairs, beam=beam)
            for score, value in text_scores(answers, pairs).items():
                figures[f"{test}, {search}, {score}"] = value
            if keep_answers and test == TESTS[0]:
                figures[f"{test}, {search}, answers"] = answers
    figures["processor seconds of the tests"] = round(time.process_time() - start, 2)
    return figures


def translations(
    model: EncoderDecoder[Any],
    task: PairTask,
    *,
    pairs: Sequence[SentencePair],
    beam: BeamConfig | None,
) -> list[str]:
    """Translate the sources of sentence pairs, greedily if `beam` is None.

    Parameters
    ----------
    model
        The trained model.
    task
        The data.
    pairs
        Sources and references.
    beam
        Options of beam search; None for greedy search.

    Returns
    -------
    answers : list of str
        The translation of each source.
    """
    sources = [source for source, _ in pairs]
    return translate(model, sources, task.tokenizer, beam=beam, max_length=MAX_LENGTH)


def text_scores(answers: Sequence[str], pairs: Sequence[SentencePair]) -> dict[str, float]:
    """Compare translations with the references of sentence pairs.

    Parameters
    ----------
    answers
        The translations.
    pairs
        Sources and references.

    Returns
    -------
    scores : dict
        BLEU by sacrebleu on cased and on lower-cased text, and chrF.
    """
    references = [reference for _, reference in pairs]
    return {
        "BLEU, cased": bleu(answers, references),
        "BLEU, lower-cased": bleu(answers, references, lowercase=True),
        "chrF": chrf(answers, references),
    }
