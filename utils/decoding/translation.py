"""Decoding of many sources by an encoder–decoder, and translation of texts.

Introduced in section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import torch

from utils.data.grouping import group_by_length, map_groups
from utils.data.vocabulary import BOS
from utils.decoding.beam_search import BeamConfig
from utils.decoding.generation import evaluating
from utils.decoding.search import best_sequences
from utils.models.contract import ConditionalLanguageModel, StateT
from utils.runtime import device_of

if TYPE_CHECKING:
    from utils.data.tokenizers import Tokenizer

Output = TypeVar("Output")
Search: TypeAlias = Callable[
    [ConditionalLanguageModel[StateT], torch.Tensor, StateT], Sequence[Output]
]
"""Maps a model, a prompt (B, T) and the state before it to B outputs."""


@torch.inference_mode()
def decode_sources(
    model: ConditionalLanguageModel[StateT],
    sources: Sequence[Sequence[int]],
    search: Search[StateT, Output],
    *,
    batch_size: int = 100,
) -> list[Output]:
    """Search for the output of each source, in batches of sources of equal length.

    No source is padded, so an output does not depend on the other sources.

    Parameters
    ----------
    model
        An encoder–decoder; it is in evaluation mode during the call.
    sources
        The ids of each source.
    search
        `greedy_search`, `beam_search` or `best_sequences`, with its options fixed by
        ``functools.partial``.
    batch_size
        The largest number of sources that are encoded and searched together.

    Returns
    -------
    outputs : list
        What the search returns for each source, in the order of the sources.

    Raises
    ------
    ValueError
        If a source has no tokens, or `batch_size` is no positive whole number.
    """
    lengths = [len(source) for source in sources]
    if 0 in lengths:
        raise ValueError(f"source {lengths.index(0)} has no tokens; leave it out")
    device = device_of(cast(torch.nn.Module, model))

    def decode(group: list[Sequence[int]]) -> Sequence[Output]:
        source = torch.tensor([list(ids) for ids in group], device=device)  # (B, S)
        prompt = torch.full_like(source[:, :1], BOS)  # (B, 1)
        return search(model, prompt, model.encode(source))

    with evaluating(model):
        return map_groups(decode, sources, group_by_length(lengths, batch_size=batch_size))


def translate(
    model: ConditionalLanguageModel[StateT],
    texts: Sequence[str],
    tokenizer: Tokenizer,
    *,
    beam: BeamConfig | None = None,
    max_length: int = 60,
    min_length: int = 0,
    no_repeat_ngram_size: int | None = None,
    batch_size: int = 100,
) -> list[str]:
    """Translate texts.

    Parameters
    ----------
    model
        An encoder–decoder; it is in evaluation mode during the call.
    texts
        The texts to translate.
    tokenizer
        Encodes the texts and decodes the translations.
    beam
        Options of beam search, whose hypothesis of highest score is taken; None for greedy search.
    max_length
        The largest number of tokens of a translation.
    min_length
        The least number of them, before which EOS is ruled out.
    no_repeat_ngram_size
        A size n: no translation contains an n-gram twice; None for no such rule.
    batch_size
        The largest number of texts that are translated together.

    Returns
    -------
    translations : list of str
        The translations, in the order of the texts.

    Raises
    ------
    ValueError
        If a text has no tokens, `batch_size` is no positive whole number, a length is negative, or
        `min_length` is above `max_length`.
    """
    sources = [tokenizer.encode(text) for text in texts]
    search = partial(
        best_sequences,
        beam=beam,
        max_length=max_length,
        min_length=min_length,
        no_repeat_ngram_size=no_repeat_ngram_size,
    )
    outputs = decode_sources(model, sources, search, batch_size=batch_size)
    return [tokenizer.decode(ids) for ids in outputs]
