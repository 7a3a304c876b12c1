"""Validation of the inputs of CTC: log-probabilities, numbers of steps, and texts.

``utils.speech.ctc`` and the search thus reject what would give a wrong number, such as the id of
another vocabulary, for which torch's own loss reads beyond its memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

from utils.conversions import as_integers
from utils.data.batches import IGNORE_INDEX
from utils.data.checks import as_id_tensor
from utils.data.vocabulary import BOS, EOS, PAD
from utils.metrics.likelihood import MAX_LOG_PROB
from utils.models.masks import length_mask

NEVER_IN_TEXTS = {PAD: "the blank", BOS: "BOS", EOS: "EOS"}
"""Ids that a text of CTC cannot contain, and what they stand for."""


def check_log_probs(log_probs: torch.Tensor, *, name: str = "log_probs") -> None:
    """Check that a tensor can hold the log-probabilities (S, V) of one clip.

    Parameters
    ----------
    log_probs
        The tensor.
    name
        Its name in the message.

    Raises
    ------
    ValueError
        If `log_probs` has another shape, no step, NaN, or numbers above 0, such as logits.
    """
    _check_shape(log_probs, name, "(S, V)")
    _check_values(log_probs[None], torch.tensor([len(log_probs)]), [name])


def pad_clips(log_probs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack the log-probabilities (S, V) of B clips as (B, S, V) float64 on the CPU.

    After its end, a clip has only blanks.

    Raises
    ------
    ValueError
        If `check_log_probs` rejects a clip, or the clips differ in V.
    """
    for i, clip in enumerate(log_probs):
        check_log_probs(clip, name=f"clip {i}")
        if clip.shape[1] != log_probs[0].shape[1]:
            sizes = f"{log_probs[0].shape[1]} and {clip.shape[1]}"
            raise ValueError(f"clips 0 and {i} have vocabularies of different sizes, {sizes}")
    clips = [clip.cpu().double() for clip in log_probs]
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    for row, clip in zip(padded, clips, strict=True):
        row[len(clip) :] = -math.inf
        row[len(clip) :, PAD] = 0.0  # the blank
    return padded


def check_lengths(lengths: torch.Tensor, num_steps: int) -> None:
    """Check that the lengths (B,) of the rows of a padded batch are from 1 to its number of steps.

    Raises
    ------
    ValueError
        If a length is smaller or larger; the message names the first row with such a length.
    """
    for row, length in enumerate(as_id_tensor(lengths, name="lengths").tolist()):
        if not 1 <= length <= num_steps:
            raise ValueError(
                f"row {row} has a length of {length}; lengths must be from 1 to {num_steps}, the "
                "number of steps of the batch"
            )


def as_text(
    ids: Sequence[int] | torch.Tensor, vocab_size: int, *, name: str = "the text"
) -> list[int]:
    """Return the ids of a text as a list, after a check that each is that of a spoken token.

    Parameters
    ----------
    ids
        The L tokens of the text.
    vocab_size
        The size V of the recognizer's vocabulary.
    name
        The text's name in the message.

    Returns
    -------
    text : list of int
        The L ids.

    Raises
    ------
    ValueError
        If an id is not an integer from 0 to V − 1, or is that of the blank, BOS or EOS.
    """
    text = as_integers(ids, name=f"the ids of {name}")
    for position, token in enumerate(text):
        if not 0 <= token < vocab_size:
            raise ValueError(
                f"{name} has {token} at position {position}; the recognizer has the ids 0 to "
                f"{vocab_size - 1}: encode texts with its own tokenizer"
            )
        if token in NEVER_IN_TEXTS:
            raise ValueError(
                f"{name} has id {token}, {NEVER_IN_TEXTS[token]}, at position {position}; "
                "leave it out: texts of CTC consist only of spoken tokens"
            )
    return text


def as_texts(targets: torch.Tensor, vocab_size: int) -> list[list[int]]:
    """Return the texts of a batch as lists without padding, after the check of `as_text`.

    Parameters
    ----------
    targets
        The ids of each text, (B, L), padded with IGNORE_INDEX.
    vocab_size
        The size V of the recognizer's vocabulary.

    Returns
    -------
    texts : list of list of int
        The ids of each row.

    Raises
    ------
    ValueError
        If the ids are not integers, a row has padding before a token, or `as_text` rejects an id.
    """
    texts = []
    for row, padded in enumerate(as_id_tensor(targets, name="targets").tolist()):
        length = len(padded)
        while length and padded[length - 1] == IGNORE_INDEX:
            length -= 1
        if IGNORE_INDEX in padded[:length]:
            raise ValueError(
                f"row {row} of targets has IGNORE_INDEX before a token; pad at the end only"
            )
        texts.append(as_text(padded[:length], vocab_size, name=f"row {row} of targets"))
    return texts


def as_batch_texts(
    log_probs: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor
) -> list[list[int]]:
    """Return the texts of a batch, after a check that its log-probabilities fit them.

    Parameters
    ----------
    log_probs
        The log-probabilities, (B, S, V). Steps beyond the length of a row are not read.
    lengths
        The number of valid steps of each row, (B,), from 1 to S.
    targets
        The ids of each text, (B, L), padded with IGNORE_INDEX.

    Returns
    -------
    texts : list of list of int
        The ids of each row.

    Raises
    ------
    ValueError
        If a shape is wrong or has no row, `as_texts` rejects a text or it needs more steps than its
        row has, a length is not from 1 to S, or a valid step has NaN or a number above 0.
    """
    _check_shape(log_probs, "log_probs", "(B, S, V)")
    B, S, V = log_probs.shape
    if lengths.shape != (B,) or targets.ndim != 2 or len(targets) != B:
        raise ValueError(
            f"lengths must be ({B},) and targets ({B}, L), as log_probs has {B} rows; "
            f"got {tuple(lengths.shape)} and {tuple(targets.shape)}"
        )
    texts = as_texts(targets, V)
    for row, (text, length) in enumerate(zip(texts, lengths.tolist(), strict=True)):
        needed = count_needed_steps(text)
        if 0 < length < needed:
            raise ValueError(f"row {row} has {length} steps for {needed} tokens and blanks")
    check_lengths(lengths, S)
    _check_values(log_probs, lengths, [f"row {row}" for row in range(B)])
    return texts


def count_needed_steps(ids: Sequence[int]) -> int:
    """Return the fewest steps that can give a text: one a token, one a blank between equal ones."""
    return len(ids) + sum(token == following for token, following in itertools.pairwise(ids))


def _check_shape(log_probs: torch.Tensor, name: str, shape: str) -> None:
    """Raise ValueError if a tensor does not have the dimensions of `shape`, or one has size 0."""
    if not isinstance(log_probs, torch.Tensor):
        raise ValueError(f"{name} must be a tensor {shape}, got {type(log_probs).__name__}")
    if (
        not log_probs.is_floating_point()
        or log_probs.ndim != shape.count(",") + 1
        or 0 in log_probs.shape
    ):
        raise ValueError(
            f"{name} must be floating-point numbers of shape {shape}, with no size of 0; got "
            f"{log_probs.dtype} of shape {tuple(log_probs.shape)}"
        )


def _check_values(log_probs: torch.Tensor, lengths: torch.Tensor, names: Sequence[str]) -> None:
    """Raise ValueError for NaN or a number above 0 at a valid step of `log_probs` (B, S, V)."""
    is_valid = length_mask(lengths.to(log_probs.device), log_probs.shape[1])  # (B, S)
    is_wrong = ~(log_probs <= MAX_LOG_PROB).all(-1) & is_valid  # (B, S); NaN is not <= 0
    if not is_wrong.any():
        return
    row, step = is_wrong.nonzero()[0].tolist()
    if log_probs[row, step].isnan().any():
        raise ValueError(
            f"{names[row]} has NaN at step {step}: check the clip and the weights for NaN"
        )
    raise ValueError(
        f"{names[row]} has {float(log_probs[row, step].max()):.3g} at step {step}; a "
        "log-probability is at most 0: apply log_softmax(-1) to logits"
    )
