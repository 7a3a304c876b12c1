"""Places in a diagram: where a thing is, and where arrows meet it."""

from __future__ import annotations

from typing import NamedTuple

from tools.diagrams.shapes import Point


class Box(NamedTuple):
    """The place of something drawn: its centre and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> Point:
        """The middle of the upper edge."""
        return self.x, self.y - self.height / 2

    @property
    def bottom(self) -> Point:
        """The middle of the lower edge."""
        return self.x, self.y + self.height / 2

    @property
    def left(self) -> Point:
        """The middle of the left edge."""
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> Point:
        """The middle of the right edge."""
        return self.x + self.width / 2, self.y

    def top_at(self, x: float) -> Point:
        """Return the point of the upper edge at `x`."""
        return x, self.y - self.height / 2

    def bottom_at(self, x: float) -> Point:
        """Return the point of the lower edge at `x`."""
        return x, self.y + self.height / 2


def spread(first: float, last: float, number: int) -> list[float]:
    """Return evenly spaced coordinates from the first to the last."""
    return [first + i * (last - first) / (number - 1) for i in range(number)]
