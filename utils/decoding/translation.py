"""Translation of texts by an encoder–decoder, and decoding of many sources; section 5.2."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import torch

from utils.contract import ConditionalLanguageModel, StateT, needs_first_state
from utils.conversions import as_strings
from utils.data.checks import as_id_list
from utils.data.grouped_batches import group_by_length, map_groups
from utils.data.vocabulary import BOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import best_sequences
from utils.decoding.input_ids import check_ids_of_model
from utils.decoding.token_rules import TokenRules
from utils.runtime import device_of, evaluation_mode

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

    No source is padded, so no output depends on other sources.

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
        The maximum number of sources that are decoded together.

    Returns
    -------
    outputs : list
        What the search returns for each source, in the order of the sources.

    Raises
    ------
    ValueError
        If the model is not an encoder–decoder, a source has no tokens or an id outside the
        encoder's vocabulary, or `batch_size` is not a positive integer.
    """
    if not needs_first_state(model):
        raise ValueError(
            f"{type(model).__name__} is not an encoder–decoder: it has no begin() that reads a "
            "source; a language model continues a prompt, as by greedy_search or sample"
        )
    sources = [
        as_id_list(source, name=f"the ids of source {i}") for i, source in enumerate(sources)
    ]
    lengths = [len(source) for source in sources]
    if 0 in lengths:
        raise ValueError(f"source {lengths.index(0)} has no tokens; leave it out")
    check_ids_of_model(getattr(model, "encoder", None), itertools.chain(*sources))
    device = device_of(model)

    def decode(group: list[Sequence[int]]) -> Sequence[Output]:
        source = torch.tensor(group, device=device)  # (B, S)
        prompt = torch.full_like(source[:, :1], BOS)  # (B, 1)
        return search(model, prompt, model.begin(source))

    with evaluation_mode(model):
        return map_groups(decode, sources, group_by_length(lengths, batch_size=batch_size))


def translate(
    model: ConditionalLanguageModel[StateT],
    texts: Iterable[str],
    tokenizer: Tokenizer,
    *,
    beam: BeamConfig | None = None,
    max_length: int = 60,
    rules: TokenRules = TokenRules(),
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
        The options of beam search, whose best hypothesis is returned; None for greedy search.
    max_length
        The maximum number of tokens of a translation.
    rules
        Which tokens may come next, as for `beam_search`.
    batch_size
        The maximum number of texts that are translated together.

    Returns
    -------
    translations : list of str
        The translations, in the order of the texts.

    Raises
    ------
    ValueError
        If the model is not an encoder–decoder, `texts` is one text or an item is not a text, a text
        has no tokens or an id outside the encoder's vocabulary, `batch_size` is not a positive
        integer, `max_length` is not a non-negative integer, or the minimum length is above it.
    """
    sources = [tokenizer.encode(text) for text in as_strings(texts, name="texts")]
    search = partial(best_sequences, beam=beam, max_length=max_length, rules=rules)
    outputs = decode_sources(model, sources, search, batch_size=batch_size)
    return [tokenizer.decode(ids) for ids in outputs]
