"""Greedy search: the most probable token at each step, derived in section 5.2."""

from __future__ import annotations

from typing import Any, overload

import torch

from utils.contract import LanguageModel, NextTokenModel, StateT
from utils.decoding.generation import generate
from utils.decoding.token_rules import TokenRules


@overload
def greedy_search(
    model: LanguageModel[StateT],
    prompt: torch.Tensor,
    state: StateT | None = None,
    *,
    max_length: int = ...,
    min_length: int = ...,
    no_repeat_ngram_size: int | None = ...,
) -> list[list[int]]: ...


@overload
def greedy_search(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT,
    *,
    max_length: int = ...,
    min_length: int = ...,
    no_repeat_ngram_size: int | None = ...,
) -> list[list[int]]: ...


@torch.inference_mode()
def greedy_search(
    model: NextTokenModel[Any],
    prompt: torch.Tensor,
    state: Any = None,
    *,
    max_length: int = 100,
    min_length: int = 0,
    no_repeat_ngram_size: int | None = None,
) -> list[list[int]]:
    """Append the most probable next token repeatedly, until EOS or `max_length` new tokens.

    Source: ``eq-greedy`` (section 5.2).

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS. Shorter prompts are padded with PAD at the
        end; each is continued from its own end.
    state
        The model's state before the prompt: None for a language model that has read no tokens,
        ``model.begin(source)`` for an encoder–decoder.
    max_length
        The maximum number of new tokens.
    min_length
        The minimum number of new tokens, before which EOS is ruled out.
    no_repeat_ngram_size
        The size n of n-grams that may not occur twice in a text, prompt included; None for no such
        rule.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        If the prompt is not ids of the vocabulary, (B, T ≥ 1), padded at the end, the state belongs
        to another batch, a length is negative or the minimum above the maximum, the vocabulary has
        no EOS, or the logits define no distribution (NaN, +∞, or −∞ for every token).
    """
    return generate(
        model,
        prompt,
        state,
        choose_tokens=lambda logits, _: logits.argmax(-1),
        max_length=max_length,
        rules=TokenRules(min_length, no_repeat_ngram_size),
    )
