"""Generation token by token: the loop, and what greedy search, sampling and beam search share.

Greedy search and sampling differ only in how they choose the next token of a row; `generate` is
the loop around that choice. Prompts of different lengths are decoded together: the first call reads
as many tokens as all prompts have; then each longer prompt is read token by token (forced
decoding), while the shorter ones are already being continued.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from utils.arguments import check_integer
from utils.contract import NextTokenModel, StateT, needs_first_state
from utils.data.checks import as_id_tensor, is_padded_at_end
from utils.data.vocabulary import EOS, PAD
from utils.decoding.input_ids import check_ids_of_model
from utils.decoding.model_state import check_batch_size, select_rows
from utils.decoding.token_rules import TokenRules, allowed_logits
from utils.runtime import evaluation_mode
from utils.states import State

TokenChooser: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps logits (B, V) and all ids so far (B, N), prompt included, to the next tokens (B,)."""

NO_STATE: Any = None
"""The default state of a search: that of a language model that has read no tokens. A model that
starts from another state is refused by `check_prompt_and_state`, as a type checker cannot tell."""


def generate(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT,
    *,
    choose_tokens: TokenChooser,
    max_length: int,
    rules: TokenRules,
) -> list[list[int]]:
    """Extend each prompt by one chosen token at a time, until EOS or `max_length` new tokens.

    After the first call the model reads one token per call and keeps its state. Rows that have
    ended leave the batch.

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    prompt
        Ids (B, T) with T ≥ 1, shorter prompts padded with PAD at the end.
    state
        The model's state before the prompt, or None.
    choose_tokens
        Chooses the next token of each row.
    max_length
        The maximum number of new tokens.
    rules
        The rules that exclude tokens from the choice.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B rows, without EOS.

    Raises
    ------
    ValueError
        If the prompt is not ids of the vocabulary, (B, T ≥ 1), padded at the end, the state belongs
        to another batch, `max_length` is negative or below the minimum length, the logits define
        no distribution, or the rules leave a row without a token.
    """
    prompt = check_prompt_and_state(model, prompt, state, max_length=max_length, rules=rules)
    texts = _Texts(prompt, max_length=max_length, rules=rules)
    ids = texts.all_ids
    with evaluation_mode(model):
        while texts.rows:
            logits, state = model(ids, state)
            tokens = texts.next_tokens(allowed_logits(logits[:, -1]), choose_tokens)  # (B,)
            active = texts.append(tokens)
            if 0 < len(active) < len(tokens):
                indices = torch.tensor(active, device=tokens.device)
                state, tokens = select_rows(state, indices), tokens[indices]
            ids = tokens[:, None]  # (B, 1)
    return texts.sequences


class _Texts:
    """The texts that `generate` writes, and their rows in the batch."""

    def __init__(self, prompt: torch.Tensor, *, max_length: int, rules: TokenRules) -> None:
        self.max_length, self.rules = max_length, rules
        self.sequences: list[list[int]] = [[] for _ in prompt]
        self.rows = list(range(len(prompt) if max_length else 0))  # of texts that have not ended
        self.prompt = prompt  # (B, T), of these rows
        self.prompt_lengths = prompt_lengths(prompt)  # of these rows
        self.all_ids = self.prompt[:, : min(self.prompt_lengths, default=0)]  # (B, N)

    def next_tokens(self, logits: torch.Tensor, choose_tokens: TokenChooser) -> torch.Tensor:
        """Return the next token of each row, (B,): from its prompt, then chosen by `logits`."""
        N = self.all_ids.shape[1]
        new_lengths = [N - length for length in self.prompt_lengths]
        new_rows = [i for i, length in enumerate(new_lengths) if length >= 0]
        if len(new_rows) == len(new_lengths):
            logits = self.rules.apply_or_raise(logits, self.all_ids, new_lengths)
            return choose_tokens(logits, self.all_ids)
        tokens = self.prompt[:, N].clone()  # (B,)
        if new_rows:
            all_ids = self.all_ids[new_rows]
            new_lengths = [new_lengths[i] for i in new_rows]
            logits = self.rules.apply_or_raise(logits[new_rows], all_ids, new_lengths)
            tokens[new_rows] = choose_tokens(logits, all_ids)
        return tokens

    def append(self, tokens: torch.Tensor) -> list[int]:
        """Append `tokens` (B,) to the texts; return the indices of the rows that continue."""
        N = self.all_ids.shape[1]
        active = []
        for i, token in enumerate(tokens.tolist()):
            if self.prompt_lengths[i] <= N:  # otherwise the token belongs to the prompt
                if token == EOS:
                    continue
                self.sequences[self.rows[i]].append(token)
            if len(self.sequences[self.rows[i]]) < self.max_length:
                active.append(i)
        self.all_ids = torch.cat([self.all_ids, tokens[:, None]], 1)  # (B, N + 1)
        if len(active) < len(tokens):
            self.prompt, self.all_ids = self.prompt[active], self.all_ids[active]
            self.rows = [self.rows[i] for i in active]
            self.prompt_lengths = [self.prompt_lengths[i] for i in active]
        return active


def prompt_lengths(prompt: torch.Tensor) -> list[int]:
    """Return the number of tokens of each of B prompts (B, T), padded with PAD at the end."""
    return (prompt != PAD).sum(1).tolist()


def check_prompt_and_state(
    model: object, prompt: torch.Tensor, state: State, *, max_length: int, rules: TokenRules
) -> torch.Tensor:
    """Check the arguments that greedy search, sampling and beam search have in common.

    Parameters
    ----------
    model
        The model; an encoder–decoder or a decoder alone needs a state.
    prompt
        The ids to continue.
    state
        The model's state before them.
    max_length
        The maximum number of new tokens.
    rules
        Their minimum length must not be above `max_length`.

    Returns
    -------
    prompt : torch.Tensor
        The ids as int64, (B, T).

    Raises
    ------
    ValueError
        Unless the prompt is integers (B, T) with T ≥ 1, each row one or more tokens followed only
        by PAD, no id outside the model's vocabulary; the state is given if needed, and has B rows;
        and `max_length` is a non-negative integer, not below the minimum length.
    """
    if state is None and needs_first_state(model):
        raise ValueError(
            f"a search of {type(model).__name__} starts from state = model.begin(source); of a "
            "decoder alone, from model.begin(memory)"
        )
    check_integer(minimum=0, max_length=max_length)
    if rules.min_length > max_length:
        raise ValueError(f"min_length is {rules.min_length}, above max_length, {max_length}")
    if not isinstance(prompt, torch.Tensor) or prompt.dim() != 2 or prompt.shape[1] == 0:
        shape = tuple(prompt.shape) if isinstance(prompt, torch.Tensor) else type(prompt).__name__
        raise ValueError(
            f"a prompt is a tensor of ids of shape (B, T) with T ≥ 1, got {shape}; "
            "start from a column of BOS, and make a single text a batch: ids[None]"
        )
    prompt = as_id_tensor(prompt, name="the ids of a prompt")
    is_token = prompt != PAD  # (B, T)
    if not is_token[:, 0].all() or not is_padded_at_end(is_token):
        raise ValueError(
            "a prompt begins with PAD or has PAD between its tokens: pad a shorter prompt only at "
            "the end, and start an empty one from BOS"
        )
    check_ids_of_model(model, prompt)
    check_batch_size(state, len(prompt))
    return prompt
