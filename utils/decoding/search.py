"""Search for the most probable sequence: greedy search, and one call for greedy or beam search.

Greedy search is derived in section 5.2. Beam search is in ``utils.decoding.beam_search``.
"""

from __future__ import annotations

import torch

from utils.decoding.beam_search import BeamConfig, beam_search
from utils.decoding.generation import generate
from utils.models.contract import NextTokenModel, State


@torch.inference_mode()
def greedy_search(
    model: NextTokenModel, prompt: torch.Tensor, state: State = None, *, max_length: int = 100
) -> list[list[int]]:
    """Choose the most probable next token again and again, until EOS or `max_length` tokens.

    Source: ``eq-greedy`` (section 5.2).

    Parameters
    ----------
    model
        A language model in evaluation mode.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS.
    state
        The model's state before the prompt: that of ``model.encode(source)``, or None.
    max_length
        The largest number of new tokens.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        For a prompt that is not (B, T ≥ 1), a negative `max_length`, or a vocabulary without EOS.
    """
    return generate(
        model,
        prompt,
        state,
        choose_tokens=lambda logits, _: logits.argmax(-1),
        max_length=max_length,
    )


def best_sequences(
    model: NextTokenModel,
    prompt: torch.Tensor,
    state: State = None,
    beam: BeamConfig | None = None,
    *,
    max_length: int = 100,
) -> list[list[int]]:
    """Search for the best sequence after each prompt, greedily or with a beam.

    Parameters
    ----------
    model
        A language model in evaluation mode.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS.
    state
        The model's state before the prompt: that of ``model.encode(source)``, or None.
    beam
        Options of beam search, whose hypothesis of highest score is taken; None for greedy search.
    max_length
        The largest number of new tokens.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        For a prompt that is not (B, T ≥ 1), a negative `max_length`, or a vocabulary without EOS.
    """
    if beam is None:
        return greedy_search(model, prompt, state, max_length=max_length)
    hypotheses = beam_search(model, prompt, state, beam, max_length=max_length)
    return [ranked[0].ids for ranked in hypotheses]
