"""Random strings to copy, and what is measured on new ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from utils.data.vocabulary import BOS, EOS, SPECIAL_TOKENS

LETTERS, LONGEST, BEYOND = 16, 8, 4  # letters of the alphabet; longest training string, and more
VOCAB_SIZE = len(SPECIAL_TOKENS) + LETTERS
LETTER_BITS = math.log2(LETTERS)
SELECTION, REPORTING = 98, 99  # seeds of the strings that choose rates, and that report
NUM_STRINGS = 500  # of each length in a measurement


class Strings(NamedTuple):
    """Strings of one length for each of M networks.

    Parameters
    ----------
    source
        What the encoder reads, (M, B, n).
    inputs, targets
        What the decoder reads, BOS and the letters, and is to write, the letters and EOS: each
        (M, B, n + 1).
    """

    source: torch.Tensor
    inputs: torch.Tensor
    targets: torch.Tensor


def make_strings(letters: torch.Tensor, reversed_source: Sequence[bool]) -> Strings:
    """Return the batch of `letters` (M, B, n); networks of `reversed_source` read from the end."""
    edge = torch.ones_like(letters[..., :1])
    is_reversed = torch.tensor(reversed_source)[:, None, None]
    return Strings(
        torch.where(is_reversed, letters.flip(-1), letters),
        torch.cat([BOS * edge, letters], -1),
        torch.cat([letters, EOS * edge], -1),
    )


def training_letters(
    seeds: Sequence[int], step: int, *, batch_size: int, length: int | None = None
) -> torch.Tensor:
    """Draw the letters of one training step, (M, B, n), for networks with these seeds.

    Parameters
    ----------
    seeds
        The seed of each network; equal seeds give equal strings.
    step
        The step. It alone determines the length, so that all networks have the same.
    batch_size
        Strings B for each network.
    length
        The length n; by default it is drawn from 1 to `LONGEST`.

    Returns
    -------
    letters : torch.Tensor
        Ids of letters, int64.
    """
    if length is None:
        length = int(np.random.default_rng(step).integers(1, LONGEST + 1))
    drawn = {
        seed: np.random.default_rng([seed, step]).integers(
            len(SPECIAL_TOKENS), VOCAB_SIZE, (batch_size, length)
        )
        for seed in set(seeds)
    }
    return torch.from_numpy(np.stack([drawn[seed] for seed in seeds]))


def measured_letters(split: int, length: int) -> torch.Tensor:
    """Draw the letters of a measurement, (NUM_STRINGS, n): the same for all networks."""
    rng = np.random.default_rng([split, length])
    shape = (NUM_STRINGS, length)
    return torch.from_numpy(rng.integers(len(SPECIAL_TOKENS), VOCAB_SIZE, shape))


class CopyScores(NamedTuple):
    """How much of strings of one length n M networks copy.

    Parameters
    ----------
    bits
        Bits read of a string, (M,): a lower bound of the mutual information of string and vector.
    exact
        The share of strings that come back letter for letter and then end, (M,).
    by_position
        The share of right letters at each position, (M, n).
    """

    bits: torch.Tensor
    exact: torch.Tensor
    by_position: torch.Tensor


def read(logits: torch.Tensor, targets: torch.Tensor) -> CopyScores:
    """Measure teacher-forced `logits` (M, B, n + 1, V) of `targets` (M, B, n + 1).

    Source: ``eq-bits-read`` (section 2.3).
    """
    letters = targets[..., :-1] - len(SPECIAL_TOKENS)  # (M, B, n)
    of_letters = logits[..., :-1, len(SPECIAL_TOKENS) :]  # (M, B, n, LETTERS)
    is_right = logits.argmax(-1) == targets
    right_letters = of_letters.argmax(-1) == letters
    return CopyScores(
        bits_read(of_letters, letters),
        is_right.all(-1).double().mean(-1),
        right_letters.double().mean(1),
    )


def bits_read(logits: torch.Tensor, letters: torch.Tensor) -> torch.Tensor:
    """Return the bits read of a string, (M,), from logits (M, B, n, LETTERS) of its letters.

    Source: ``eq-bits-read`` (section 2.3).
    """
    log_q = logits.double().log_softmax(-1).gather(-1, letters[..., None])[..., 0]  # (M, B, n)
    return letters.shape[-1] * LETTER_BITS + log_q.sum(-1).mean(-1) / math.log(2)


def copy_scores_by_length(
    predict: Callable[[Strings], torch.Tensor],
    reversed_source: Sequence[bool],
    *,
    split: int,
    lengths: Sequence[int],
) -> dict[int, CopyScores]:
    """Measure networks on the test strings of each length.

    Parameters
    ----------
    predict
        Returns the logits (M, B, n + 1, V) for a batch.
    reversed_source
        For each network, whether it reads the source from its end.
    split
        SELECTION or REPORTING.
    lengths
        Lengths of strings.

    Returns
    -------
    copy_scores_by_length : dict of int to Reading
        What is read, by length.
    """
    result = {}
    with torch.no_grad():
        for length in lengths:
            letters = measured_letters(split, length).expand(len(reversed_source), -1, -1)
            strings = make_strings(letters, reversed_source)
            result[length] = read(predict(strings), strings.targets)
    return result


def bits_not_read(by_length: Mapping[int, CopyScores]) -> list[float]:
    """Return, for each network, the bits not read of a string, in the mean of the lengths."""
    unread = [length * LETTER_BITS - reading.bits for length, reading in by_length.items()]
    means: list[float] = torch.stack(unread).mean(0).tolist()
    return means
