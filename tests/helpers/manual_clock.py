"""A clock that only a test advances, in place of those of `benchmarks.timing`."""

from benchmarks.timing import Seconds


class ManualClock:
    """A clock that stands still until it is advanced; the processor works half of the time."""

    def __init__(self):
        self.seconds = 0.0

    def advance(self, seconds):
        self.seconds += seconds

    def read(self):
        return Seconds(wall=self.seconds, processor=self.seconds / 2)
