"""The time that training takes, without validation and without what another run does meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from utils.data.batches import Batch


@dataclass(frozen=True)
class Seconds:
    """A duration.

    Parameters
    ----------
    wall
        Seconds of the clock on the wall.
    processor
        Seconds that the processor worked for this process, whatever other programs did.
    """

    wall: float
    processor: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.processor + other.processor)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.processor - other.processor)


def now() -> Seconds:
    """Return the readings of both clocks, of which only differences have a meaning."""
    return Seconds(time.perf_counter(), time.process_time())


class Stopwatch:
    """A stopwatch that runs from its construction on, except while it is paused."""

    def __init__(self) -> None:
        self._start = now()
        self._paused = Seconds(0.0, 0.0)

    def elapsed(self) -> Seconds:
        """Return the time since the start without the pauses that have ended."""
        return now() - self._start - self._paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time that the block takes."""
        pause_start = now()
        try:
            yield
        finally:
            self._paused += now() - pause_start


class TimedBatches:
    """Validation batches that record the training time each time they are read.

    Parameters
    ----------
    batches
        The batches.
    meanwhile
        Another run, which advances by one item before the batches are read.

    Attributes
    ----------
    stopwatch
        Measures the training; reading the batches and `meanwhile` pause it.
    readings
        The training time until each reading of the batches.
    """

    def __init__(
        self, batches: Sequence[Batch], *, meanwhile: Iterator[object] | None = None
    ) -> None:
        self.batches, self.meanwhile = batches, meanwhile
        self.start()

    def start(self) -> None:
        """Start the stopwatch anew, when training starts."""
        self.stopwatch = Stopwatch()
        self.readings: list[Seconds] = []

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        """Record the training time, let the other run advance, and yield the batches."""
        self.readings.append(self.stopwatch.elapsed())
        with self.stopwatch.paused():
            if self.meanwhile is not None:
                # The evaluation that reads these batches is in inference mode; a training is not.
                with torch.inference_mode(False), torch.enable_grad():
                    next(self.meanwhile, None)
            yield from self.batches


@dataclass(frozen=True)
class LossCurve:
    """Validation losses of one training run.

    Parameters
    ----------
    steps
        The training step of each validation.
    losses
        The losses in nats per character, to 4 decimals.
    wall, processor
        The seconds of training until each validation, to 2 decimals.
    """

    steps: list[int]
    losses: list[float]
    wall: list[float]
    processor: list[float]

    @classmethod
    def from_readings(
        cls, valid_losses: Sequence[tuple[int, float]], readings: Sequence[Seconds]
    ) -> LossCurve:
        """Make a curve of (step, loss) and the training time of each validation.

        Parameters
        ----------
        valid_losses
            The step and the loss of each validation.
        readings
            The training time until each validation.

        Returns
        -------
        curve : LossCurve
            The curve.
        """
        return cls(
            steps=[step for step, _ in valid_losses],
            losses=[round(loss, 4) for _, loss in valid_losses],
            wall=[round(reading.wall, 2) for reading in readings],
            processor=[round(reading.processor, 2) for reading in readings],
        )

    def seconds_to(self, target: float) -> float | None:
        """Return the processor time at the first loss of at most `target`; None if none is."""
        pairs = zip(self.processor, self.losses, strict=True)
        return next((seconds for seconds, loss in pairs if loss <= target), None)
