"""The diagram of automatic differentiation: values on the way up, gradients on the way down."""

from __future__ import annotations

from tools.diagrams.boxes import Box
from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram


def computation_graph() -> Diagram:
    """Draw the record of L = (w x + w)², with its values and its gradients."""
    d = Diagram(
        "computation-graph",
        "A record of a computation, and the gradients that go back through it",
        "From bottom to top: x = 3 and w = 2 are multiplied to a = 6, w is added to give b = 8, "
        "and the square is the loss L = 64. Beside each arrow upwards, another leads back down "
        "with a gradient: 16 from L to b, 16 from b to a and 16 from b to w, 48 from a to w and "
        "32 from a to x. The two gradients that reach w add up to 64; that of x is 32.",
        variants=each_part("forward", "backward"),
    )
    loss = d.box(200, 40, 150, "$L = b^2 = 64$", "loss")
    total = d.box(190, 128, 310, "$b = a + w = 8$", "plain")
    product = d.box(132, 216, 194, "$a = w x = 6$", "plain")
    x = d.box(88, 304, 106, "$x = 3$", "embedding")
    w = d.box(258, 304, 174, "$w = 2$", "layer")
    _step(d, total, loss, 200, "16")
    _step(d, product, total, 110, "16")
    _step(d, w, total, 290, "16")
    _step(d, x, product, 88, "32")
    _step(d, w, product, 204, "48")
    with d.part("backward"):
        d.text(88, 338, "gradient 32", bold=True)
        d.text(258, 338, "gradient 48 + 16 = 64", bold=True)
    return d


def _step(d: Diagram, below: Box, above: Box, x: float, gradient: str) -> None:
    """Draw a step up from one value to the next, and its gradient down."""
    with d.part("forward"):
        d.arrow(below.top_at(x - 14), above.bottom_at(x - 14))
    with d.part("backward"):
        down = above.bottom_at(x + 8), below.top_at(x + 8)
        d.arrow(*down, label=gradient, colour="loss", dashed=True)
