"""What a model says of a text, token by token, and what two of them say together.

Written out by hand in section 4.1.1; used in 4.1.2, 5.1, 6.2 and by the benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from utils.ngram import NGramLM
from utils.runtime import device_of

WEIGHTS = tuple(k / 100 for k in range(1, 100))


@torch.inference_mode()
def log_p(model, ids: torch.Tensor, block: int = 512) -> torch.Tensor:
    """log p of each token of `ids` (N,) but the first, after all those before it: (N − 1,) float64.

    A model of the contract reads `block` tokens a call, its state handed on; counts score the text
    at once. Raises ValueError for a text of fewer than two tokens.
    """
    if len(ids) < 2:
        raise ValueError(f"two tokens are the least to predict one from; there are {len(ids)}")
    if isinstance(model, NGramLM):
        return model.score(ids)[1:]
    where, found, state = device_of(model), [], None
    for start in range(0, len(ids) - 1, block):
        part = ids[start : start + block + 1].cpu()
        logits, state = model(part[None, :-1].to(where), state)  # (1, block, V)
        steps = logits[0].cpu().double().log_softmax(-1)  # (block, V); float64 is not for all GPUs
        found.append(steps.gather(-1, part[1:, None])[:, 0])
    return torch.cat(found)


def mix(log_a: torch.Tensor, log_b: torch.Tensor, weight: float) -> torch.Tensor:
    """log(weight · a + (1 − weight) · b), from logarithms of one shape (``eq-nnlm-mixture``).

    Raises ValueError for a weight that is not between 0 and 1.
    """
    if not 0 < weight < 1:
        raise ValueError(f"weight must be above 0 and below 1, got {weight}")
    return torch.logaddexp(log_a + math.log(weight), log_b + math.log(1 - weight))


def best_weight(
    log_a: torch.Tensor, log_b: torch.Tensor, weights: Sequence[float] = WEIGHTS
) -> float:
    """The weight of a at which `mix` is highest in the mean: choose it on the validation text."""
    return max(weights, key=lambda weight: float(mix(log_a, log_b, weight).mean()))
