"""The log-probability that a model assigns to each token of a text, as in section 4.1.1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from utils.arguments import check_positive
from utils.contract import LanguageModel, StateT, TextScorer
from utils.data.checks import as_id_tensor, check_ids_in_vocabulary
from utils.decoding.input_ids import check_ids_of_model
from utils.decoding.token_rules import check_logits
from utils.runtime import device_of, evaluation_mode


@torch.inference_mode()
def token_log_probs(
    model: LanguageModel[StateT] | TextScorer,
    ids: Sequence[int] | np.ndarray | torch.Tensor,
    *,
    chunk_length: int = 512,
) -> torch.Tensor:
    """Compute log p of each token of a text, given all tokens before it.

    A `TextScorer` scores the whole text at once. Any other model reads it in chunks and keeps its
    state from one to the next, so the chunk length does not change the result.

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    ids
        The tokens of the text, (N,) with N ≥ 2.
    chunk_length
        The maximum number of tokens per call, which bounds the memory for logits.

    Returns
    -------
    log_probs : torch.Tensor
        The log-probabilities of all tokens except the first, (N − 1,) float64 on the CPU.

    Raises
    ------
    ValueError
        If the text is not integers (N,) or has fewer than two tokens, an id is outside the model's
        vocabulary, `chunk_length` is not a positive integer, or the model returns NaN or complex
        logits.

    Examples
    --------
    >>> from utils.decoding.scoring import token_log_probs
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> model = NGramLM.mle(NGramCounts([4, 5, 4, 5, 4, 6], order=2, vocab_size=7))
    >>> [round(p, 3) for p in token_log_probs(model, [4, 5, 4, 6]).exp().tolist()]
    [0.667, 1.0, 0.333]
    """
    check_positive(chunk_length=chunk_length)
    ids = as_id_tensor(ids)
    if ids.dim() != 1:
        raise ValueError(f"a text is ids of shape (N,); got the shape {tuple(ids.shape)}")
    if len(ids) < 2:
        raise ValueError(f"scoring needs a text of at least two tokens, got {len(ids)}")
    with evaluation_mode(model):
        if isinstance(model, TextScorer):
            log_probs = model.score(ids)[1:]
        else:
            log_probs = _log_probs_by_chunks(model, ids, chunk_length)
    if log_probs.isnan().any():
        first = int(log_probs.isnan().nonzero()[0, 0]) + 1
        raise ValueError(
            f"the model returns NaN as log p of token {first}; check its weights and its state"
        )
    return log_probs


def _log_probs_by_chunks(
    model: LanguageModel[StateT], ids: torch.Tensor, chunk_length: int
) -> torch.Tensor:
    """Compute the result of `token_log_probs` from logits, `chunk_length` tokens at a time."""
    device = device_of(model)
    check_ids_of_model(model, ids)
    chunks: list[torch.Tensor] = []
    state: StateT | None = None
    for start in range(0, len(ids) - 1, chunk_length):
        chunk = ids[start : start + chunk_length + 1].cpu()  # inputs and, shifted by one, targets
        logits, state = model(chunk[None, :-1].to(device), state)  # (1, chunk_length, V)
        check_logits(logits)
        # the targets, too, which must be among the tokens that it predicts
        check_ids_in_vocabulary(chunk, logits.shape[-1])
        logits = logits[0].cpu().double()  # (chunk_length, V); MPS has no float64
        log_probs = logits.log_softmax(-1)  # (chunk_length, V)
        chunks.append(log_probs.gather(-1, chunk[1:, None])[:, 0])  # (chunk_length,)
    return torch.cat(chunks)
