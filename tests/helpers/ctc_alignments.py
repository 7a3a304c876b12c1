"""Log-probabilities of a small recognizer, and those of all texts by their alignments."""

import itertools
import math

import torch

from utils.data.vocabulary import BOS, EOS, PAD, UNK
from utils.speech.ctc import collapse_path

V = 6  # the special tokens and two others
S = 4  # steps


def make_log_probs(seed, steps=S, dtype=torch.float64):
    """Random log-probabilities of a recognizer, (steps, V)."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(steps, V, generator=generator, dtype=dtype)
    logits[:, [BOS, EOS, UNK]] = -math.inf
    return logits.log_softmax(-1)


def log_probs_of_all_texts(log_probs):
    """log p of each text that so many steps can give: all alignments, summed by text."""
    alignments = {}
    for path in itertools.product([PAD, 4, 5], repeat=len(log_probs)):
        total = sum(float(log_probs[step, label]) for step, label in enumerate(path))
        alignments.setdefault(tuple(collapse_path(path)), []).append(total)
    return {
        text: float(torch.tensor(totals, dtype=torch.float64).logsumexp(0))
        for text, totals in alignments.items()
    }
