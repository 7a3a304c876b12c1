"""The measures of the book: perplexity, bits per character, BLEU, parameter counts.

Perplexity: Jelinek et al. 1977 (``eq-perplexity``, notebooks/02-1). BLEU: Papineni et al. 2002,
computed by sacrebleu on detokenized text (Post 2018) with a bootstrap interval (Koehn 2004).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sacrebleu.metrics import BLEU


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
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"BLEU compares sentence by sentence: got {len(hypotheses)} hypotheses "
            f"and {len(references)} references"
        )
    metric = BLEU(tokenize=tokenize, lowercase=lowercase)
    hypotheses, references = list(hypotheses), [list(references)]
    found = metric.corpus_score(hypotheses, references, n_bootstrap=max(2, resamples))
    # the interval is the bootstrap's mean ± half the width of its middle 95 %
    signature = str(metric.get_signature())
    facts = json.loads(found.format(width=4, is_json=True, signature=signature))
    middle, half = facts.get("confidence_mean", 0.0), facts.get("confidence_var", 0.0)  # none at 0
    low, high = max(0.0, min(found.score, middle - half)), max(found.score, middle + half)
    return Bleu(found.score, low, high, signature)


def parameters(model: torch.nn.Module, trainable_only: bool = False) -> int:
    """The number of parameters; tied ones count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)
