"""The texts from which n-grams are counted: a running text, or sentences.

Used by ``utils.models.ngram_counts`` (section 2.1). A running text has one start, so that n-grams
of several BOS cost nothing. Every sentence has one, and KenLM (Heafield et al. 2013) puts one BOS
before each, so that an n-gram at the start of a sentence is counted at one length only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import NamedTuple, TypeAlias

import numpy as np
import torch

from utils.data.checks import check_ids_in_vocabulary
from utils.data.vocabulary import BOS, PAD

Ids: TypeAlias = Sequence[int] | np.ndarray | torch.Tensor
"""The token ids of one text, (N,)."""


class JoinedTexts(NamedTuple):
    """All texts in one array, with BOS before each.

    Parameters
    ----------
    tokens
        The ids, (N,).
    is_token
        True for the tokens of a text, False for the BOS before it, (N,) bool.
    text_numbers
        The number of the text of each token, (N,).
    are_sentences
        Whether the texts are sentences, not one running text.
    """

    tokens: np.ndarray
    is_token: np.ndarray
    text_numbers: np.ndarray
    are_sentences: bool


def join_texts(sequences: Ids | Iterable[Ids], *, order: int, vocab_size: int) -> JoinedTexts:
    """Join a running text or sentences into one array, with BOS before each.

    Parameters
    ----------
    sequences
        Ids of one running text, (N,), which gets order − 1 BOS; or a sequence of the ids of
        sentences, of which each gets one BOS, unless it begins with BOS itself.
    order
        The largest number of tokens of an n-gram.
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    texts : JoinedTexts
        The ids of all texts.

    Raises
    ------
    ValueError
        For ids outside the vocabulary, for a sentence with BOS after its first token or with PAD,
        and for what is not a collection.
    """
    if not isinstance(sequences, Iterable):
        raise ValueError(f"expected ids of a text or of sentences, got {sequences!r}")
    if not isinstance(sequences, Sized):  # such as a generator
        sequences = list(sequences)
    are_sentences = _are_sentences(sequences)
    texts = sequences if are_sentences else [sequences]
    arrays = [as_id_array(ids, vocab_size) for ids in texts]  # type: ignore[arg-type]
    if are_sentences:
        arrays = [_as_sentence(ids, number) for number, ids in enumerate(arrays)]
    padding = np.full(min(1, order - 1) if are_sentences else order - 1, BOS)
    lengths = [length for ids in arrays for length in (len(padding), len(ids))]
    return JoinedTexts(
        tokens=np.concatenate([part for ids in arrays for part in (padding, ids)]),
        is_token=np.repeat(np.tile([False, True], len(arrays)), lengths),
        text_numbers=np.repeat(np.arange(len(lengths)) // 2, lengths),
        are_sentences=are_sentences,
    )


def as_id_array(ids: Ids, vocab_size: int) -> np.ndarray:
    """Convert the ids of one text to an array, and check them.

    Parameters
    ----------
    ids
        The ids of one text, (N,).
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    array : numpy.ndarray
        The ids, (N,) int64.

    Raises
    ------
    ValueError
        For anything but one row of integers, and for ids outside 0 … `vocab_size` − 1.
    """
    array = ids.cpu().numpy() if isinstance(ids, torch.Tensor) else np.asarray(ids)
    array = array.astype(np.int64) if array.size == 0 else array
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"expected ids of shape (N,); got {array.dtype} {array.shape}")
    check_ids_in_vocabulary(array, vocab_size)
    return array.astype(np.int64)


def _are_sentences(sequences: Ids | Sequence[Ids]) -> bool:
    """Return whether the ids are those of several texts, and not of one."""
    if isinstance(sequences, np.ndarray | torch.Tensor):
        return sequences.ndim == 2 and len(sequences) > 0
    return len(sequences) > 0 and np.ndim(sequences[0]) == 1


def _as_sentence(ids: np.ndarray, number: int) -> np.ndarray:
    """Return a sentence without the BOS that it may begin with.

    Raises
    ------
    ValueError
        For another BOS, and for padding, which would be counted as a word.
    """
    if PAD in ids:
        raise ValueError(
            f"sentence {number} has PAD (id {PAD}), which would be counted like a word: give the "
            "sentences as lists of their own lengths, not padded in one tensor"
        )
    ids = ids[1:] if len(ids) and ids[0] == BOS else ids
    if BOS in ids:
        raise ValueError(
            f"sentence {number} has BOS (id {BOS}) after its first token: cut it there, or give a "
            "running text as one sequence of ids"
        )
    return ids
