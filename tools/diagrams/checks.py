"""What is wrong with a diagram: labels that touch something, lines through boxes, small text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from tools.diagrams import labels
from tools.diagrams.boxes import Bounds, Point
from tools.diagrams.canvas import Canvas
from tools.diagrams.shapes import Circle, Label, Line, Rectangle

PHONE_WIDTH = 358  # of a figure on a screen 390 pixels wide
MIN_PIXELS = 9.0
MARGIN = 3.0  # between a label and the edge of its box or of the picture


def problems(diagram: Canvas) -> list[str]:
    """Return a sentence for each thing that is wrong."""
    return [
        *_outside(diagram),
        *_small(diagram),
        *_labels_that_meet(diagram),
        *_labels_on_edges(diagram),
        *_labels_on_lines(diagram),
        *_lines_through_boxes(diagram),
    ]


def _of(diagram: Canvas, kind: type) -> list[Any]:
    """Return the shapes of a kind."""
    return [shape for shape, _ in diagram.shapes if isinstance(shape, kind)]


def _outside(diagram: Canvas) -> Iterator[str]:
    """Yield shapes that leave the view box."""
    view = diagram.view()
    for shape, _ in diagram.shapes:
        margin = MARGIN if isinstance(shape, Label) else 0
        if not view.contains(shape.bounds(), margin=margin):
            yield f"outside the picture: {shape}"


def _small(diagram: Canvas) -> Iterator[str]:
    """Yield labels whose smallest letters are hard to read on a phone."""
    pixels = min(1.0, PHONE_WIDTH / diagram.width)
    for label in _of(diagram, Label):
        scale = min(run.scale for line in label.lines for run in labels.parse(line))
        if label.size * scale * pixels < MIN_PIXELS:
            yield f"small on a phone: {label.text!r}"


def _labels_that_meet(diagram: Canvas) -> Iterator[str]:
    """Yield pairs of labels that touch."""
    for one, other in combinations(_of(diagram, Label), 2):
        if one.bounds().overlaps(other.bounds(), margin=1.0):
            yield f"labels meet: {one.text!r} and {other.text!r}"


def _labels_on_edges(diagram: Canvas) -> Iterator[str]:
    """Yield labels that lie neither within a box, with a margin, nor outside of it."""
    boxes = [*_of(diagram, Rectangle), *_of(diagram, Circle)]
    for label in _of(diagram, Label):
        bounds = label.bounds()
        around = [box for box in boxes if box.bounds().contains(bounds, margin=_margin(box))]
        hides_ground = any(box.fill != "none" and not box.background for box in around)
        for box in boxes:
            hidden = box.background and hides_ground
            if box not in around and not hidden and box.bounds().overlaps(bounds, margin=1.0):
                yield f"label on an edge: {label.text!r} at {box.x:g}, {box.y:g}"


def _margin(box: Rectangle | Circle) -> float:
    """Return how far a label must be from the edge of the bounds of a box."""
    return 1.0 if isinstance(box, Circle) else MARGIN


def _labels_on_lines(diagram: Canvas) -> Iterator[str]:
    """Yield labels that a line touches."""
    for label in _of(diagram, Label):
        for line in _of(diagram, Line):
            if line.background:
                continue
            for start, end in line.segments():
                if _crosses(start, end, label.bounds(), margin=1.5):
                    yield f"label on a line: {label.text!r} at {start}, {end}"


def _lines_through_boxes(diagram: Canvas) -> Iterator[str]:
    """Yield lines that run through the inside of a box."""
    boxes = [b for b in _of(diagram, Rectangle) if not b.background and b.height > 8]
    circles = [c for c in _of(diagram, Circle) if c.radius > 8]
    for line in [line for line in _of(diagram, Line) if not line.background]:
        for shape in [*boxes, *circles]:
            long = max(line.bounds().right - line.bounds().left, _height(line.bounds())) > 14
            inside = any(_crosses(a, b, shape.bounds(), margin=-2.5) for a, b in line.segments())
            if long and inside:
                yield f"line through a box: {line.points} at {shape.x:g}, {shape.y:g}"


def _height(bounds: Bounds) -> float:
    """Return the height of bounds."""
    return bounds.bottom - bounds.top


def _crosses(start: Point, end: Point, bounds: Bounds, *, margin: float) -> bool:
    """Return whether a straight line meets bounds that are widened by a margin."""
    low, high = 0.0, 1.0
    edges = [
        (start[0], end[0], bounds.left - margin, bounds.right + margin),
        (start[1], end[1], bounds.top - margin, bounds.bottom + margin),
    ]
    for a, b, first, last in edges:
        if abs(b - a) < 1e-9:
            if not first < a < last:
                return False
            continue
        near, far = sorted(((first - a) / (b - a), (last - a) / (b - a)))
        low, high = max(low, near), min(high, far)
    return low < high
