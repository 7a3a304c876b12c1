"""New decoders for the vectors of frozen encoders.

A decoder that reads a frozen vector can differ from the one that was trained with the encoder in
three ways: in what it computes, in the strings it learns to read, and in the encoder, which may be
untrained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks.bottleneck.networks import Memory, Stack
from benchmarks.bottleneck.task import (
    LONGEST,
    REPORTING,
    SELECTION,
    Strings,
    bits_not_read,
    copy_scores_by_length,
    make_strings,
    training_letters,
)
from benchmarks.bottleneck.training import BATCH_SIZE, minimize, summed_loss

NEW_DECODER_STEPS = 500
NEW_SEED = 1000  # added to an encoder's seed for the parameters and the strings of its readers


@dataclass(frozen=True, kw_only=True)
class NewDecoder:
    """A decoder of frozen vectors, and the strings that it learns to read.

    Parameters
    ----------
    memory
        What the decoder is given, as in `Network`: "start" is the decoder that encoders are trained
        with, "vector" one that has the vector in each step and a hidden layer.
    longest_only
        Whether all training strings have `LONGEST` letters, and not 1 to `LONGEST`.
    trained_encoder
        Whether the encoder is trained, with a decoder of its own, before it is frozen.
    times
        How many times `NEW_DECODER_STEPS` steps it is trained for.
    """

    memory: Memory = "start"
    longest_only: bool = False
    trained_encoder: bool = True
    times: int = 1

    @property
    def lengths(self) -> list[int]:
        """The lengths of its training strings."""
        return [LONGEST] if self.longest_only else list(range(1, LONGEST + 1))


NEW_DECODERS = {
    "plain decoder, lengths 1 to 8": NewDecoder(),
    "plain decoder, lengths 1 to 8, eight times": NewDecoder(times=LONGEST),  # 8 letters as often
    "plain decoder, 8 letters only": NewDecoder(longest_only=True),
    "stronger decoder, lengths 1 to 8": NewDecoder(memory="vector"),
    "stronger decoder, 8 letters only": NewDecoder(memory="vector", longest_only=True),
    "untrained encoder, 8 letters only": NewDecoder(longest_only=True, trained_encoder=False),
}


def train_new_decoders(
    reader: NewDecoder, encoders: Stack, *, rates: Sequence[float], steps: int
) -> list[tuple[float, float]]:
    """Train a new decoder for each of M encoders, and measure the bits that it reads of a string.

    Parameters
    ----------
    reader
        The decoder and its strings.
    encoders
        The networks whose vectors are read. They stay as they are.
    rates
        The learning rate of each reader.
    steps
        Number of steps.

    Returns
    -------
    bits : list of tuple of float
        For each reader: the bits not read of the strings that select, in the mean of the lengths
        it was trained on, and the bits read of reporting strings of `LONGEST` letters.
    """
    seeds = [seed + NEW_SEED for seed in encoders.seeds]
    decoders = Stack([replace(each, memory=reader.memory) for each in encoders.networks], seeds)
    of_encoder = ("encoder", "narrow")
    parameters = {
        name: p for name, p in decoders.parameters.items() if not name.startswith(of_encoder)
    }

    def logits(strings: Strings) -> torch.Tensor:
        return decoders.decode(strings.inputs, decoders.widen(frozen_vectors(encoders, strings)))

    def loss(step: int) -> torch.Tensor:
        length = LONGEST if reader.longest_only else None
        letters = training_letters(seeds, step, batch_size=BATCH_SIZE, length=length)
        strings = make_strings(letters, encoders.reversed_source)
        return summed_loss(logits(strings), strings.targets)

    minimize(parameters, loss, rates=rates, steps=steps)
    selection, reporting = (
        copy_scores_by_length(logits, encoders.reversed_source, split=split, lengths=lengths)
        for split, lengths in ((SELECTION, reader.lengths), (REPORTING, [LONGEST]))
    )
    return list(zip(bits_not_read(selection), reporting[LONGEST].bits.tolist(), strict=True))


@torch.no_grad()
def frozen_vectors(encoders: Stack, strings: Strings) -> torch.Tensor:
    """Return the k numbers that encoders write for a batch, (M, B, WIDEST), without a gradient."""
    _, vector = encoders.encode(strings.source)
    return encoders.narrow(vector)
