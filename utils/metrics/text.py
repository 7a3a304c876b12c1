"""Measures that compare texts: BLEU, chrF, error rates, and the diversity of generated texts.

BLEU (Papineni et al. 2002; section 5.2) and chrF (Popović 2015) are computed by sacrebleu
on detokenized text (Post 2018), the confidence interval of BLEU by a bootstrap (Koehn 2004). Word
and character error rates (section 6.3) are computed by jiwer. Distinct-n (Li et al. 2016) and
self-BLEU (Zhu et al. 2018) measure the diversity of generated texts (section 6.2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import jiwer
from sacrebleu.metrics import BLEU, CHRF


@dataclass(frozen=True)
class BleuInterval:
    """A corpus BLEU with its 95 % confidence interval.

    Parameters
    ----------
    score
        BLEU, from 0 to 100.
    low, high
        The ends of the interval, which always contains `score`.
    signature
        sacrebleu's description of how the score was computed.
    """

    score: float
    low: float
    high: float
    signature: str

    def __str__(self) -> str:
        return f"BLEU {self.score:.1f} [{self.low:.1f}, {self.high:.1f}] ({self.signature})"


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
) -> float:
    """Return the corpus BLEU, from 0 to 100, with one reference for each hypothesis.

    Source: ``eq-bleu`` (section 5.2); Papineni et al. 2002; Post 2018.

    Parameters
    ----------
    hypotheses, references
        The sentences as plain text, not tokenized, in the same order.
    tokenize
        The tokenizer of sacrebleu: "13a" for European languages, "zh" for Chinese.
    lowercase
        Whether to ignore case.

    Returns
    -------
    float
        BLEU, from 0 to 100.

    Raises
    ------
    ValueError
        If the two lists differ in length or are empty, or the tokenizer is unknown.
    """
    metric = _bleu_metric(tokenize, lowercase)
    check_aligned(hypotheses, references)
    return metric.corpus_score(list(hypotheses), [list(references)]).score


def bleu_interval(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    resamples: int = 1000,
) -> BleuInterval:
    """Return the corpus BLEU with its 95 % bootstrap confidence interval.

    The interval is the mean of the resampled scores plus and minus half the width of their middle
    95 %, widened to contain the score itself. The resampling is seeded.

    Source: Koehn 2004 (section 5.2).

    Parameters
    ----------
    hypotheses, references, tokenize, lowercase
        As for `bleu`.
    resamples
        Number of bootstrap samples (test sets drawn with replacement); at least 2 are drawn.

    Returns
    -------
    BleuInterval
        BLEU, the interval and the signature.

    Raises
    ------
    ValueError
        If the two lists differ in length or are empty, or the tokenizer is unknown.
    """
    metric = _bleu_metric(tokenize, lowercase)
    check_aligned(hypotheses, references)
    result = metric.corpus_score(
        list(hypotheses), [list(references)], n_bootstrap=max(2, resamples)
    )
    signature = str(metric.get_signature())
    # The result has no attributes for the interval: sacrebleu writes it into its JSON alone, as
    # "confidence_mean" and "confidence_var" (half the width of the interval, not a variance), and
    # leaves both out if BLEU is 0. `width` is the number of decimals that the JSON keeps.
    fields = json.loads(result.format(width=4, is_json=True, signature=signature))
    mean, half_width = fields.get("confidence_mean", 0.0), fields.get("confidence_var", 0.0)
    low = max(0.0, min(result.score, mean - half_width))
    high = max(result.score, mean + half_width)
    return BleuInterval(result.score, low, high, signature)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Return the corpus chrF, from 0 to 100: an F-score (β = 2) of character 1- to 6-grams.

    Spaces are left out. No words are needed, so that Chinese and rare word forms are judged too.

    Source: Popović 2015 (section 6.1).

    Parameters
    ----------
    hypotheses, references
        The sentences as plain text, in the same order.

    Raises
    ------
    ValueError
        If the two lists differ in length or are empty.
    """
    check_aligned(hypotheses, references)
    return CHRF().corpus_score(list(hypotheses), [list(references)]).score


def check_aligned(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raise ValueError unless there is one hypothesis for each reference, and at least one."""
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"answers are compared sentence by sentence: got {len(hypotheses)} hypotheses "
            f"and {len(references)} references"
        )


def _bleu_metric(tokenize: str, lowercase: bool) -> BLEU:
    """Return sacrebleu's BLEU with a tokenizer that exists."""
    if tokenize not in BLEU.TOKENIZERS:
        raise ValueError(
            f"unknown tokenizer {tokenize!r}; choose from {', '.join(BLEU.TOKENIZERS)}"
        )
    return BLEU(tokenize=tokenize, lowercase=lowercase)


@dataclass(frozen=True)
class ErrorCounts:
    """The edits that turn hypotheses into their references.

    Parameters
    ----------
    rate
        The number of edits divided by `units`; it can exceed 1.
    substitutions, deletions, insertions
        The number of edits of each sort. A deletion is a unit that the hypothesis lacks.
    units
        The number of words, or of characters, in the references.
    """

    rate: float
    substitutions: int
    deletions: int
    insertions: int
    units: int


def word_errors(hypotheses: Sequence[str], references: Sequence[str]) -> ErrorCounts:
    """Count word errors: the fewest edits that turn the hypotheses into the references.

    Words are separated by spaces. The rate is that of the whole corpus: the edits of all texts
    divided by the words of all references.

    Source: ``eq-wer`` (section 6.3).

    Parameters
    ----------
    hypotheses, references
        The transcripts, in the same order.

    Returns
    -------
    ErrorCounts
        The rate and the numbers of edits.

    Raises
    ------
    ValueError
        If the two lists differ in length or are empty, or a reference has no words.
    """
    return _count_errors(jiwer.process_words, hypotheses, references)


def character_errors(hypotheses: Sequence[str], references: Sequence[str]) -> ErrorCounts:
    """Count errors as `word_errors` does, in characters (spaces included) instead of words."""
    return _count_errors(jiwer.process_characters, hypotheses, references)


def _count_errors(
    process: Callable[[list[str], list[str]], jiwer.WordOutput | jiwer.CharacterOutput],
    hypotheses: Sequence[str],
    references: Sequence[str],
) -> ErrorCounts:
    """Count the errors in the alignment that `process`, a function of jiwer, computes."""
    if len(hypotheses) != len(references) or not all(text.strip() for text in references):
        raise ValueError(
            f"each of {len(references)} references needs a word in it, and one hypothesis each; "
            f"got {len(hypotheses)} hypotheses"
        )
    if not len(references):
        raise ValueError("an error rate needs at least one reference")
    alignment = process(list(references), list(hypotheses))
    edits = alignment.substitutions, alignment.deletions, alignment.insertions
    units = alignment.hits + alignment.substitutions + alignment.deletions
    return ErrorCounts(sum(edits) / units, *edits, units)


def distinct_n(texts: Sequence[Sequence[Hashable]], n: int) -> float:
    """Return distinct-n: the number of different n-grams divided by the number of all n-grams.

    The value falls as texts become longer, so only texts of one length can be compared.

    Source: ``eq-distinct`` (section 6.2); Li et al. 2016.

    Parameters
    ----------
    texts
        Sequences of tokens; an n-gram never reaches from one into the next.
    n
        The length of the n-grams.

    Returns
    -------
    float
        The ratio, from 0 to 1.

    Raises
    ------
    ValueError
        If `n` is not a whole number from 1, or no text has `n` tokens.
    """
    if n < 1 or n != int(n):
        raise ValueError(f"n must be a whole number from 1, got {n}")
    ngrams = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    if not ngrams:
        raise ValueError(f"no n-grams of {n} tokens in {len(texts)} texts: give longer texts")
    return len(set(ngrams)) / len(ngrams)


def self_bleu(texts: Sequence[Sequence[str]], *, max_order: int = 4) -> float:
    """Return self-BLEU: the mean BLEU of each text with all the others as its references.

    A high value means that the texts are alike.

    Source: ``eq-self-bleu`` (section 6.2); Zhu et al. 2018.

    Parameters
    ----------
    texts
        Lists of words, which are compared as they are.
    max_order
        The length of the longest n-grams that count.

    Returns
    -------
    float
        Self-BLEU, from 0 to 100.

    Raises
    ------
    ValueError
        If there are fewer than two texts, or one of them is empty.
    """
    if len(texts) < 2 or not all(texts):
        raise ValueError(f"self-BLEU needs two texts that are not empty, got {len(texts)} texts")
    metric = BLEU(tokenize="none", max_ngram_order=max_order, effective_order=True)
    lines = [" ".join(text) for text in texts]
    scores = [
        metric.sentence_score(line, [*lines[:i], *lines[i + 1 :]]).score
        for i, line in enumerate(lines)
    ]
    return sum(scores) / len(scores)
