"""Places in a diagram: what a shape covers, where a thing is, and where arrows meet it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]


class Bounds(NamedTuple):
    """The rectangle that a shape covers.

    Parameters
    ----------
    left, top, right, bottom
        The coordinates of its edges.
    """

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Bounds, *, margin: float = 0.0) -> bool:
        """Say whether two rectangles have an area in common.

        Parameters
        ----------
        other
            The other rectangle.
        margin
            How near they may come; if they are nearer, they overlap.

        Returns
        -------
        overlaps : bool
            Whether they do.
        """
        return (
            self.left < other.right + margin
            and other.left < self.right + margin
            and self.top < other.bottom + margin
            and other.top < self.bottom + margin
        )

    def contains(self, other: Bounds, *, margin: float = 0.0) -> bool:
        """Say whether another rectangle lies inside.

        Parameters
        ----------
        other
            The other rectangle.
        margin
            The smallest distance from the edges.

        Returns
        -------
        contains : bool
            Whether it does.
        """
        return (
            self.left + margin <= other.left
            and other.right <= self.right - margin
            and self.top + margin <= other.top
            and other.bottom <= self.bottom - margin
        )


class Box(NamedTuple):
    """The place of something drawn.

    Parameters
    ----------
    x, y
        Its centre.
    width, height
        Its size.
    """

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
    """Space coordinates evenly.

    Parameters
    ----------
    first, last
        The outer ones.
    number
        How many there are, at least two.

    Returns
    -------
    coordinates : list of float
        From the first to the last.
    """
    return [first + i * (last - first) / (number - 1) for i in range(number)]
