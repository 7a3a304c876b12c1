"""Measures of generated texts: BLEU and chrF against references, and diversity.

BLEU (Papineni et al. 2002; section 5.2) and chrF (Popović 2015; section 6.1) are computed by
sacrebleu on detokenized text (Post 2018), the confidence interval of BLEU by a bootstrap (Koehn
2004). Distinct-n (Li et al. 2016) and self-BLEU (Zhu et al. 2018) measure the diversity of
generated texts (section 6.2).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from sacrebleu.metrics import BLEU, CHRF

from utils.arguments import check_integer, check_positive
from utils.conversions import as_strings, as_token_lists
from utils.metrics.sacrebleu_inputs import (
    References,
    as_percentage,
    as_reference_lists,
    make_bleu_metric,
)


@dataclass(frozen=True)
class BLEUInterval:
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
    hypotheses: Iterable[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
) -> float:
    """Compute the corpus BLEU, with one or several references for each hypothesis.

    Source: ``eq-bleu`` (section 5.2); Papineni et al. 2002; Post 2018.

    Parameters
    ----------
    hypotheses
        The sentences as plain, untokenized text.
    references
        Their references, in the same order; or several lists of references, each in this order,
        with None where a hypothesis has fewer than others.
    tokenize
        The name of a tokenizer of sacrebleu: "13a" for European languages, "zh" for Chinese.
    lowercase
        Whether to ignore case.

    Returns
    -------
    score : float
        BLEU, from 0 to 100.

    Raises
    ------
    ValueError
        If the lists differ in length or are empty, an item is not a text, a hypothesis has no
        reference, the tokenizer is unknown or needs a package that is not installed, or `lowercase`
        is neither True nor False.

    Examples
    --------
    >>> from utils.metrics.text import bleu
    >>> hypotheses = ["the cat sat on the mat", "a dog barked"]
    >>> first, second = ["the cat sat on a mat", "a dog barked"], ["the cat sat on the rug", None]
    >>> round(bleu(hypotheses, first), 1)
    59.7
    >>> round(bleu(hypotheses, [first, second]), 1)
    82.2
    """
    metric = make_bleu_metric(tokenize=tokenize, lowercase=lowercase)
    texts = as_strings(hypotheses, name="hypotheses")
    reference_lists = as_reference_lists(texts, references)
    return as_percentage(metric.corpus_score(texts, reference_lists).score)


def bleu_interval(
    hypotheses: Iterable[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    num_resamples: int = 1000,
) -> BLEUInterval:
    """Compute the corpus BLEU with its 95 % bootstrap confidence interval.

    The interval is the mean of the resampled scores plus and minus half the width of their middle
    95 %, widened to contain the score itself and clipped to 0–100. The resampling is seeded.

    Source: Koehn 2004 (section 5.2).

    Parameters
    ----------
    hypotheses, references, tokenize, lowercase
        As for `bleu`.
    num_resamples
        Number of bootstrap samples (test sets drawn with replacement), at least 2.

    Returns
    -------
    interval : BLEUInterval
        BLEU, the interval and the signature.

    Raises
    ------
    ValueError
        If `bleu` rejects an argument, or `num_resamples` is not an integer of at least 2.

    Examples
    --------
    >>> from utils.metrics.text import bleu_interval
    >>> hypotheses = ["the cat sat on the mat", "a dog barked at me"] * 20
    >>> references = ["the cat sat on a mat", "a dog barked at me"] * 20
    >>> interval = bleu_interval(hypotheses, references, num_resamples=100)
    >>> interval.low < interval.score < interval.high
    True
    """
    check_integer(minimum=2, num_resamples=num_resamples)
    metric = make_bleu_metric(tokenize=tokenize, lowercase=lowercase)
    texts = as_strings(hypotheses, name="hypotheses")
    reference_lists = as_reference_lists(texts, references)
    result = metric.corpus_score(texts, reference_lists, n_bootstrap=num_resamples)
    signature = str(metric.get_signature())
    # sacrebleu reports the interval only in its JSON, as "confidence_mean" and "confidence_var"
    # (half the width of the interval, not a variance), and omits both if BLEU is 0. `width` is the
    # number of decimals in the JSON.
    fields = json.loads(result.format(width=4, is_json=True, signature=signature))
    mean, half_width = fields.get("confidence_mean", 0.0), fields.get("confidence_var", 0.0)
    score = as_percentage(result.score)
    low = max(0.0, min(score, mean - half_width))
    high = as_percentage(max(score, mean + half_width))
    return BLEUInterval(score, low, high, signature)


def chrf(hypotheses: Iterable[str], references: References) -> float:
    """Compute the corpus chrF: an F-score (β = 2) of character 1- to 6-grams.

    Spaces are ignored. It needs no words, so it suits Chinese and rewards partly correct words.

    Source: ``eq-chrf`` (section 6.1); Popović 2015.

    Parameters
    ----------
    hypotheses, references
        As for `bleu`.

    Returns
    -------
    score : float
        chrF, from 0 to 100.

    Raises
    ------
    ValueError
        If the lists differ in length or are empty, an item is not a text, or a hypothesis has no
        reference.

    Examples
    --------
    >>> from utils.metrics.text import chrf
    >>> round(chrf(["the cats sat"], ["the cat sat"]), 1)
    74.8
    """
    texts = as_strings(hypotheses, name="hypotheses")
    reference_lists = as_reference_lists(texts, references)
    return as_percentage(CHRF().corpus_score(texts, reference_lists).score)


def distinct_n(sequences: Iterable[Iterable[Hashable]], n: int) -> float:
    """Compute distinct-n: the number of distinct n-grams divided by the number of all n-grams.

    It falls as texts become longer, so only texts of the same length can be compared.

    Source: ``eq-distinct`` (section 6.2); Li et al. 2016.

    Parameters
    ----------
    sequences
        The tokens of each text, as a list, an array or a tensor; no n-gram spans two texts.
    n
        The length of the n-grams.

    Returns
    -------
    ratio : float
        Distinct-n, from 0 to 1.

    Raises
    ------
    ValueError
        If `n` is not a positive integer, `sequences` are not lists of tokens, or none of them has
        `n` tokens.

    Examples
    --------
    >>> from utils.metrics.text import distinct_n
    >>> distinct_n(["a b a b".split(), "a b c d".split()], 2)
    0.6666666666666666
    """
    check_positive(n=n)
    texts = as_token_lists(sequences)
    ngrams = [tuple(tokens[i : i + n]) for tokens in texts for i in range(len(tokens) - n + 1)]
    if not ngrams:
        raise ValueError(f"no n-grams of {n} tokens in {len(texts)} texts: give longer texts")
    return len(set(ngrams)) / len(ngrams)


def self_bleu(sequences: Iterable[Iterable[str]], *, max_ngram_order: int = 4) -> float:
    """Compute self-BLEU: the mean BLEU of each text with all others as its references.

    A high value means that the texts are similar.

    Source: ``eq-self-bleu`` (section 6.2); Zhu et al. 2018.

    Parameters
    ----------
    sequences
        The words of each text, which are compared without further tokenization.
    max_ngram_order
        The length of the longest n-grams.

    Returns
    -------
    score : float
        Self-BLEU, from 0 to 100.

    Raises
    ------
    ValueError
        If there are fewer than two texts, one of them is empty or not a list of words, or
        `max_ngram_order` is not a positive integer.

    Examples
    --------
    >>> from utils.metrics.text import self_bleu
    >>> texts = ["the cat sat down", "the cat sat up", "a dog barked twice"]
    >>> round(self_bleu([text.split() for text in texts], max_ngram_order=2), 1)
    47.1
    """
    check_positive(max_ngram_order=max_ngram_order)
    texts = as_token_lists(sequences)
    if len(texts) < 2 or not all(texts):
        raise ValueError(
            f"self-BLEU needs at least two texts, none of them empty; got {len(texts)} texts"
        )
    metric = BLEU(tokenize="none", max_ngram_order=max_ngram_order, effective_order=True)
    word_lists = [as_strings(words, name="the words of a text") for words in texts]
    # sacrebleu splits a line at spaces, which a word may contain: each word becomes a number
    numbers: dict[str, str] = {}
    lines = [
        " ".join(numbers.setdefault(word, str(len(numbers))) for word in words)
        for words in word_lists
    ]
    scores = [
        as_percentage(metric.sentence_score(line, [*lines[:i], *lines[i + 1 :]]).score)
        for i, line in enumerate(lines)
    ]
    return sum(scores) / len(scores)
