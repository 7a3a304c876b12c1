"""Search for the most probable sequence: greedy search, and one call for greedy or beam search.

Greedy search is derived in section 5.2. Beam search is in ``utils.decoding.beam_search``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, overload

import torch

from utils.decoding.beam_search import BeamConfig, beam_search
from utils.decoding.generation import generate
from utils.decoding.rules import TokenRules
from utils.models.contract import LanguageModel, NextTokenModel, StateT


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
    """Choose the most probable next token again and again, until EOS or `max_length` tokens.

    Source: ``eq-greedy`` (section 5.2).

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS. Shorter prompts are padded with PAD at the
        end; each is continued from its own end.
    state
        The model's state before the prompt: of a language model None for no tokens, of an
        encoder–decoder that of ``model.encode(source)``.
    max_length
        The largest number of new tokens.
    min_length
        The least number of new tokens, before which EOS is ruled out.
    no_repeat_ngram_size
        A size n: no n-gram of a text, prompt included, is completed for the second time; None for
        no such rule.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        For a prompt that is not whole numbers (B, T ≥ 1) padded at the end, a state of another
        batch, a length that is negative or a minimum above the maximum, a vocabulary without EOS,
        or logits that are no distribution (NaN, +∞, or −∞ for every token).
    """
    return generate(
        model,
        prompt,
        state,
        choose_tokens=lambda logits, _: logits.argmax(-1),
        max_length=max_length,
        rules=TokenRules(min_length, no_repeat_ngram_size),
    )


@overload
def best_sequences(
    model: LanguageModel[StateT],
    prompt: torch.Tensor,
    state: StateT | None = None,
    beam: BeamConfig | None = ...,
    *,
    max_length: int = ...,
    min_length: int = ...,
    no_repeat_ngram_size: int | None = ...,
) -> list[list[int]]: ...


@overload
def best_sequences(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT,
    beam: BeamConfig | None = ...,
    *,
    max_length: int = ...,
    min_length: int = ...,
    no_repeat_ngram_size: int | None = ...,
) -> list[list[int]]: ...


def best_sequences(
    model: NextTokenModel[Any],
    prompt: torch.Tensor,
    state: Any = None,
    beam: BeamConfig | None = None,
    *,
    max_length: int = 100,
    min_length: int = 0,
    no_repeat_ngram_size: int | None = None,
) -> list[list[int]]:
    """Search for the best sequence after each prompt, greedily or with a beam.

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS. Shorter prompts are padded with PAD at the
        end; each is continued from its own end.
    state
        The model's state before the prompt: of a language model None for no tokens, of an
        encoder–decoder that of ``model.encode(source)``.
    beam
        Options of beam search, whose hypothesis of highest score is taken; None for greedy search.
    max_length
        The largest number of new tokens.
    min_length
        The least number of new tokens, before which EOS is ruled out.
    no_repeat_ngram_size
        A size n: no n-gram of a text, prompt included, is completed for the second time; None for
        no such rule.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        For a prompt that is not whole numbers (B, T ≥ 1) padded at the end, a state of another
        batch, a length that is negative or a minimum above the maximum, a vocabulary without EOS,
        or logits that are no distribution (NaN, +∞, or −∞ for every token).
    """
    lengths = {"max_length": max_length, "min_length": min_length}
    if beam is None:
        return greedy_search(
            model, prompt, state, **lengths, no_repeat_ngram_size=no_repeat_ngram_size
        )
    # the search may end sooner when the best hypothesis is all that is asked for
    best = replace(beam, num_hypotheses=1)
    hypotheses = beam_search(
        model, prompt, state, best, **lengths, no_repeat_ngram_size=no_repeat_ngram_size
    )
    return [ranked[0].ids for ranked in hypotheses]
