"""Measurements of time: durations, stopwatches, and comparisons of two speeds.

Two speeds are compared round by round, so that other work on the machine slows both alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Seconds:
    """A duration in seconds.

    Parameters
    ----------
    wall
        Wall-clock time.
    processor
        Processor time of this process, which other programs do not add to.
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


class RoundResult(NamedTuple):
    """The measurements of one round.

    Parameters
    ----------
    book
        The time or speed of the book's side.
    other
        That of the side that it is compared with.
    """

    book: float
    other: float


def measure_in_turn(
    measure_book: Callable[[int], float],
    measure_other: Callable[[int], float],
    *,
    num_rounds: int,
    num_warmup_rounds: int = 1,
) -> list[RoundResult]:
    """Measure two sides round by round, each of them first in every other round.

    Parameters
    ----------
    measure_book, measure_other
        Measure one side in the round with the given index, and return a time or a speed.
    num_rounds
        How many rounds to return.
    num_warmup_rounds
        How many rounds to measure before, which are left out.

    Returns
    -------
    results : list of RoundResult
        What each round measured.
    """
    results = []
    for i in range(num_warmup_rounds + num_rounds):
        if i % 2:
            book = measure_book(i)
            other = measure_other(i)
        else:
            other = measure_other(i)
            book = measure_book(i)
        results.append(RoundResult(book, other))
    return results[num_warmup_rounds:]


@dataclass(frozen=True)
class RatioFigures:
    """The ratio of the book's side to the other one over the rounds.

    Parameters
    ----------
    median
        Its median.
    quartiles
        Its lower and its upper quartile.
    rounds
        The number of rounds.
    """

    median: float
    quartiles: tuple[float, float]
    rounds: int

    @classmethod
    def from_rounds(cls, results: Sequence[RoundResult]) -> RatioFigures:
        """Summarize two rounds or more."""
        ratios = [book / other for book, other in results]
        low, median, high = statistics.quantiles(ratios, n=4)
        return cls(median, (low, high), len(ratios))


def stored_speeds(speeds: Sequence[RoundResult]) -> dict[str, Any]:
    """Return what is stored about the speeds of two sides: their medians and that of the ratio."""
    figures = RatioFigures.from_rounds(speeds)
    return {
        "ratio": figures.median,
        "quartiles": figures.quartiles,
        "rounds": figures.rounds,
        "book": statistics.median(speed.book for speed in speeds),
        "other": statistics.median(speed.other for speed in speeds),
    }
