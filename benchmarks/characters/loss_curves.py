"""Validation losses by training time, from which validation and other training are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.timing import Seconds, Stopwatch
from utils.data.batches import Batch


class TimedBatches:
    """Validation batches that record the training time each time they are read.

    Parameters
    ----------
    batches
        The validation batches to yield.

    Attributes
    ----------
    stopwatch
        Measures the training; reading the batches pauses it.
    readings
        The training time until each reading of the batches.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self.start()

    def start(self) -> None:
        """Start a new stopwatch, when training starts."""
        self.stopwatch = Stopwatch()
        self.readings: list[Seconds] = []

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        """Record the training time and yield the batches."""
        self.readings.append(self.stopwatch.elapsed())
        with self.stopwatch.paused():
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
        Wall-clock and processor time of training until each validation, in seconds to 2 decimals.
    """

    steps: list[int]
    losses: list[float]
    wall: list[float]
    processor: list[float]

    @classmethod
    def from_readings(
        cls, validations: Sequence[tuple[int, float]], readings: Sequence[Seconds]
    ) -> LossCurve:
        """Make a curve of (step, loss) and the training time of each validation.

        Parameters
        ----------
        validations
            The step and the loss of each validation.
        readings
            The training time until each validation.

        Returns
        -------
        curve : LossCurve
            The losses by step and by training time.
        """
        return cls(
            steps=[step for step, _ in validations],
            losses=[round(loss, 4) for _, loss in validations],
            wall=[round(reading.wall, 2) for reading in readings],
            processor=[round(reading.processor, 2) for reading in readings],
        )

    def seconds_to(self, target: float) -> float | None:
        """Return the processor time at the first loss of at most `target`; None if none is."""
        pairs = zip(self.processor, self.losses, strict=True)
        return next((seconds for seconds, loss in pairs if loss <= target), None)
