"""Generation token by token: the loop and the rules that greedy search and sampling have in common.

Greedy search and sampling differ only in how they choose the next token of a row; `generate` is
the loop around that choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch

from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.state import select_rows
from utils.models.contract import NextTokenModel, State

NEVER_GENERATED = (PAD, BOS)
"""Tokens that are never generated; their probability is set to zero before each choice."""

TokenChooser: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps logits (B, V) and all ids so far (B, N), prompt included, to the next tokens (B,)."""


def generate(
    model: NextTokenModel,
    prompt: torch.Tensor,
    state: State,
    *,
    choose_tokens: TokenChooser,
    max_length: int,
) -> list[list[int]]:
    """Extend each prompt by one chosen token at a time, until EOS or `max_length` new tokens.

    The prompt is read in one call; after that the model reads one token a call and keeps its state.
    Rows that have ended leave the batch.

    Parameters
    ----------
    model
        A language model in evaluation mode.
    prompt
        Ids (B, T) with T ≥ 1.
    state
        The model's state before the prompt, or None.
    choose_tokens
        The rule for the next token of each row.
    max_length
        The largest number of new tokens.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B rows, without EOS.

    Raises
    ------
    ValueError
        For a prompt that is not (B, T ≥ 1), a negative `max_length`, or a vocabulary without EOS.
    """
    check_prompt(prompt, max_length)
    sequences: list[list[int]] = [[] for _ in prompt]
    rows = torch.arange(len(prompt), device=prompt.device)  # (B,), those that have not ended
    ids = all_ids = prompt
    for _ in range(max_length if len(prompt) else 0):
        logits, state = model(ids, state)
        tokens = choose_tokens(allowed_logits(logits[:, -1]), all_ids)  # (B,)
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            if token != EOS:
                sequences[row].append(token)
        active = (tokens != EOS).nonzero()[:, 0]
        if len(active) == 0:
            break
        if len(active) < len(rows):
            state, rows, tokens = select_rows(state, active), rows[active], tokens[active]
            all_ids = all_ids[active]
        ids = tokens[:, None]  # (B, 1)
        all_ids = torch.cat([all_ids, ids], 1)  # (B, N + 1)
    return sequences


def allowed_logits(logits: torch.Tensor) -> torch.Tensor:
    """Return a copy of logits (B, V) in which those of `NEVER_GENERATED` are −∞.

    Raises
    ------
    ValueError
        If the vocabulary is too small to contain EOS.
    """
    if logits.shape[-1] <= EOS:
        raise ValueError(f"a vocabulary of {logits.shape[-1]} has no EOS (id {EOS}) and no words")
    logits = logits.clone()
    logits[:, list(NEVER_GENERATED)] = -math.inf
    return logits


def check_prompt(prompt: torch.Tensor, max_length: int) -> None:
    """Check the arguments that greedy search, sampling and beam search have in common.

    Parameters
    ----------
    prompt
        The ids to continue.
    max_length
        The largest number of new tokens.

    Raises
    ------
    ValueError
        Unless the prompt has the shape (B, T) with T ≥ 1 and `max_length` is not negative.
    """
    if prompt.dim() != 2 or prompt.shape[1] == 0:
        raise ValueError(
            f"a prompt is ids of shape (B, T) with T ≥ 1, got {tuple(prompt.shape)}; "
            "start from a column of BOS"
        )
    if max_length < 0:
        raise ValueError(f"max_length must not be negative, got {max_length}")
