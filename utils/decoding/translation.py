"""Decoding a list of sources with an encoder–decoder model, and translating texts.

Introduced in section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import torch

from utils.data.batches import group_by_length
from utils.data.vocabulary import BOS
from utils.decoding.search import BeamConfig, beam_search, greedy
from utils.models.contract import ConditionalLanguageModel, State
from utils.runtime import device_of

if TYPE_CHECKING:
    from utils.data.tokenizers import Tokenizer

Answer = TypeVar("Answer")
Search: TypeAlias = Callable[[ConditionalLanguageModel, torch.Tensor, State], Sequence[Answer]]
"""Maps a model, a prompt (B, T) and the state before it to B answers."""


@torch.inference_mode()
def decode_sources(
    model: ConditionalLanguageModel,
    sources: Sequence[Sequence[int]],
    search: Search[Answer],
    *,
    batch_size: int = 100,
) -> list[Answer]:
    """Search for the answer to each source, in batches of sources of equal length.

    No source is padded, so an answer does not depend on the other sources.

    Parameters
    ----------
    model
        An encoder–decoder in evaluation mode.
    sources
        The ids of each source.
    search
        `greedy` or `beam_search`, with its options fixed by ``functools.partial``.
    batch_size
        The largest number of sources that are encoded and searched together.

    Returns
    -------
    list
        The answer of the search for each source, in the order of the sources.

    Raises
    ------
    ValueError
        If a source has no tokens.
    """
    lengths = [len(source) for source in sources]
    if 0 in lengths:
        raise ValueError(f"source {lengths.index(0)} has no tokens; leave it out")
    device = device_of(cast(torch.nn.Module, model))
    answers: dict[int, Answer] = {}
    for indices in group_by_length(lengths, batch_size=batch_size):
        source = torch.tensor([list(sources[i]) for i in indices], device=device)  # (B, S)
        prompt = torch.full_like(source[:, :1], BOS)  # (B, 1)
        batch_answers = search(model, prompt, model.encode(source))
        answers.update(zip(indices, batch_answers, strict=True))
    return [answers[i] for i in range(len(sources))]


def translate(
    model: ConditionalLanguageModel,
    sources: Sequence[str],
    tokenizer: Tokenizer,
    *,
    beam: BeamConfig | None = None,
    max_length: int = 60,
    batch_size: int = 100,
) -> list[str]:
    """Translate each of the texts `sources`.

    Parameters
    ----------
    model
        An encoder–decoder in evaluation mode.
    sources
        The texts to translate.
    tokenizer
        Encodes the sources and decodes the answers.
    beam
        How to search: beam search with these options, of which the best answer is taken; None for
        greedy search.
    max_length
        The largest number of tokens of a translation.
    batch_size
        The largest number of sources that are translated together.

    Returns
    -------
    list of str
        The translations, in the order of the sources.

    Raises
    ------
    ValueError
        If a source has no tokens.
    """

    def search(
        model: ConditionalLanguageModel, prompt: torch.Tensor, state: State
    ) -> list[list[int]]:
        if beam is None:
            return greedy(model, prompt, state, max_length=max_length)
        hypotheses = beam_search(model, prompt, state, beam, max_length=max_length)
        return [row[0].ids for row in hypotheses]

    ids = [tokenizer.encode(text) for text in sources]
    answers = decode_sources(model, ids, search, batch_size=batch_size)
    return [tokenizer.decode(answer) for answer in answers]
