"""The measures of the book: perplexity, BLEU, word errors, diversity, calibration, FLOPs.

Perplexity: Jelinek et al. 1977 (``eq-perplexity``, notebooks/02-1). BLEU: Papineni et al. 2002,
computed by sacrebleu on detokenized text (Post 2018) with a bootstrap interval (Koehn 2004); chrF:
Popović 2015; two systems against each other: approximate randomization (Riezler and Maxwell 2005).
Calibration and temperature: Guo et al. 2017 (notebooks/08-3).
Parameters and FLOPs by formula: notebooks/02-2, after Kaplan et al. 2020.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
import torch
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def perplexity(nll: float, tokens: int) -> float:
    """exp(total negative log-likelihood in nats / total tokens); infinite where that overflows.

    Raises ValueError where there are no tokens: their mean is not defined.
    """
    if tokens <= 0:
        raise ValueError(f"perplexity needs at least one token, got {tokens}")
    mean = nll / tokens
    return math.inf if mean > 709 else math.exp(mean)


def bits_per_character(nll: float, characters: int) -> float:
    """Total negative log-likelihood in bits / characters of the text, whatever the tokens were."""
    if characters <= 0:
        raise ValueError(f"bits per character needs at least one character, got {characters}")
    return nll / math.log(2) / characters


@dataclass(frozen=True)
class Bleu:
    """A corpus BLEU with its 95 % bootstrap interval (which holds it) and sacrebleu's signature."""

    score: float
    low: float
    high: float
    signature: str

    def __str__(self) -> str:
        return f"BLEU {self.score:.1f} [{self.low:.1f}, {self.high:.1f}] ({self.signature})"


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    tokenize: str = "13a",
    lowercase: bool = False,
    resamples: int = 1000,
) -> Bleu:
    """Corpus BLEU of detokenized `hypotheses` against one reference each.

    `tokenize`: sacrebleu's tokenizer, "13a" for European languages, "zh" for Chinese.
    Raises ValueError where the two lists differ in length or are empty, and for an unknown
    tokenizer.
    """
    if tokenize not in BLEU.TOKENIZERS:
        raise ValueError(
            f"unknown tokenizer {tokenize!r}; choose from {', '.join(BLEU.TOKENIZERS)}"
        )
    _check_aligned(hypotheses, references)
    metric = BLEU(tokenize=tokenize, lowercase=lowercase)
    hypotheses, references = list(hypotheses), [list(references)]
    found = metric.corpus_score(hypotheses, references, n_bootstrap=max(2, resamples))
    # the interval is the bootstrap's mean ± half the width of its middle 95 %
    signature = str(metric.get_signature())
    facts = json.loads(found.format(width=4, is_json=True, signature=signature))
    middle, half = facts.get("confidence_mean", 0.0), facts.get("confidence_var", 0.0)  # none at 0
    low, high = max(0.0, min(found.score, middle - half)), max(found.score, middle + half)
    return Bleu(found.score, low, high, signature)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF, 0 to 100: an F-score (β = 2) of character 1- to 6-grams, without spaces.

    Popović 2015, by sacrebleu. It needs no words, so Chinese and invented endings are judged too.
    Raises ValueError where the two lists differ in length or are empty.
    """
    _check_aligned(hypotheses, references)
    return CHRF().corpus_score(list(hypotheses), [list(references)]).score


def paired_p(
    first: Sequence[str], second: Sequence[str], references: Sequence[str], trials: int = 10_000
) -> float:
    """p of the two systems' difference in BLEU (13a), by approximate randomization.

    How often a difference as large comes out where each pair of answers is swapped at random: small
    where the systems really differ, 1 where they answer alike. Riezler and Maxwell 2005, by
    sacrebleu with its fixed seed.
    Raises ValueError where the lists differ in length or are empty.
    """
    _check_aligned(first, references)
    _check_aligned(second, references)
    if list(first) == list(second):
        return 1.0  # sacrebleu's test counts larger differences only, and would find the least p
    systems = [("first", list(first)), ("second", list(second))]
    test = PairedTest(systems, {"BLEU": BLEU()}, [list(references)], "ar", n_samples=trials)
    return float(test()[1]["BLEU"][1].p_value)


def _check_aligned(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"answers are compared sentence by sentence: got {len(hypotheses)} hypotheses "
            f"and {len(references)} references"
        )


@dataclass(frozen=True)
class Errors:
    """How many of `units` were substituted, deleted, inserted; `rate` their sum over `units`."""

    rate: float
    substitutions: int
    deletions: int
    insertions: int
    units: int


def word_errors(hypotheses: Sequence[str], references: Sequence[str]) -> Errors:
    """The fewest words to change that make the hypotheses the references (``eq-wer``), by jiwer.

    Words lie between spaces; errors of all texts over words of all references, so that the rate may
    exceed 1. Raises ValueError where the lists differ in length or a reference has no word.
    """
    return _errors(jiwer.process_words, hypotheses, references)


def character_errors(hypotheses: Sequence[str], references: Sequence[str]) -> Errors:
    """`word_errors` with characters, spaces among them, in place of words."""
    return _errors(jiwer.process_characters, hypotheses, references)


def _errors(process: Callable, hypotheses: Sequence[str], references: Sequence[str]) -> Errors:
    if len(hypotheses) != len(references) or not all(r.strip() for r in references):
        raise ValueError(
            f"each of {len(references)} references needs a word in it, and one hypothesis each; "
            f"got {len(hypotheses)} hypotheses"
        )
    if not len(references):
        raise ValueError("an error rate needs at least one reference")
    found = process(list(references), list(hypotheses))
    wrong = found.substitutions, found.deletions, found.insertions
    units = found.hits + found.substitutions + found.deletions
    return Errors(sum(wrong) / units, *wrong, units)


def distinct_n(texts: Sequence[Sequence], n: int) -> float:
    """Different n-grams of all `texts` / n-grams of all texts (``eq-distinct``; Li et al. 2016).

    A text is a sequence of tokens. The share falls as texts grow, so compare texts of one length.
    Raises ValueError for n below 1, or where no text has n tokens.
    """
    if n < 1 or n != int(n):
        raise ValueError(f"n must be a whole number from 1, got {n}")
    found = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    if not found:
        raise ValueError(f"no n-grams of {n} tokens in {len(texts)} texts: give longer texts")
    return len(set(found)) / len(found)


def self_bleu(texts: Sequence[Sequence[str]], order: int = 4) -> float:
    """The mean BLEU (0 to 100) of each text against the others (``eq-self-bleu``; Zhu et al. 2018).

    A text is a list of words, which are compared as they stand. High: the texts are alike.
    Raises ValueError for fewer than two texts, or an empty one.
    """
    if len(texts) < 2 or not all(texts):
        raise ValueError(f"self-BLEU needs two texts that are not empty, got {len(texts)} texts")
    metric = BLEU(tokenize="none", max_ngram_order=order, effective_order=True)
    lines = [" ".join(text) for text in texts]
    scores = [
        metric.sentence_score(line, [*lines[:i], *lines[i + 1 :]]).score
        for i, line in enumerate(lines)
    ]
    return sum(scores) / len(scores)


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error, 0 to 1, and what it was made of, one entry a bin.

    `confidence`, `accuracy`: means within each bin, NaN where it is empty; `count`: how many fell
    into it. All three are arrays (bins,).
    """

    error: float
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def calibration(probabilities, correct, bins: int = 15) -> Calibration:
    """How far confidence is from accuracy, bin by bin: expected calibration error of Guo et al.

    `probabilities` (N,): what the model gave to the class it chose; `correct` (N,) bool: whether
    that was the right one. Bin m holds the probabilities over (m − 1)/bins up to m/bins.
    Raises ValueError where the two differ in length, are empty or have other values, and for fewer
    than one bin.
    """
    p, right = (np.asarray(values) for values in (probabilities, correct))
    if p.ndim != 1 or p.shape != right.shape or not p.size:
        raise ValueError(
            "calibration needs one probability and one judgement a prediction, as two arrays (N,); "
            f"got shapes {p.shape} and {right.shape}"
        )
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"probabilities lie between 0 and 1; got {p.min()} to {p.max()}")
    if not np.all((right == 0) | (right == 1)):
        raise ValueError("correct must be true or false for each prediction, not the class itself")
    if bins < 1 or bins != int(bins):
        raise ValueError(f"bins must be a whole number from 1, got {bins}")
    p, right, bins = p.astype(float), right.astype(float), int(bins)
    place = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    confidence, accuracy = (
        np.divide(
            np.bincount(place, values, bins), count, out=np.full(bins, np.nan), where=count > 0
        )
        for values in (p, right)
    )
    error = np.nansum(count * np.abs(accuracy - confidence)) / count.sum()
    return Calibration(float(error), confidence, accuracy, count)


def temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The number T from 0.01 to 100 by which to divide logits (N, V) for the least mean −log p.

    `targets` (N,): the right classes; take both from data that the model was not trained on. The
    loss is convex in 1/T, so Newton's steps, kept inside what is still possible, find the least one
    (Guo et al. 2017). Raises ValueError where the shapes do not fit or a target is no class.
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or not len(logits):
        raise ValueError(
            "temperature needs logits (N, V) and targets (N,); got "
            f"{tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise ValueError(f"targets must be classes from 0 to {logits.shape[1] - 1}")
    z, targets = logits.detach().cpu().double(), targets.cpu()
    z = (z - z.amax(1, keepdim=True)).clamp_min(-1e30)  # (N, V); −∞ times zero would be NaN
    chosen = z.gather(1, targets[:, None].long())[:, 0]  # (N,)
    low, sharpness, high = 0.01, 1.0, 100.0  # sharpness = 1/T
    for _ in range(100):
        p = (sharpness * z).softmax(1)
        mean = (p * z).sum(1)  # (N,)
        slope = float((mean - chosen).mean())
        curve = float(((p * z**2).sum(1) - mean**2).mean())
        if slope == 0:
            break
        low, high = (sharpness, high) if slope < 0 else (low, sharpness)
        step = sharpness - slope / curve if curve > 0 else math.inf
        last, sharpness = sharpness, step if low < step < high else math.sqrt(low * high)
        if abs(sharpness - last) < 1e-9 * last:
            break
    return 1 / sharpness


def parameters(model: torch.nn.Module, trainable_only: bool = False) -> int:
    """The number of parameters; tied ones count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


def gpt_parameters(vocab_size: int, width: int, layers: int) -> int:
    """Parameters of ``utils.lm.GPT`` as it is by default (``eq-gpt-parameters``).

    The embedding, which is the output matrix too; the four matrices and two gains of each layer;
    the last gain.
    """
    return vocab_size * width + layers * (12 * width**2 + 2 * width) + width


def gpt_flops(vocab_size: int, width: int, layers: int, batch: int, length: int) -> int:
    """FLOPs of one forward pass over ids (B, T): ``eq-flops-forward`` times B·T.

    A multiplication and an addition count as two; what is not a product of matrices (norms,
    softmax, rotations) is left out. Attention counts as the full T × T, masked or not. A training
    step takes three times as many (``eq-training-flops``).
    """
    per_token = 2 * (12 * layers * width**2 + vocab_size * width) + 4 * layers * length * width
    return batch * length * per_token


def counted_flops(call: Callable[[], object]) -> int:
    """FLOPs of the matrix products that torch sees while `call` runs, forwards and backwards.

    Attention runs by its plain formula meanwhile: torch does not count in its fused CPU kernel.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
