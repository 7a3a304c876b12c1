"""Diagrams of two ways to train one model on several devices: data and tensor parallelism."""

from __future__ import annotations

from collections.abc import Callable

from tools.diagrams.boxes import Box
from tools.diagrams.canvas import each_part
from tools.diagrams.shapes import Anchor
from tools.diagrams.vocabulary import Diagram

DEVICES = (104.0, 296.0)  # the middle of each device's column


def data_parallel() -> Diagram:
    """Draw two copies of a model that share a batch."""
    d = Diagram(
        "data-parallel",
        "Data parallelism: each device has a copy of the model and a share of the batch",
        "Two devices side by side, from bottom to top: the batch of B sequences is split, B/2 to "
        "each. Both have the same weights. Each computes the gradient of its own share. An "
        "all-reduce adds the two gradients, and both receive the same sum, so that both take the "
        "same step and their weights stay equal.",
        variants=each_part("batch", "gradients", "all-reduce"),
    )
    with d.part("batch"):
        halves = [
            d.grid(200, y, rows=2, columns=6, cell=16, meaning=lambda i, j: "embedding")
            for y in (446, 482)
        ]
        d.note(200, 512, "batch (B, T)")
    with d.part("all-reduce"):
        reduce = d.box(200, 178, 368, "all-reduce: $g_0 + g_1$", "loss", height=36)
    for i, x in enumerate(DEVICES):
        _device(d, i, x, top=22, bottom=408)
        _copy(d, i, x, halves[i], reduce)
    return d


def _device(d: Diagram, i: int, x: float, *, top: float, bottom: float) -> None:
    """Draw the ground of a device."""
    d.frame(x - 90, top, x + 90, bottom)
    side = -1 if i == 0 else 1  # away from the arrow that comes from below
    anchor: Anchor = "start" if i == 0 else "end"
    d.text(x + side * 82, bottom - 15, f"device {i}", anchor=anchor, bold=True)


def _copy(d: Diagram, i: int, x: float, half: Box, reduce: Box) -> None:
    """Draw the copy of the model on device `i` with its share of the batch."""
    with d.part("batch"):
        share = d.grid(x, 346, rows=2, columns=6, cell=16, meaning=lambda i, j: "embedding")
        start, turn = (half.left, x + 40) if i == 0 else (half.right, x - 40)
        d.arrow(start, (turn, half.y), share.bottom_at(turn))
        d.note(x - 82, 346, "B/2", anchor="start")
    copy = d.box(x, 290, 150, "copy of the model", "layer")
    d.arrow(share.top, copy.bottom)
    with d.part("gradients"):
        gradient = d.vector(x, 236, "loss", cells=6, cell=16)
        d.arrow(copy.top, gradient.bottom)
        d.text(x + 56, 236, f"$g_{i}$", anchor="start")
        d.arrow(gradient.top, reduce.bottom_at(x))
    with d.part("all-reduce"):
        total = d.vector(x, 122, "loss", cells=6, cell=16)
        d.arrow(reduce.top_at(x), total.bottom)
    step = d.box(x, 62, 150, "optimizer step", "layer")
    d.arrow(total.top, step.bottom, label="same sum")


def tensor_parallel() -> Diagram:
    """Draw a feed-forward network whose matrices are cut between two devices."""
    d = Diagram(
        "tensor-parallel",
        "Tensor parallelism: each device has a part of every matrix",
        "Two devices side by side, from bottom to top: both read the same x. The first matrix is "
        "cut by rows: device 0 has its upper half, device 1 its lower half, so that each computes "
        "half of the hidden units and applies the activation g to them. The second matrix is cut "
        "by columns. Each device gets a summand of the result; one all-reduce adds them.",
        variants=each_part("first", "second", "all-reduce"),
    )
    vector = d.vector(200, 490, "embedding", cells=4, cell=18)
    d.note(200, 512, "$x$ (B, T, D)")
    with d.part("all-reduce"):
        reduce = d.box(200, 86, 368, "all-reduce: sum", "plain", height=34)
        d.arrow(reduce.top, (200, 38))
        d.text(200, 22, "$W_2 g(W_1 x)$")
    for i, x in enumerate(DEVICES):
        _device(d, i, x, top=148, bottom=444)
        _slices(d, i, x, vector, reduce)
    return d


def _slices(d: Diagram, i: int, x: float, vector: Box, reduce: Box) -> None:
    """Draw the parts of both matrices on device `i`."""
    with d.part("first"):
        start, turn = (vector.left, x + 40) if i == 0 else (vector.right, x - 40)
        first = _slice(d, x, 376, f"$A_{i} x$", lambda row, column: row // 2 == i)
        d.arrow(start, (turn, vector.y), first.bottom_at(turn))
        hidden = d.box(x, 286, 150, f"$g(A_{i} x)$", "plain")
        d.arrow(first.top, hidden.bottom, label="half of the\nhidden units")
    with d.part("second"):
        second = _slice(d, x, 194, f"$C_{i} g(A_{i} x)$", lambda row, column: column // 2 == i)
        d.arrow(hidden.top, second.bottom)
        d.arrow(second.top, reduce.bottom_at(x), label="(B, T, D)")


def _slice(d: Diagram, x: float, y: float, label: str, is_here: Callable[[int, int], bool]) -> Box:
    """Draw a part of a matrix, with the place that it has in the whole matrix."""
    box = d.box(x, y, 160, "", "layer", height=56)
    d.grid(
        x - 50,
        y,
        rows=4,
        columns=4,
        cell=11,
        solid=True,
        meaning=lambda row, column: "layer" if is_here(row, column) else None,
    )
    d.text(x + 26, y, label)
    return box
