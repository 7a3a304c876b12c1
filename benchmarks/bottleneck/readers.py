"""Other readers of a vector that an encoder has been trained to write, and trains no more.

If such a reader reads more bits than the encoder's own decoder, then these bits were stored and not
read. Readers read strings of the greatest training length only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import torch

from benchmarks.bottleneck.networks import WIDEST, Parameters, Stack
from benchmarks.bottleneck.task import (
    LETTERS,
    LONGEST,
    REPORTING,
    SELECTION,
    Strings,
    as_strings,
    bits_read,
    measured_letters,
    read,
    training_letters,
)
from benchmarks.bottleneck.training import minimize, summed_loss
from utils.data.vocabulary import SPECIAL_TOKENS

ReaderName: TypeAlias = Literal["stronger decoder", "probe"]
READERS: tuple[ReaderName, ...] = ("stronger decoder", "probe")

READER_STEPS = 500
HIDDEN = 128  # units in each of the probe's two hidden layers
BATCH_SIZES = {"stronger decoder": 32, "probe": 128}
NEW_SEED = 1000  # added to an encoder's seed for the parameters and the strings of its readers


class Probe:
    """M networks of two hidden layers, which guess all letters from the k numbers at once.

    Parameters
    ----------
    encoders
        The trained networks whose vectors are read.
    seeds
        The seed of each one's parameters.
    """

    def __init__(self, encoders: Stack, seeds: Sequence[int]) -> None:
        self.encoders = encoders
        example = self._numbers(measured_letters(split=0, length=LONGEST))  # (M, B, WIDEST)
        self.mean = example.mean(1, keepdim=True)
        self.scale = example.std(1, keepdim=True).clamp(min=1e-6)  # closed places stay zero
        sizes = ((WIDEST, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, LONGEST * LETTERS))
        self.parameters: Parameters = {}
        for i, (inputs, outputs) in enumerate(sizes):
            fan_in = encoders.is_open.sum(-1).flatten() if i == 0 else torch.tensor(inputs)
            drawn = torch.stack([_uniform((inputs, outputs), seed + i) for seed in seeds])
            drawn = drawn * (6 / fan_in.view(-1, 1, 1)) ** 0.5  # keeps the scale through a ReLU
            self.parameters[f"matrix {i}"] = drawn.requires_grad_()
            self.parameters[f"bias {i}"] = torch.zeros(len(seeds), 1, outputs, requires_grad=True)

    def logits(self, strings: Strings) -> torch.Tensor:
        """Compute the logits (M, B, LONGEST, LETTERS) of the letters of a batch."""
        x = (press(self.encoders, strings) - self.mean) / self.scale  # (M, B, WIDEST)
        for i in range(3):
            x = torch.baddbmm(self.parameters[f"bias {i}"], x, self.parameters[f"matrix {i}"])
            x = x.relu() if i < 2 else x
        return x.unflatten(-1, (LONGEST, LETTERS))

    def _numbers(self, letters: torch.Tensor) -> torch.Tensor:
        """Return the k numbers of the same strings for each network."""
        num_networks = len(self.encoders.networks)
        letters = letters.expand(num_networks, -1, -1)
        return press(self.encoders, as_strings(letters, self.encoders.reversed_source))


def _uniform(size: tuple[int, int], seed: int) -> torch.Tensor:
    """Draw numbers between −1 and 1."""
    return 2 * torch.rand(size, generator=torch.Generator().manual_seed(seed)) - 1


@torch.no_grad()
def press(encoders: Stack, strings: Strings) -> torch.Tensor:
    """Return the k numbers that trained encoders write for a batch, (M, B, WIDEST)."""
    _, vector = encoders.encode(strings.source)
    return encoders.press(vector)


def read_anew(
    reader: ReaderName, encoders: Stack, *, rates: Sequence[float], steps: int
) -> list[list[float]]:
    """Train a reader for each of M encoders and return the bits that it reads of a string.

    Parameters
    ----------
    reader
        "stronger decoder" is given the vector in each step; "probe" is a `Probe`.
    encoders
        The trained networks, which stay as they are.
    rates
        The learning rate of each reader.
    steps
        Number of steps.

    Returns
    -------
    bits : list of two lists of float
        Bits read of strings of `LONGEST` letters: of those that select, and of those that report.
    """
    seeds = [seed + NEW_SEED for seed in encoders.seeds]
    parameters, loss, measure = (
        _probe(encoders, seeds) if reader == "probe" else _decoder(encoders, seeds)
    )

    def draw(step: int) -> Strings:
        letters = training_letters(seeds, step, batch_size=BATCH_SIZES[reader], length=LONGEST)
        return as_strings(letters, encoders.reversed_source)

    minimize(parameters, lambda step: loss(draw(step)), rates=rates, steps=steps)
    bits = []
    for split in (SELECTION, REPORTING):
        letters = measured_letters(split, LONGEST).expand(len(seeds), -1, -1)
        with torch.no_grad():
            bits.append(measure(as_strings(letters, encoders.reversed_source)).tolist())
    return bits


Measure: TypeAlias = Callable[[Strings], torch.Tensor]


def _probe(encoders: Stack, seeds: Sequence[int]) -> tuple[Parameters, Measure, Measure]:
    """Return the parameters of a probe, its loss and the bits that it reads."""
    probe = Probe(encoders, seeds)

    def letters(strings: Strings) -> torch.Tensor:
        return strings.targets[..., :-1] - len(SPECIAL_TOKENS)  # (M, B, LONGEST)

    return (
        probe.parameters,
        lambda strings: summed_loss(probe.logits(strings), letters(strings)),
        lambda strings: bits_read(probe.logits(strings), letters(strings)),
    )


def _decoder(encoders: Stack, seeds: Sequence[int]) -> tuple[Parameters, Measure, Measure]:
    """Return the parameters of a stronger decoder, its loss and the bits that it reads."""
    new = Stack([replace(network, memory="vector") for network in encoders.networks], seeds)
    of_encoder = [name for name in new.parameters if name.startswith(("encoder", "narrow"))]
    parameters = {name: p for name, p in new.parameters.items() if name not in of_encoder}

    def logits(strings: Strings) -> torch.Tensor:
        return new.decode(strings.inputs, new.widen(press(encoders, strings)))

    return (
        parameters,
        lambda strings: summed_loss(logits(strings), strings.targets),
        lambda strings: read(logits(strings), strings.targets).bits,
    )
