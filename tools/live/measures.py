"""Measures of a network with some weights, part by part, for `tools.live.costs`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sacrebleu.metrics import BLEU

from tools.live.catalogue import TRANSLATOR, PageModel, load_corpus, tokenizer_of
from tools.live.translation import MAX_LENGTH
from utils.data.corpora import load_pairs, load_reviews
from utils.data.labelled_batches import labelled_eval_batches
from utils.data.pair_batches import encode_pairs, pair_batch
from utils.decoding.beam_config import BeamConfig
from utils.decoding.scoring import token_log_probs
from utils.decoding.translation import translate
from utils.metrics.sacrebleu_inputs import make_bleu_metric
from utils.models.classifiers import Classifier
from utils.models.stored_translator import Translator
from utils.training.evaluation import evaluate
from utils.training.objectives import label_nll

PART_TOKENS = 100  # of the validation text in one part

Rows = list[list[float]]  # one for each part or sentence


def ratio(sums: np.ndarray) -> float:
    """Return a loss per unit from the sums of losses and of units, (2,)."""
    return float(sums[0] / sums[1])


def bleu_of_counts(sums: np.ndarray) -> float:
    """Return BLEU from the summed counts of sentences, (10,)."""
    *ngrams, length, reference_length = (round(count) for count in sums.tolist())
    return BLEU.compute_bleu(
        ngrams[:4], ngrams[4:], length, reference_length, smooth_method="exp"
    ).score


def losses_of_text(model: PageModel, name: str) -> Rows:
    """Return the loss in bits and the number of characters of each part of the validation text.

    Parameters
    ----------
    model
        A language model.
    name
        Its name.

    Returns
    -------
    rows : list
        Two numbers for each part.
    """
    tokenizer = tokenizer_of(name)
    ids = tokenizer.encode(load_corpus().valid)
    bits = -token_log_probs(model, torch.tensor(ids)) / np.log(2)
    rows = []
    for start in range(1, len(ids), PART_TOKENS):
        part = slice(start, start + PART_TOKENS)
        before, after = tokenizer.decode(ids[: part.start]), tokenizer.decode(ids[: part.stop])
        loss = float(bits[part.start - 1 : part.stop - 1].sum())
        rows.append([round(loss, 5), len(after) - len(before)])
    return rows


def losses_of_pairs(model: Translator) -> Rows:
    """Return the loss in nats and the number of tokens of each validation pair."""
    tokenizer, rows = tokenizer_of(TRANSLATOR), []
    for pair in encode_pairs(_captions(), tokenizer):
        result = evaluate(model, [pair_batch([pair])])
        rows.append([round(result.nll, 5), result.num_tokens])
    return rows


def counts_of_pairs(model: Translator, beam: BeamConfig | None) -> Rows:
    """Return BLEU's counts of each validation sentence: matches, n-grams and two lengths.

    Parameters
    ----------
    model
        A translator.
    beam
        Options of beam search; None for greedy search.

    Returns
    -------
    rows : list
        Ten whole numbers for each sentence.
    """
    sources, references = zip(*_captions(), strict=True)
    tokenizer = tokenizer_of(TRANSLATOR)
    answers = translate(model, sources, tokenizer, beam=beam, max_length=MAX_LENGTH)
    metric = make_bleu_metric(tokenize="13a", lowercase=False, effective_order=True)
    scores = (
        metric.sentence_score(*texts)
        for texts in zip(answers, ([r] for r in references), strict=True)
    )
    return [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]


def _captions() -> Sequence[tuple[str, str]]:
    """Return the validation pairs."""
    corpus = load_pairs("multi30k", source_language="de", target_language="en")
    if corpus.origin != "real":
        raise OSError("the cost is measured on the real captions, which cannot be loaded here")
    return corpus.valid


def losses_of_reviews(model: Classifier, name: str) -> Rows:
    """Return the loss in nats of each validation sentence about a film, and 1 for the sentence.

    Parameters
    ----------
    model
        A classifier.
    name
        Its name.

    Returns
    -------
    rows : list
        Two numbers for each sentence.

    Raises
    ------
    OSError
        If only the stand-in of the reviews is at hand.
    """
    corpus = load_reviews()
    if corpus.origin != "real":
        raise OSError("the cost is measured on the real reviews, which cannot be loaded here")
    tokenizer, rows = tokenizer_of(name), []
    for text, label in corpus.valid:
        (batch,) = labelled_eval_batches([(tokenizer.encode(text), label)], batch_size=1)
        rows.append([round(evaluate(model, [batch], objective=label_nll).loss, 5), 1])
    return rows
