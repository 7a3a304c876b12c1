"""Stopwatches and comparisons of two speeds, by a clock that only the tests advance."""

import pytest

from benchmarks import timing
from benchmarks.timing import RatioFigures, RoundResult, Seconds, Stopwatch, measure_in_turn
from tests.helpers.manual_clock import ManualClock


def test_a_stopwatch_leaves_its_pauses_out(monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(timing, "now", clock.read)
    watch = Stopwatch()
    clock.advance(3)
    with watch.paused():
        clock.advance(100)
    clock.advance(1)
    with pytest.raises(RuntimeError), watch.paused():
        clock.advance(50)
        raise RuntimeError
    assert watch.elapsed() == Seconds(wall=4.0, processor=2.0)


def test_each_side_is_first_in_every_other_round():
    calls = []

    def measure(side):
        def record(i):
            calls.append(f"{side}{i}")
            return float(i) if side == "book" else 10.0 * i

        return record

    results = measure_in_turn(measure("book"), measure("other"), num_rounds=2, num_warmup_rounds=1)
    assert calls == "other0 book0 book1 other1 other2 book2".split()
    assert results == [RoundResult(1.0, 10.0), RoundResult(2.0, 20.0)], "without the warm-up"


def test_speeds_are_summarized_by_medians_and_quartiles():
    speeds = [RoundResult(2.0, 1.0), RoundResult(12.0, 2.0), RoundResult(16.0, 4.0)]
    assert RatioFigures.from_rounds(speeds) == RatioFigures(4.0, (2.0, 6.0), 3)
    assert timing.stored_speeds(speeds) == {
        "ratio": 4.0,
        "quartiles": (2.0, 6.0),
        "rounds": 3,
        "book": 12.0,
        "other": 2.0,
    }
