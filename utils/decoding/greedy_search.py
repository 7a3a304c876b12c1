"""Greedy search: the most probable token at each step, derived in section 5.2."""

from __future__ import annotations

import torch

from utils.contract import NextTokenModel, StateT
from utils.decoding.generation import NO_STATE, generate
from utils.decoding.token_rules import TokenRules


@torch.inference_mode()
def greedy_search(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT = NO_STATE,
    *,
    max_length: int = 100,
    rules: TokenRules = TokenRules(),
) -> list[list[int]]:
    """Append the most probable next token repeatedly, until EOS or `max_length` new tokens.

    Source: ``eq-greedy`` (section 5.2).

    Parameters
    ----------
    model, prompt, state, max_length, rules
        As for `utils.decoding.sampling.sample`.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        As for `utils.decoding.sampling.sample`.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.greedy_search import greedy_search
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> sentences = [[4, 5, 2], [4, 5, 2], [4, 6, 2]]
    >>> model = NGramLM.mle(NGramCounts(sentences, order=2, vocab_size=7))
    >>> greedy_search(model, torch.tensor([[1], [6]]))
    [[4, 5], []]
    """
    return generate(
        model,
        prompt,
        state,
        choose_tokens=lambda logits, _: logits.argmax(-1),
        max_length=max_length,
        rules=rules,
    )
