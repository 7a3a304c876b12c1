"""Rewinding the state of a GPT: forgetting the last tokens, for speculative decoding.

Used in section 6.2, where tokens that a draft model proposed are read and then rejected.
"""

from __future__ import annotations

from utils.arguments import check_integer
from utils.models.gpt import GPTState
from utils.models.kv_cache import KVCache


def rewind_gpt(state: GPTState, count: int) -> GPTState:
    """Return the state before the last tokens that were read.

    Parameters
    ----------
    state
        The state of a GPT without n-gram vectors.
    count
        How many tokens to forget.

    Returns
    -------
    state : GPTState
        The earlier state.

    Raises
    ------
    ValueError
        If `count` is not an integer from 0 to the number of tokens read, the model has n-gram
        vectors, or its window has slid, so that the caches lack what the earlier state had.

    Examples
    --------
    >>> import torch
    >>> from utils.models.gpt import GPT
    >>> from utils.models.gpt_rewind import rewind_gpt
    >>> model = GPT(vocab_size=50, width=32, num_layers=2)
    >>> _, state = model(torch.tensor([[4, 5, 6]]))
    >>> rewind_gpt(state, 2).tokens_read
    tensor([1])
    """
    check_integer(minimum=0, count=count)
    if count == 0:
        return state
    read = int(state.tokens_read.max())
    if count > read:
        raise ValueError(f"{read} tokens were read; {count} cannot be forgotten")
    if state.ngram_context is not None:
        raise ValueError("a GPT with n-gram vectors cannot be rewound: they need earlier tokens")
    if any(cache.keys.shape[2] < read for cache in state.caches):
        raise ValueError("the window has slid: its caches lack tokens of the earlier state")
    caches = tuple(
        KVCache(cache.keys[:, :, : read - count], cache.values[:, :, : read - count])
        for cache in state.caches
    )
    return GPTState(state.tokens_read - count, caches, None)
